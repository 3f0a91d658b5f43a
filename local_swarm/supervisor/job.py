"""What a fleet is given to keep alive, and what it needs of others to do so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.plan import CPU_DEVICE, Observed
from local_swarm.domain.worker import DeviceMemory

Where = Literal["host", "device"]
"""Whose memory is short."""


class Launcher(Protocol):
    """Says how to start a worker; called once per life, because each life gets a fresh port."""

    def __call__(self) -> LaunchSpec: ...


class Observer(Protocol):
    """Reads from the first lines of a life what the engine allocated; None when they do not
    tell."""

    def __call__(self, lines: Sequence[str], /) -> Observed | None: ...


class StartWatch(Protocol):
    """Measures the devices of a worker around one start. `before` is called before the process is
    made, `ready` once it takes traffic (unless it ended first), both in a thread, for they may
    block; `ended` in any case. None of them raises."""

    def before(self) -> None: ...

    def ready(self) -> tuple[DeviceMemory, ...]: ...

    def ended(self) -> None: ...


class Shrink(Protocol):
    """The same worker with less of the memory that is short; None where nothing is left to give.
    Pure, and quick."""

    def __call__(self, where: Where, /) -> Job | None: ...


@dataclass(frozen=True, slots=True)
class JobMemory:
    """What of a worker's planned bytes lies where: in RAM (`host_bytes`, without the weights that
    are mapped there, which are `mapped_bytes`), and on each device with memory of its own. Of the
    former, `cache_bytes` are for cached prompts."""

    host_bytes: int = 0
    mapped_bytes: int = 0
    cache_bytes: int = 0
    on_devices: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """One worker to keep alive: its name, its slots, and how to launch it.

    `pool` and `token_bytes` are for its `Endpoint`. `watch` gives a watch for each life; None where
    there is nothing to measure. `devices` are those it starts on, `memory` tells where its
    `planned_bytes` lie. `given_up` says what it lacks of its plan, "" for nothing. `slot_bytes` is
    the most that a slot takes as a file; a planned restart keeps the prompts in the worker's slots
    so, 0: it does not.
    """

    id: str
    slots: int
    lanes: int
    ctx: int
    api_key: str
    planned_bytes: int
    launch: Launcher
    pool: int = 0
    token_bytes: int = 0
    observe: Observer = lambda lines: None
    watch: Callable[[], StartWatch] | None = None
    devices: tuple[str, ...] = (CPU_DEVICE,)
    memory: JobMemory = field(default_factory=JobMemory)
    shrink: Shrink = lambda where: None
    given_up: str = ""
    slot_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where and how much of the workers' output is kept; `directory` None keeps only the tail."""

    directory: Path | None = None
    lines: int = 50
    max_bytes: int = 10 * 1024 * 1024
    backups: int = 3
