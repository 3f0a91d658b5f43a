"""What is run as a service, and what its manager says of it. Values only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from local_swarm.errors import LocalSwarmError, NotRunningError, UsageError

PROGRAM = "lswarm"
STOP_MARGIN_S = 30.0
"""After the time that running requests are given: the workers' own stop ladder."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


class NoServiceManager(NotRunningError):
    """Nothing here could run a service: no systemd, launchd, Task Scheduler or runit."""

    code = "no_service_manager"


class ServiceError(LocalSwarmError):
    """The service manager refused; the message has its own words."""

    code = "service"


@dataclass(frozen=True, slots=True)
class Target:
    """One service: whose name it has, and whether it is the machine's or the user's."""

    name: str = PROGRAM
    system: bool = False

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise UsageError(
                f"{self.name!r} cannot be the name of a service.",
                hint="Use letters, digits, - and _; 64 at most.",
            )

    @property
    def unit(self) -> str:
        """What the manager calls it. Always one of ours, so that no other service is touched."""
        return self.name if self.name == PROGRAM else f"{PROGRAM}-{self.name}"


@dataclass(frozen=True, slots=True)
class Service:
    """What is to be run, as whom, and how long it may take to stop.

    `command` begins with an absolute path. `user` is for a service of the machine; empty leaves it
    to the manager. `stop_s` is the time that running requests are given (`swarm.stop_timeout_s`);
    `reads` are files without which it cannot start.
    """

    target: Target
    command: tuple[str, ...]
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 30.0
    reads: tuple[Path, ...] = ()

    @property
    def longest_stop_s(self) -> int:
        """Whole seconds after which the manager may kill it."""
        return int(self.stop_s + STOP_MARGIN_S + 0.999)

    @staticmethod
    def stop_s_of(longest_stop_s: float) -> float:
        """The other way round."""
        return longest_stop_s - STOP_MARGIN_S


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A file that describes a service to its manager."""

    path: Path
    content: bytes
    mode: int = 0o644


class ServiceState(str, Enum):
    ABSENT = "not installed"
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What the manager says; None is what it does not tell.

    `enabled`: starts by itself with the machine, or when the user logs in. `detail` is the
    service's own line (systemd's status text), or how it ended.
    """

    state: ServiceState
    enabled: bool | None = None
    pid: int | None = None
    restarts: int | None = None
    detail: str = ""
