"""What the gateway has seen of each worker, for `status` and the metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from local_swarm.wire.answer import Answer

ENDS = b'"stop":true'
TOKENS = re.compile(rb'"tokens_predicted":([0-9]{1,9})')


@dataclass(slots=True)
class WorkerStats:
    """Sums since the start; one request may have brought several answers.

    `tokens` were written, by all answers. A prompt is read once for all answers of one request;
    `cached_tokens` of it were still in the slot.
    """

    requests: int = 0
    answers: int = 0
    elapsed_s: float = 0.0
    tokens: int = 0
    busy_s: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0

    @property
    def latency_ms_avg(self) -> float | None:
        return round(1000 * self.elapsed_s / self.requests, 1) if self.requests else None

    @property
    def tokens_per_s(self) -> float | None:
        return round(self.tokens / self.busy_s, 1) if self.busy_s else None


class Stats:
    """Per worker id; survives the worker's restarts."""

    def __init__(self) -> None:
        self._workers: dict[str, WorkerStats] = {}

    def of(self, worker: str) -> WorkerStats:
        return self._workers.setdefault(worker, WorkerStats())

    def finished(self, worker: str, answers: Iterable[Answer]) -> None:
        """One upstream request brought these finished answers."""
        answers = list(answers)
        row = self.of(worker)
        elapsed = max(a.elapsed_s for a in answers)
        row.requests += 1
        row.answers += len(answers)
        row.elapsed_s += elapsed
        row.tokens += sum(a.completion_tokens or 0 for a in answers)
        row.busy_s += elapsed
        usages = [a.usage for a in answers if a.usage is not None]
        row.prompt_tokens += max((_count(u, "prompt_tokens") for u in usages), default=0)
        # The other answers of the request are copies of the first: all their prompt is cached.
        row.cached_tokens += min((_cached(u) for u in usages), default=0)

    def passed(self, worker: str, elapsed_s: float, tokens: int) -> None:
        """A worker's own answer went to a client. Embeddings and the like have no tokens."""
        row = self.of(worker)
        row.requests += 1
        row.answers += 1
        row.elapsed_s += elapsed_s
        if tokens:
            row.tokens += tokens
            row.busy_s += elapsed_s


def tokens_told(answer: bytes) -> int:
    """The tokens written, by what llama-server's own API says in the end of an answer: whole, or
    the event that ends it."""
    if ENDS not in answer:
        return 0
    return sum(map(int, TOKENS.findall(answer)))


def _cached(usage: dict[str, Any]) -> int:
    details = usage.get("prompt_tokens_details")
    return _count(details, "cached_tokens") if isinstance(details, dict) else 0


def _count(fields: dict[str, Any], key: str) -> int:
    value = fields.get(key)
    return value if isinstance(value, int) and value > 0 else 0
