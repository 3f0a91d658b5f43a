"""What every service manager offers, and the surroundings in which it is asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from local_swarm.errors import UsageError
from local_swarm.service.service import Service, ServiceError, ServiceStatus, Target, UnitFile

ANSWER_S = 30.0
NOT_FOUND = 127


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended; `code` 127 where there is no such program."""

    code: int
    out: str = ""
    err: str = ""


class Runner(Protocol):
    def __call__(self, argv: Sequence[str], timeout_s: float = ANSWER_S, /) -> Ran: ...


def run_command(argv: Sequence[str], timeout_s: float = ANSWER_S, /) -> Ran:
    """Runs it to its end, which blocks. Never raises: who does not answer has failed (code 124)."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(124, err=f"{argv[0]} did not answer within {timeout_s:.0f} s")
    except OSError as exc:
        return Ran(NOT_FOUND, err=f"{argv[0]}: {exc.strerror or exc}")
    return Ran(done.returncode, done.stdout, done.stderr)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The machine as a manager sees it. `root` is where the system's own files are."""

    run: Runner = run_command
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    root: Path = Path("/")
    home: Path = field(default_factory=Path.home)
    is_root: bool = field(default_factory=_is_root)

    def needs_root(self, system: bool) -> None:
        """Raises UsageError where a service of the machine is asked for by somebody else."""
        if system and not self.is_root:
            raise UsageError(
                "A service of the machine is managed by root.",
                hint="Run the command with sudo, or leave --system out.",
            )

    def checked(self, *argv: str, timeout_s: float = ANSWER_S) -> str:
        """The command's output. Raises ServiceError with its words where it failed."""
        ran = self.run(argv, timeout_s)
        if ran.code != 0:
            words = (ran.err or ran.out).strip() or f"exit code {ran.code}"
            raise ServiceError(
                f"`{' '.join(argv)}` failed: {words}", hint="docs/service.md says what it needs."
            )
        return ran.out


class Manager(Protocol):
    """One service manager. Its calls block for as long as the manager takes, and raise
    ServiceError with its words where it refuses, UsageError where the user may not."""

    @property
    def name(self) -> str: ...

    def missing(self, system: bool) -> str | None:
        """Why it cannot be used here; None where it can."""

    def own_directory(self, target: Target, user: str) -> str | None:
        """Where a service that has a user of its own keeps everything; None where it runs as
        somebody who has directories."""

    def path(self, target: Target) -> Path:
        """Where the service is described; for a manager with several files, their folder."""

    def logs(self, target: Target) -> str:
        """Where to read what the service says: a command, or a file."""

    def files(self, service: Service) -> tuple[UnitFile, ...]:
        """What `install` writes. Touches nothing."""

    def read(self, target: Target) -> Service:
        """The service as `install` was asked for it, from its files. Raises ServiceError where they
        cannot be read or are not ours."""

    def install(self, service: Service) -> tuple[str, ...]:
        """Writes the files and has the service start by itself from now on; does not start it,
        unless the manager cannot do otherwise. Returns what the user should know. Again is fine."""

    def uninstall(self, target: Target) -> bool:
        """Stops it, and removes what `install` wrote. False where there was nothing."""

    def start(self, target: Target) -> None:
        """Starts it; returns when the manager says that it has, which may be before it is ready."""

    def stop(self, target: Target) -> None: ...

    def restart(self, target: Target) -> None: ...

    def status(self, target: Target) -> ServiceStatus: ...
