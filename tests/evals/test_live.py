"""What is made of the answers of a running swarm."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from click.testing import CliRunner

from local_swarm.cli import render
from local_swarm.domain.candidate import Candidate
from local_swarm.evals import live, served
from local_swarm.evals.live import Outcome
from local_swarm.evals.served import Served
from local_swarm.evals.tasks import held_out

TASKS = held_out(5, 3)


def outcome(passed: tuple[bool, ...], chosen: bool) -> Outcome:
    candidates = tuple(Candidate(f"answer {right}") for right in passed)
    return Outcome(TASKS[0], candidates, passed, chosen, agreement=0.75)


OUTCOMES = [
    outcome((True,) * 7 + (False,), True),
    outcome((True, False, False, False, False, False, False, False), False),
    outcome((False,) * 8, False),
]
SERVED = [Served(True, 3, 5, 120, 0.5), Served(False, 8, 0, 360, 1.5)]


def test_the_best_possible_pick_is_the_mean_over_all_subsets() -> None:
    rows = {row["name"]: row for row in live.summary(OUTCOMES, seed=1, strategy="auto")["rows"]}
    for n in (3, 5, 8):
        shares = [[any(subset) for subset in itertools.combinations(o.passed, n)] for o in OUTCOMES]
        expected = sum(sum(found) / len(found) for found in shares) / len(shares)
        assert rows[f"vote of {n}"]["oracle"] == pytest.approx(expected)
    assert rows["single sample"]["rate"] == pytest.approx((7 + 1 + 0) / 24)
    assert rows["chosen by the swarm"]["rate"] == pytest.approx(1 / 3)
    assert live.passed(OUTCOMES) == (8, 24)


def test_votes_of_samples_know_how_sure_the_worker_was() -> None:
    text = f"```python\n{TASKS[0].reference}```"
    told = {"text": text, "finish_reason": "stop", "worker": "w0", "elapsed_ms": 250}
    sure = told | {"mean_logprob": -0.25, "lowest_logprob": -1.5}
    answer = {
        "choices": [{"message": {"content": text}}],
        "swarm": {"candidates": [sure, told], "agreement": 1.0},
    }
    found = live.run(
        lambda body: answer,
        TASKS[:1],
        samples=2,
        seed=1,
        temperature=0.8,
        strategy="auto",
        advance=lambda: None,
    )[0]
    assert [(c.mean_logprob, c.lowest_logprob) for c in found.candidates] == [
        (-0.25, -1.5),
        (None, None),
    ]


def test_what_was_served_tells_samples_tokens_and_time() -> None:
    found = served.summary(SERVED, seed=1)
    assert found["rate"] == 0.5
    assert (found["samples_used"], found["samples_saved"]) == (5.5, 2.5)
    assert found["completion_tokens"] == 240
    assert (found["latency_ms_p50"], found["latency_ms_p95"]) == (1500, 1500)


def test_tasks_are_asked_as_clients_ask_them() -> None:
    bodies = []

    def chat(body: dict[str, Any]) -> dict[str, Any]:
        bodies.append(body)
        text = f"```python\n{TASKS[len(bodies) - 1].reference}```"
        swarm = {"answered": 3, "early": {"why": "settled", "saved": 2}, "completion_tokens": 77}
        return {"choices": [{"message": {"content": text}}], "swarm": swarm}

    steps: list[int] = []
    found = served.run(
        chat, TASKS, temperature=0.8, strategy="auto", advance=lambda: steps.append(1)
    )
    assert [(s.passed, s.samples, s.saved, s.tokens) for s in found] == [(True, 3, 2, 77)] * 3
    assert len(steps) == 3
    for body in bodies:
        assert body["swarm"] == {"strategy": "auto"}
        assert "seed" not in body


def test_people_see_rates_and_what_a_request_costs() -> None:
    document = {
        **live.summary(OUTCOMES, seed=1, strategy="auto"),
        "served": served.summary(SERVED, seed=1),
        "model": "some:model",
        "temperature": 0.8,
    }
    with CliRunner().isolation() as (out, *_):
        render.evaluation(document)
        shown = out.getvalue().decode()
    assert "some:model, 3 held-out tasks, 8 samples each" in shown
    assert "as served: 5.5 samples used and 2.5 saved, 240 tokens" in shown
