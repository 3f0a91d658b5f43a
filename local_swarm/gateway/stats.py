"""What the gateway has seen of each worker, for `status`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from local_swarm.wire.answer import Answer


@dataclass(slots=True)
class WorkerStats:
    """Sums since the start; one request may have brought several answers."""

    requests: int = 0
    answers: int = 0
    elapsed_s: float = 0.0
    tokens: int = 0
    busy_s: float = 0.0

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
