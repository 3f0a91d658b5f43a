"""Asks a running swarm held-out tasks and measures single samples, votes and the best pick."""

from __future__ import annotations

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
    """Rates with 95% intervals (bootstrap over tasks), and vote of 5 minus single, paired.

    Votes of fewer than all samples are taken over random subsets: candidates come in order of
    arrival, so the first ones would be the shortest.
    """
    samples = len(outcomes[0].candidates)
    single = [sum(o.passed) / len(o.passed) for o in outcomes]
    rng = random.Random(seed)
    series = {"single sample": single}
    for n in VOTES:
        series[f"vote of {n}"] = [_voted(o, n, rng, strategy) for o in outcomes]
    series["chosen by the swarm"] = [float(o.chosen_passed) for o in outcomes]
    series[f"best possible pick of {samples}"] = [float(any(o.passed)) for o in outcomes]
    zero = [0.0] * len(outcomes)
    rows = []
    for name, values in series.items():
        rate, low, high = paired_bootstrap(zero, values, seed=seed)
        rows.append({"name": name, "rate": rate, "low": low, "high": high})
    difference, low, high = paired_bootstrap(single, series["vote of 5"], seed=seed)
    right = [o.agreement for o in outcomes if o.chosen_passed]
    return {
        "tasks": len(outcomes),
        "samples": samples,
        "rows": rows,
        "gain": {"difference": difference, "low": low, "high": high},
        "agreement_when_right": sum(right) / len(right) if right else None,
    }


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
