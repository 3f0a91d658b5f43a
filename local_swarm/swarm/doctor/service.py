"""The services that the system runs, where some were installed: how they are, and whether their
units are what `lswarm service install` would write now."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from local_swarm.config import load
from local_swarm.errors import LocalSwarmError
from local_swarm.service import (
    Manager,
    Service,
    ServiceError,
    ServiceState,
    ServiceStatus,
    Surroundings,
    Target,
    config_of,
    install_command,
    is_current,
    of_program,
    program,
    settings_are_open,
    targets,
    usual,
)
from local_swarm.swarm.doctor.finding import Context, Finding, note, ok, warning


def check(context: Context) -> Iterator[Finding]:
    yield from found(usual(Surroundings()))


def found(manager: Manager) -> Iterator[Finding]:
    """Of all services that this manager has of ours."""
    paths = {manager.path(t): t for system in (True, False) for t in targets(manager, system)}
    if not paths:
        why = manager.missing(False)
        yield ok(f"No service manager can be used here: {why}." if why else "None is installed.")
    for target in paths.values():
        yield _state(manager, target)
        yield from _unit(manager, target)


def judged(unit: str, status: ServiceStatus) -> Finding:
    """One service by what its manager says."""
    detail = f" ({status.detail})" if status.detail else ""
    told = f"The service {unit} is {status.state.value}{detail}."
    if status.state is ServiceState.FAILED:
        return warning(told, "`lswarm service status` says where it logs.")
    if status.state is ServiceState.ABSENT:
        return note(told, "Its manager has not read the unit: `lswarm service install` again.")
    if status.enabled is False:
        return note(f"{told} It does not start by itself.", "`lswarm service install` enables it.")
    return ok(told)


def _state(manager: Manager, target: Target) -> Finding:
    if (why := manager.missing(target.system)) is not None:
        return note(f"The service {target.unit} is installed, and nobody runs it here: {why}.")
    try:
        return judged(target.unit, manager.status(target))
    except ServiceError as refused:
        return note(f"The service manager does not tell: {refused.message}", refused.hint)


def _unit(manager: Manager, target: Target) -> Iterator[Finding]:
    """What is wrong with how it was installed."""
    try:
        service = manager.read(target)
        if (other := _other_program(service)) is not None:
            yield other
        elif not is_current(manager, _as_now(service)):
            yield _outdated(service)
    except ServiceError as odd:
        yield note(odd.message, odd.hint)
    except LocalSwarmError as wrong:
        yield warning(f"The service {target.unit} would not start: {wrong.message}", wrong.hint)


def _other_program(service: Service) -> Finding | None:
    """Where it is not run by this installation: of another one only that can be told."""
    if of_program(service, program(sys.executable)) == service:
        return None
    unit, python = service.target.unit, service.command[0]
    if Path(python).exists():
        return note(f"The service {unit} is run by another installation, with {python}.")
    return warning(
        f"The service {unit} is run by {python}, which has gone.",
        f"Install it again: `{install_command(service)}`.",
    )


def _as_now(service: Service) -> Service:
    """With the settings as they are now, where this user sees them. Raises ConfigError."""
    if not settings_are_open(service):
        return service
    config = load(config_path=config_of(service), env=service.environment, cwd=Path("/")).config
    return replace(service, stop_s=config.swarm.stop_timeout_s)


def _outdated(service: Service) -> Finding:
    return warning(
        f"The unit of the service {service.target.unit} is outdated: it differs from what this"
        " version would write with the settings as they are.",
        f"Install it again, then restart it: `{install_command(service)}`.",
    )
