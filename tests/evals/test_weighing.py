"""Sources weighed by how often they are right on other tasks."""

from __future__ import annotations

from typing import Any

import pytest

from local_swarm.consensus.ballot import Ballot
from local_swarm.consensus.strategies.registry import STRATEGIES
from local_swarm.evals.data import Problem, Sample
from local_swarm.evals.draws import items
from local_swarm.evals.replay import Plan, replay
from local_swarm.evals.weighing import results, weighed


def problem(task: str, source: str, *passed: bool) -> Problem:
    return Problem(task, "", tuple(Sample(str(i), right) for i, right in enumerate(passed)), source)


PROBLEMS = (
    problem("t1", "good", True, True, True, False),
    problem("t1", "bad", False, False, True, False),
    problem("t2", "good", True, True),
    problem("t2", "bad", False, False),
    problem("t3", "good", False, False, False),
)


def test_results_are_of_the_tasks_that_all_sources_have() -> None:
    assert results(PROBLEMS) == {"good": (5, 6), "bad": (1, 6)}


def test_an_item_is_weighed_by_the_other_items() -> None:
    first, second, third = weighed(items(PROBLEMS, mix=True))
    # Of the other tasks good has 2 of 5 right and bad 0 of 2, each smoothed by one in two.
    good, bad = (3 / 7) / (4 / 7), (1 / 4) / (3 / 4)
    mean = (good + bad) / 2
    assert first.weights == pytest.approx({"good": good / mean, "bad": bad / mean})
    assert second.weights["good"] > 1 > second.weights["bad"]
    assert third.weights == {"good": 1.0}


def test_a_weighed_vote_knows_the_sources_and_their_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def watched(ballot: Ballot) -> Any:
        models = sorted(entry.candidate.model for entry in ballot.entries)
        seen.append((models, dict(ballot.evidence.skills)))
        return STRATEGIES["off"](ballot)

    monkeypatch.setitem(STRATEGIES, "watched", watched)
    tasks = weighed(items(PROBLEMS, mix=True, limit=1))
    replay(tasks, Plan(("watched",), (2,), draws=1, seed=7), advance=lambda: None)
    assert seen[-1] == (["bad", "good"], dict(tasks[0].weights))
