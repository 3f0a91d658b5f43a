"""One run: which job goes to which worker, and what came back."""

from __future__ import annotations

import math
import select
import socket
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from local_swarm.domain.execution import Ended, Job, Outcome, Report
from local_swarm.sandbox.inside import frames
from local_swarm.sandbox.limits import Limits

_GRACE_S = 3.0
"""Beyond a job's time, for its worker to say what came of it."""

_LOST = Outcome(Ended.LIMIT)
_NOT_RUN = Outcome(Ended.NOT_RUN)


class Round:
    """The time runs from when it is made."""

    def __init__(self, limits: Limits, jobs: Iterable[Job]) -> None:
        self._limits = limits
        self._ends = time.monotonic() + limits.run_wall_s
        self._reports: dict[Job, Report] = {}
        self._waiting: deque[Job] = deque()
        self._busy: dict[socket.socket, Job] = {}
        for job in dict.fromkeys(jobs):
            if self._is_too_large(job):
                self._reports[job] = _ended(job, _LOST)
            else:
                self._waiting.append(job)

    def is_open(self) -> bool:
        return bool(self._waiting) and self._left_s() > 0

    def report(self, job: Job) -> Report:
        return self._reports.get(job) or _ended(job, _NOT_RUN)

    def go_on(self, streams: list[socket.socket]) -> bool:
        """Has the jobs done by the workers at the other ends of `streams`, until all are or the
        time is up. False when a worker failed: its job counts as ended by a limit, those of the
        other workers are to be done again by new ones."""
        idle = list(streams)
        while True:
            if (broken := self._hand_out(idle)) is not None:
                return self._lost(broken)
            if not self._busy:
                return True
            ready = _readable(self._busy, self._patience_s())
            if not ready:
                return self._lost(*self._busy)
            for stream in ready:
                if not self._take(stream):
                    return self._lost(stream)
                idle.append(stream)

    def _hand_out(self, idle: list[socket.socket]) -> socket.socket | None:
        """The stream that takes nothing, if there is one."""
        while idle and self.is_open():
            stream = idle.pop()
            job = self._waiting.popleft()
            self._busy[stream] = job
            try:
                stream.sendall(frames.framed(self._order(job)))
            except OSError:
                return stream
        return None

    def _take(self, stream: socket.socket) -> bool:
        job = self._busy[stream]
        try:
            self._reports[job] = _read(frames.receive(stream.fileno()), job)
        except (EOFError, OSError, ValueError, TypeError):
            return False
        del self._busy[stream]
        return True

    def _lost(self, *streams: socket.socket) -> bool:
        for stream in streams:
            if stream in self._busy:
                job = self._busy.pop(stream)
                self._reports[job] = _ended(job, _LOST)
        self._waiting.extendleft(self._busy.values())
        self._busy.clear()
        return False

    def _order(self, job: Job) -> dict[str, Any]:
        limits = self._limits
        return {
            "source": job.source,
            "expressions": job.expressions,
            "limits": {
                "load_s": limits.load_s,
                "expression_s": limits.expression_s,
                "job_s": limits.job_s,
                "wall_s": min(limits.job_wall_s, self._left_s()),
                "memory_bytes": limits.memory_bytes,
                "value_chars": limits.value_chars,
                "report_chars": limits.report_chars,
            },
        }

    def _is_too_large(self, job: Job) -> bool:
        chars = len(job.source) + sum(map(len, job.expressions))
        return chars > self._limits.job_chars

    def _left_s(self) -> float:
        return self._ends - time.monotonic()

    def _patience_s(self) -> float:
        return max(0.0, self._left_s()) + _GRACE_S


def _readable(streams: Iterable[socket.socket], patience_s: float) -> list[socket.socket]:
    poller = select.poll()  # select(2) takes no descriptor above 1023
    of = {stream.fileno(): stream for stream in streams}
    for fd in of:
        poller.register(fd, select.POLLIN)
    return [of[fd] for fd, _ in poller.poll(math.ceil(patience_s * 1000))]


def _read(told: Any, job: Job) -> Report:
    """Raises ValueError or TypeError where a worker does not say what it should."""
    load, *outcomes = [Outcome(Ended(ended), str(text)) for ended, text in told]
    if len(outcomes) != len(job.expressions):
        raise ValueError("not one outcome for each expression")
    return Report(tuple(outcomes), load)


def _ended(job: Job, how: Outcome) -> Report:
    rest = how if how is _NOT_RUN else _NOT_RUN
    return Report((rest,) * len(job.expressions), how)
