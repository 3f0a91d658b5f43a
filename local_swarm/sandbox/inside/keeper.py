"""Has one job done: forks a child for it, watches the child from outside, tells what came of it.

A child that takes too long, or writes what it should not, is killed: nothing in it is asked to
end. What had not been evaluated then is done by a further child, while the job has time.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypedDict

from . import child
from .results import LIMIT, NOT_RUN, TIMEOUT, VALUE, Reader, Result

_READ_BYTES = 1 << 16


class JobLimits(TypedDict):
    """Times in seconds: of CPU but for `wall_s`."""

    load_s: float
    expression_s: float
    job_s: float
    wall_s: float
    memory_bytes: int
    value_chars: int
    report_chars: int


class Order(TypedDict):
    """A job as the pool sends it."""

    source: str
    expressions: list[str]
    limits: JobLimits


class Abandoned(Exception):
    """The pool is gone: nobody waits for this job."""


def report(order: Order, leashes: list[int]) -> list[Result]:
    """How the program ended, then each expression. Raises Abandoned when one of the descriptors in
    `leashes` says something."""
    count = len(order["expressions"])
    budget = _Budget(order["limits"])
    loaded: Result = (NOT_RUN, "")
    done: list[Result] = []
    while True:
        results, why = _attempt(order, len(done), budget, leashes)
        first = results[0] if results else (why, "")
        loaded = first if loaded[0] == NOT_RUN else loaded
        done += results[1:]
        if first[0] != VALUE or len(done) >= count:
            break
        done.append((why, ""))
        if len(done) >= count or budget.is_spent():
            break
    return [loaded, *done[:count], *[(NOT_RUN, "")] * (count - len(done))]


class _Budget:
    """What the children of one job may use together."""

    def __init__(self, limits: JobLimits) -> None:
        self.limits = limits
        self.cpu_s = limits["job_s"]
        self.chars = limits["report_chars"]
        self._ends = time.monotonic() + limits["wall_s"]

    def wall_s(self) -> float:
        return self._ends - time.monotonic()

    def is_spent(self) -> bool:
        return self.cpu_s <= 0 or self.chars <= 0 or self.wall_s() <= 0


def _attempt(
    order: Order, first: int, budget: _Budget, leashes: list[int]
) -> tuple[list[Result], str]:
    """The results of one child that begins with expression `first`, and why there are no more."""
    limits, rest = order["limits"], order["expressions"][first:]
    cpu_s = math.ceil(limits["job_s"]) + 1

    def work(parent: int, result_fd: int) -> None:
        child.wall_in(result_fd, parent, limits["memory_bytes"], cpu_s)
        child.answer(order["source"], rest, limits["value_chars"])

    with started(work) as running:
        watch = _Watch(running, budget, leashes, 1 + len(rest))
        why = watch.until_end()
    budget.cpu_s -= running.cpu_s
    return watch.results, why


@dataclass(slots=True)
class Running:
    """A child, and the end of its pipe that is read. `cpu_s` is known once it has ended."""

    pid: int
    fd: int
    cpu_s: float = 0.0

    def cpu_now(self) -> float:
        """CPU time so far in seconds, of all its threads: the clock that the kernel has for each
        process (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.pid << 3) | 2)


@contextlib.contextmanager
def started(work: Callable[[int, int], None]) -> Iterator[Running]:
    """A child that does `work(id of this process, descriptor for its results)`. It is killed when
    the context ends."""
    parent = os.getpid()
    end = os._exit
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(parent, write_fd)
        finally:
            end(0)
    os.close(write_fd)
    running = Running(pid, read_fd)
    try:
        yield running
    finally:
        os.kill(pid, signal.SIGKILL)  # it is not yet waited for, so the id is still its own
        usage = os.wait4(pid, 0)[2]
        running.cpu_s = usage.ru_utime + usage.ru_stime
        os.close(read_fd)


class _Watch:
    """Reads a child's results, and knows when it has had its time."""

    def __init__(
        self, running: Running, budget: _Budget, leashes: list[int], expected: int
    ) -> None:
        self.results: list[Result] = []
        self._running = running
        self._budget = budget
        self._expected = expected
        self._reader = Reader(budget.limits["value_chars"])
        self._step_began = 0.0
        self._poller = select.poll()
        for fd in (running.fd, *leashes):
            self._poller.register(fd, select.POLLIN)

    def until_end(self) -> str:
        """Why the next result is missing; of no meaning where none is."""
        while len(self.results) < self._expected:
            left = self._left_s()
            if left <= 0:
                return TIMEOUT
            ready = [fd for fd, _ in self._poller.poll(math.ceil(left * 1000))]
            if self._running.fd in ready:
                if not self._read():
                    return LIMIT
            elif ready:
                raise Abandoned
        return VALUE

    def _left_s(self) -> float:
        """Until the time may be up: a process has one thread, and uses no more CPU than passes."""
        used = self._running.cpu_now()
        limits = self._budget.limits
        step = limits["expression_s"] if self.results else limits["load_s"]
        return min(self._step_began + step - used, self._budget.cpu_s - used, self._budget.wall_s())

    def _read(self) -> bool:
        """False when the child has ended, or wrote what it should not."""
        data = os.read(self._running.fd, _READ_BYTES)
        found = self._reader.feed(data)
        self._step_began = self._running.cpu_now() if found else self._step_began
        self._budget.chars -= sum(len(text) for _, text in found)
        self.results += found[: self._expected - len(self.results)]
        return bool(data) and not self._reader.is_forged and self._budget.chars > 0
