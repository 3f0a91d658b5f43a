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


class Cause(str, Enum):
    """Why a life of a worker ended, as far as its exit and its last words tell."""

    ASKED = "asked"  # we ended it: a stop, a restart
    KILLED = "killed"  # a signal from outside
    CRASHED = "crashed"  # a fault of its own: SEGV, ABRT, ...
    EXITED = "exited"  # of itself, for a reason that is not known
    OUT_OF_MEMORY = "out_of_memory"  # killed for RAM, or an allocation of RAM failed
    DEVICE_MEMORY = "device_memory"  # an allocation on an accelerator failed
    BAD_MODEL = "bad_model"
    BAD_FLAGS = "bad_flags"
    PORT_TAKEN = "port_taken"
    NOT_RUN = "not_run"  # the program could not be started
    TOO_SLOW = "too_slow"  # not ready in time
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker's process ended. Exactly one of `exit_code` and `signal` is set.

    `generation` is the life that ended, after `lived_s` seconds; `log_tail` its last lines.
    """

    worker: str
    generation: int
    exit_code: int | None
    signal: int | None
    log_tail: tuple[str, ...] = ()
    kind: Cause = Cause.EXITED
    lived_s: float = 0.0

    @property
    def cause(self) -> str:
        """`'exit 1'` or `'signal 9'`, and what is behind it where that says more."""
        how = f"exit {self.exit_code}" if self.signal is None else f"signal {self.signal}"
        return how if self.kind in _SAID_BY_EXIT else f"{how}, {self.kind.value.replace('_', ' ')}"


_SAID_BY_EXIT = (Cause.ASKED, Cause.EXITED, Cause.KILLED, Cause.CRASHED)


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

    `reason` says why it is not ready, `reduced` what was given up for lack of memory; `crashes`
    counts lives that ended unasked. `rss_bytes`, `pss_bytes` and `vram_bytes` are what it holds now
    with its children, None where the system does not tell.
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
    reason: str | None = None
    reduced: str | None = None
    crashes: int = 0
    rss_bytes: int | None = None
    pss_bytes: int | None = None
    vram_bytes: int | None = None
