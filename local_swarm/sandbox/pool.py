"""Hands jobs to the workers of a sandbox."""

from __future__ import annotations

import os
import platform
import struct
import sys
import threading
import weakref
from collections.abc import Sequence
from types import TracebackType

from local_swarm.domain.execution import Job, Report
from local_swarm.errors import SandboxUnavailable
from local_swarm.sandbox.limits import Limits
from local_swarm.sandbox.round import Round
from local_swarm.sandbox.tree import Tree, Unwalled
from local_swarm.sandbox.ways import WAYS, Way

MACHINES = ("x86_64", "aarch64")
"""Where the filter of system calls is known (`inside.seccomp`)."""

_MOST_WORKERS = 8


class Sandbox:
    """Runs candidates' code. Use as a context manager, or call `close`.

    Begun when made, which blocks until its walls have been tested; raises SandboxUnavailable where
    the machine has no way to build them. Should its processes die later, new ones are begun.
    Any thread may call it; runs take turns. A fork of the process begins processes of its own.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        workers: int | None = None,
        ways: Sequence[Way] = WAYS,
    ) -> None:
        self.limits = limits or Limits()
        self._workers = workers or min(_MOST_WORKERS, _usable_cpus())
        self._ways = ways
        self._lock = threading.Lock()
        self._tree: Tree | None = None
        self._is_closed = False
        self._begin()
        _open.add(self)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(self, jobs: Sequence[Job]) -> list[Report]:
        """A report for each job, in order. Blocks, for `limits.run_wall_s` and little more at most;
        what has no time left is not run. Equal jobs are run once. Never raises because of what a
        job does; raises SandboxUnavailable when the sandbox cannot be begun again."""
        with self._lock:
            if self._is_closed:
                raise SandboxUnavailable("The sandbox has been closed.")
            this = Round(self.limits, jobs)
            while this.is_open():
                tree = self._tree or self._begin()
                if not this.go_on(tree.streams):
                    self._drop()
        return [this.report(job) for job in jobs]

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._drop()

    def _begin(self) -> Tree:
        """By the first way that works, which is then the only one tried."""
        whys = [] if (why := _unsupported()) is None else [why]
        for way in () if whys else self._ways:
            try:
                self._tree = Tree(way, self._workers)
            except Unwalled as exc:
                whys.append(f"{way.name}: {exc}")
            else:
                self._ways = (way,)
                return self._tree
        raise SandboxUnavailable(
            f"Answers' code cannot be run safely on this machine ({'; '.join(whys)}).",
            hint="Leave `consensus.execute` off; docs/sandbox.md says what it needs.",
        )

    def _drop(self) -> None:
        tree, self._tree = self._tree, None
        if tree is not None:
            tree.end()

    def _part(self) -> None:
        """In a fork of the process: workers serve one, and a thread that held the lock is gone."""
        self._lock = threading.Lock()
        tree, self._tree = self._tree, None
        if tree is not None:
            tree.forget()


_open: weakref.WeakSet[Sandbox] = weakref.WeakSet()


def _part_all() -> None:
    for sandbox in list(_open):
        sandbox._part()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_part_all)


def _unsupported() -> str | None:
    if sys.platform != "linux":
        return f"there is none for {platform.system()}"
    if platform.machine() not in MACHINES or struct.calcsize("P") != 8:
        return f"there is none for {platform.machine()} of this kind"
    return None


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
