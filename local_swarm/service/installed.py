"""The services that were installed here, and whether they are what would be installed now."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from local_swarm.errors import UsageError
from local_swarm.service.base import Manager
from local_swarm.service.service import PROGRAM, Service, Target

MODULE = "local_swarm"


def targets(manager: Manager, system: bool) -> Iterator[Target]:
    """Ours, by the names of their files."""
    usual = manager.path(Target(system=system))
    before, _, after = usual.name.partition(PROGRAM)
    for path in sorted(usual.parent.glob(f"{before}{PROGRAM}*{after}")):
        unit = path.name[len(before) : len(path.name) - len(after)]
        with suppress(UsageError):
            target = Target(unit.removeprefix(f"{PROGRAM}-"), system)
            if target.unit == unit:
                yield target


def is_current(manager: Manager, service: Service) -> bool:
    """Whether the files are what an `install` of this service would write."""
    try:
        return all(file.path.read_bytes() == file.content for file in manager.files(service))
    except OSError:
        return False


def of_program(service: Service, program: Sequence[str]) -> Service:
    """The same swarm, run by this program."""
    return replace(service, command=(*program, *words(service)))


def words(service: Service) -> tuple[str, ...]:
    """`up` and what follows it."""
    command = service.command
    return command[command.index(MODULE) + 1 :] if MODULE in command else ()


def config_of(service: Service) -> str | None:
    """The settings file that its command line names."""
    told = words(service)
    flags = told[: told.index("--")] if "--" in told else told
    named = None
    for word, value in zip(flags, (*flags[1:], ""), strict=True):
        if word == "--config":
            named = value
        elif word.startswith("--config="):
            named = word.partition("=")[2]
    return named


def settings_are_open(service: Service) -> bool:
    """Whether this user sees the settings that the service sees."""
    if not service.target.system:
        return True
    place = config_of(service) or service.environment.get("LSWARM_HOME")
    return place is not None and os.access(place, os.R_OK)


def install_command(service: Service) -> str:
    """How the user installs it again as it was."""
    target = service.target
    parts = [PROGRAM, "service", "install"]
    parts += ["--system"] if target.system else []
    parts += ["--name", target.name] if target.name != PROGRAM else []
    parts += ["--run-as", service.user] if service.user and target.system else []
    told = words(service)[1:]
    return shlex.join([*parts, *(["--", *told] if told else [])])
