"""What the memory policy (`pressure`) is told, and what it decides: plain values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Where = Literal["host", "device"]


@dataclass(frozen=True, slots=True)
class Policy:
    """`min_free_bytes` of RAM is the floor below which the host is short, None for 3% of it and
    1 GiB at most; accelerators have that one always. A decision has had its effect `settle_s`
    later, and room must have been there for `relief_s` before a step is taken back."""

    min_free_bytes: int | None = None
    relief_s: float = 120.0
    settle_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Room:
    """A memory: what it has, and what of it is free."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Held:
    """One worker. All sizes are bytes, by device where they are on devices.

    A `moving` one is starting, draining or stopping; a `rested` one was stopped by a `Rest`. It
    `shrinks` where something is left to give up, the first of it being the prompt cache where it
    `has_cache`; it has been `shrunk` by so many steps. `regains_bytes` and `regains_on` are what it
    would take to go one step back: for a rested one, to run.
    """

    id: str
    ready: bool = True
    moving: bool = False
    rested: bool = False
    busy_slots: int = 0
    host_bytes: int = 0
    on_devices: Mapping[str, int] = field(default_factory=dict)
    shrinks: frozenset[Where] = frozenset()
    has_cache: bool = False
    shrunk: int = 0
    regains_bytes: int = 0
    regains_on: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """The machine at `at` (monotonic seconds); None is what it does not tell.

    `mapped_bytes` are weights in RAM: the system counts them as free, but a worker that loses them
    reads them again and again. `stalled` is the share of the last ten seconds in which all waited
    for memory, `oom_kills` how many the kernel has killed since the reading before. `devices` are
    those with memory of their own whose driver tells.
    """

    at: float
    host: Room | None = None
    mapped_bytes: int = 0
    stalled: float | None = None
    oom_kills: int = 0
    devices: Mapping[str, Room] = field(default_factory=dict)
    workers: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Nothing:
    """`why` is said where something would have to be done, and nothing can."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Shed:
    """The worker comes back with the next smaller plan."""

    worker: str
    where: Where
    why: str


@dataclass(frozen=True, slots=True)
class Rest:
    """The worker is stopped. Never the only one that is ready."""

    worker: str
    why: str


@dataclass(frozen=True, slots=True)
class Restore:
    """A rested worker runs again; another comes back as it was before its last step."""

    worker: str
    why: str


Decision = Nothing | Shed | Rest | Restore


def host_room(
    total: int | None, available: int | None, limit: int | None, limit_free: int | None
) -> Room | None:
    """The host's RAM as far as this process may use it; None where it is not told."""
    totals = [size for size in (total, limit) if size is not None]
    free = [size for size in (available, limit_free) if size is not None]
    return Room(min(totals), min(free)) if totals and free else None
