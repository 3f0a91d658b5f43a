"""Asks a running swarm as clients do, one request after the other: what a vote costs there.

Nothing is asked of the vote, neither a seed nor a number of voters nor the candidates, so that it
may end early or begin with few voters where the swarm is set so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from local_swarm.evals.grading import grade
from local_swarm.evals.live import rate
from local_swarm.evals.tasks import Task


@dataclass(frozen=True, slots=True)
class Served:
    """One answered request. `samples` voters answered and wrote `tokens` in all; `saved` more were
    not waited for, or never asked; `elapsed_s` is the client's own time."""

    passed: bool
    samples: int
    saved: int
    tokens: int
    elapsed_s: float


def run(
    chat: Callable[[dict[str, Any]], dict[str, Any]],
    tasks: Sequence[Task],
    *,
    temperature: float,
    strategy: str,
    advance: Callable[[], None],
) -> list[Served]:
    """Asks each task once. Blocks for minutes."""
    found = []
    for task in tasks:
        body = {
            "messages": [{"role": "user", "content": task.prompt}],
            "temperature": temperature,
            "swarm": {"strategy": strategy},
        }
        began = time.monotonic()
        answer = chat(body)
        found.append(_served(task, answer, time.monotonic() - began))
        advance()
    return found


def _served(task: Task, answer: dict[str, Any], elapsed_s: float) -> Served:
    swarm = answer["swarm"]
    return Served(
        passed=grade(task, answer["choices"][0]["message"]["content"] or "").passed,
        samples=swarm["answered"],
        saved=swarm.get("early", {}).get("saved", 0),
        tokens=swarm["completion_tokens"],
        elapsed_s=elapsed_s,
    )


def summary(served: Sequence[Served], *, seed: int) -> dict[str, Any]:
    """The pass rate with its 95% interval, means of samples and tokens, and milliseconds."""
    times = sorted(1000 * one.elapsed_s for one in served)
    count = len(served)
    return {
        **rate("as served", [one.passed for one in served], seed=seed),
        "samples_used": sum(one.samples for one in served) / count,
        "samples_saved": sum(one.saved for one in served) / count,
        "completion_tokens": sum(one.tokens for one in served) / count,
        "latency_ms_p50": round(times[count // 2]),
        "latency_ms_p95": round(times[int(count * 0.95)]),
    }
