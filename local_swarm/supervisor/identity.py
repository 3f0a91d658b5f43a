"""Which process is meant, beyond doubt: pids come again, and clocks are set.

On Linux a process is its pid, its pid namespace, and its start in clock ticks since the boot with
this id: nothing of that changes with the wall clock. Elsewhere it is its pid and its start as
psutil tells it, which those systems write down once (macOS and Windows: never seen on a real one).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import msgspec
import psutil

from local_swarm.supervisor import reaper

SAME_S = 0.05  # a start in seconds is rounded differently by different versions of psutil


class Standing(Enum):
    """What is known of a process that was written down once."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"
    """It lives, or lived, where we cannot look: another container, another user's."""


class System(Protocol):
    """How one system tells its processes apart. `started` is None for a process that is gone,
    and raises OSError where that cannot be told."""

    def boot(self) -> str: ...

    def namespace(self) -> str: ...

    def started(self, pid: int) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Proc:
    """Linux; another root and another `kill` are for tests."""

    root: str = reaper.PROC
    kill: Callable[[int, int], None] = os.kill

    def boot(self) -> str:
        try:
            return Path(self.root, "sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""  # some sandboxes hide it; pid and ticks are left

    def namespace(self) -> str:
        try:
            return os.readlink(f"{self.root}/self/ns/pid")
        except OSError:
            return ""

    def started(self, pid: int) -> float | None:
        ticks = reaper.started(pid, self.root)
        if ticks is None:
            self._refuse_hidden(pid)
        return ticks

    def _refuse_hidden(self, pid: int) -> None:
        """Where /proc shows only one's own processes (`hidepid`) another's look as if they were
        gone. Raises PermissionError for those."""
        with contextlib.suppress(ProcessLookupError, OverflowError):
            self.kill(pid, 0)


class Elsewhere:
    """What psutil knows."""

    def boot(self) -> str:
        return ""

    def namespace(self) -> str:
        return ""

    def started(self, pid: int) -> float | None:
        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
        except psutil.NoSuchProcess:
            return None
        except psutil.Error as exc:
            raise PermissionError(str(exc)) from exc


HERE: System = Proc() if reaper.HAS_PROC else Elsewhere()


class ProcessId(msgspec.Struct, frozen=True):
    """A process beyond doubt. `started` is in clock ticks since boot on Linux, in seconds since
    1970 elsewhere; `boot` and `namespace` are empty where there are none, or hidden."""

    pid: int
    started: float
    boot: str = ""
    namespace: str = ""

    @classmethod
    def of(cls, pid: int, system: System = HERE) -> ProcessId:
        """Raises psutil.NoSuchProcess."""
        started = system.started(pid)
        if started is None:
            raise psutil.NoSuchProcess(pid)
        return cls(pid, started, system.boot(), system.namespace())

    def standing(self, system: System = HERE) -> Standing:
        boot = system.boot()
        if self.boot and boot and self.boot != boot:
            return Standing.GONE
        if self.namespace != system.namespace():
            return Standing.UNKNOWN
        try:
            started = system.started(self.pid)
        except OSError:
            return Standing.UNKNOWN
        if started is None or abs(started - self.started) > SAME_S:
            return Standing.GONE
        return Standing.ALIVE

    def process(self) -> psutil.Process | None:
        """The live process; None when it is gone, another one has its pid, or it is out of
        sight."""
        if self.standing() is not Standing.ALIVE:
            return None
        try:
            return psutil.Process(self.pid)
        except psutil.NoSuchProcess:
            return None
