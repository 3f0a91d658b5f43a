"""What a worker is doing, as others see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from local_swarm.domain.plan import Drift


class WorkerState(str, Enum):
    """See docs/states.md for who moves a worker from one to the next."""

    PENDING = "pending"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"
    BACKOFF = "backoff"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker's process ended. Exactly one of `exit_code` and `signal` is set.

    `generation` is the life that ended; `log_tail` its last lines.
    """

    worker: str
    generation: int
    exit_code: int | None
    signal: int | None
    log_tail: tuple[str, ...] = ()

    @property
    def cause(self) -> str:
        """`'exit 1'` or `'signal 9'`."""
        return f"exit {self.exit_code}" if self.signal is None else f"signal {self.signal}"


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """What a device lost of its free memory while a worker started on it, as its driver counts.

    Includes what the driver holds for the process, and whatever other programs took or gave back
    in that time (so it may be negative).
    """

    device: str
    planned_bytes: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One row of `lswarm status`, as far as the supervisor knows it.

    `observed_bytes` is what its engine printed that it allocated at the start; where it printed
    nothing, what the process holds now (PSS where the system tells it, else RSS). `drift` is where
    that differs from the plan. `device_memory` has the devices whose driver could be asked before
    and after the start, and on which no other worker started meanwhile.
    """

    id: str
    engine: str | None
    state: WorkerState
    pid: int | None
    port: int | None
    slots: int
    ctx: int
    restarts: int
    planned_bytes: int
    observed_bytes: int | None
    drift: tuple[Drift, ...] = ()
    device_memory: tuple[DeviceMemory, ...] = ()
