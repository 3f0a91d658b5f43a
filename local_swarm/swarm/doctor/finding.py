"""What a check is given, and what it tells."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from local_swarm.config import Config, Loaded, Paths
from local_swarm.errors import LocalSwarmError
from local_swarm.hardware import Roots
from local_swarm.supervisor import runfile
from local_swarm.supervisor.runfile import RunFile


class Level(str, Enum):
    """OK is as it should be, NOTE worth knowing; a WARNING will hurt some day, an ERROR keeps a
    swarm from starting or from answering."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: a sentence that says what, and one that says what to do about it.

    `check` names who found it; it is filled in by who runs the checks.
    """

    level: Level
    what: str
    cure: str = ""
    check: str = ""


def ok(what: str) -> Finding:
    return Finding(Level.OK, what)


def note(what: str, cure: str = "") -> Finding:
    return Finding(Level.NOTE, what, cure)


def warning(what: str, cure: str) -> Finding:
    return Finding(Level.WARNING, what, cure)


def error(what: str, cure: str) -> Finding:
    return Finding(Level.ERROR, what, cure)


@dataclass(frozen=True, slots=True)
class Context:
    """What every check may look at. Where the settings cannot be read, `problem` says why, and
    `loaded` has the defaults. `config_path` is what --config names."""

    loaded: Loaded
    paths: Paths
    problem: LocalSwarmError | None = None
    port: int | None = None
    config_path: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    roots: Roots = field(default_factory=Roots)
    cwd: Path = field(default_factory=Path.cwd)

    @property
    def config(self) -> Config:
        return self.loaded.config

    @property
    def server_port(self) -> int:
        """The port that is meant: the one named, else that of the settings."""
        return self.config.server.port if self.port is None else self.port

    def runs(self) -> list[RunFile]:
        """What swarms have written of themselves, dead ones included."""
        read = (runfile.read(path) for path in sorted(self.paths.run.glob("swarm-*.json")))
        return [run for run in read if run is not None]


@dataclass(frozen=True, slots=True)
class Check:
    """`find` may block, hang and raise: who runs it bounds and absorbs that. `exit_code` is what
    `lswarm up` would end with for the same reason."""

    name: str
    find: Callable[[Context], Iterable[Finding]]
    exit_code: int
