"""Asks a running swarm held-out tasks and measures single samples, votes and the best pick.

Every task is asked twice: once for all samples, from which votes of any size are drawn, and once
as clients ask, when the swarm may end a vote early: that tells samples, tokens and time.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from local_swarm.consensus import vote
from local_swarm.domain.candidate import Candidate
from local_swarm.evals.grading import grade
from local_swarm.evals.stats import paired_bootstrap
from local_swarm.evals.tasks import Task

VOTES = (3, 5, 8)
DRAWS = 10  # random subsets per task for votes of fewer than all samples
CONCURRENCY = 2  # the next answers are written while the tests of the last ones run


@dataclass(frozen=True, slots=True)
class Outcome:
    """One task: every sample and whether it passed, and what the swarm itself chose."""

    task: Task
    candidates: tuple[Candidate, ...]
    passed: tuple[bool, ...]
    chosen_passed: bool
    agreement: float


def run(
    chat: Callable[[dict[str, Any]], dict[str, Any]],
    tasks: Sequence[Task],
    *,
    samples: int,
    seed: int,
    temperature: float,
    strategy: str,
    advance: Callable[[], None],
) -> list[Outcome]:
    """Asks each task once with `samples` voters, through the gateway. Blocks for minutes."""

    def one(numbered: tuple[int, Task]) -> dict[str, Any]:
        number, task = numbered
        return chat(
            {
                "messages": [{"role": "user", "content": task.prompt}],
                "temperature": temperature,
                "seed": seed * 1_000_003 + number * samples,
                "swarm": {"samples": samples, "strategy": strategy, "include_candidates": True},
            }
        )

    outcomes = []
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for task, answer in zip(tasks, pool.map(one, enumerate(tasks)), strict=True):
            outcomes.append(_outcome(task, answer))
            advance()
    return outcomes


def _outcome(task: Task, answer: dict[str, Any]) -> Outcome:
    candidates = [
        Candidate(
            text=c["text"],
            finish_reason=c["finish_reason"],
            worker=c["worker"],
            elapsed_s=c["elapsed_ms"] / 1000,
            mean_logprob=c.get("mean_logprob"),
            lowest_logprob=c.get("lowest_logprob"),
        )
        for c in answer["swarm"]["candidates"]
    ]
    texts = [c.text for c in candidates]
    chosen = answer["choices"][0]["message"]["content"] or ""
    graded = {text: grade(task, text).passed for text in {*texts, chosen}}
    return Outcome(
        task=task,
        candidates=tuple(candidates),
        passed=tuple(graded[text] for text in texts),
        chosen_passed=graded[chosen],
        agreement=answer["swarm"]["agreement"],
    )


def summary(outcomes: Sequence[Outcome], *, seed: int, strategy: str) -> dict[str, Any]:
    """Rates with 95% intervals (bootstrap over tasks), and vote of 5 minus single, paired. Of a
    vote also how often one of its candidates was right (`oracle`).

    Votes of fewer than all samples are taken over random subsets: candidates come in order of
    arrival, so the first ones would be the shortest.
    """
    samples = max(len(o.passed) for o in outcomes)
    rng = random.Random(seed)
    single = [sum(o.passed) / len(o.passed) for o in outcomes]
    voted = {n: [_voted(o, n, rng, strategy) for o in outcomes] for n in VOTES}
    votes = [
        {**rate(f"vote of {n}", values, seed=seed), "oracle": _oracle(outcomes, n)}
        for n, values in voted.items()
    ]
    difference, low, high = paired_bootstrap(single, voted[5], seed=seed)
    right = [o.agreement for o in outcomes if o.chosen_passed]
    return {
        "tasks": len(outcomes),
        "samples": samples,
        "rows": [
            rate("single sample", single, seed=seed),
            *votes,
            {
                **rate("chosen by the swarm", [o.chosen_passed for o in outcomes], seed=seed),
                "oracle": _oracle(outcomes, samples),
            },
        ],
        "gain": {"difference": difference, "low": low, "high": high},
        "agreement_when_right": sum(right) / len(right) if right else None,
    }


def passed(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """How many single samples passed, of how many."""
    return sum(sum(o.passed) for o in outcomes), sum(len(o.passed) for o in outcomes)


def rate(name: str, values: Sequence[float], *, seed: int) -> dict[str, Any]:
    """The mean of one value a task, with its 95% interval."""
    mean, low, high = paired_bootstrap([0.0] * len(values), values, seed=seed)
    return {"name": name, "rate": mean, "low": low, "high": high}


def _oracle(outcomes: Sequence[Outcome], n: int) -> float:
    """The rate of the best possible pick of `n` samples: the mean over all subsets."""
    return sum(_some_right(o.passed, n) for o in outcomes) / len(outcomes)


def _some_right(passed: Sequence[bool], n: int) -> float:
    """The share of the subsets of `n` (or of all, where there are fewer) that hold a right one."""
    size = min(n, len(passed))
    return 1 - math.comb(passed.count(False), size) / math.comb(len(passed), size)


def _voted(outcome: Outcome, n: int, rng: random.Random, strategy: str) -> float:
    """Share of random subsets of `n` samples in which the winner passes."""
    indices = range(len(outcome.candidates))
    if n >= len(indices):
        subsets = [list(indices)]
    else:
        subsets = [rng.sample(indices, n) for _ in range(DRAWS)]
    wins = 0
    for subset in subsets:
        chosen = [outcome.candidates[i] for i in subset]
        verdict = vote(outcome.task.prompt, chosen, strategy=strategy)
        wins += outcome.passed[subset[verdict.index]]
    return wins / len(subsets)
