"""The service that the system runs, where one was installed."""

from __future__ import annotations

from collections.abc import Iterator

from local_swarm.service import NoServiceManager, ServiceError, Surroundings, Target, usual
from local_swarm.service.service import ServiceState, ServiceStatus
from local_swarm.swarm.doctor.finding import Context, Finding, note, ok, warning


def check(context: Context) -> Iterator[Finding]:
    manager = usual(Surroundings())
    if (why := manager.missing(False)) is not None:
        yield ok(f"No service manager can be used here: {why}.")
        return
    try:
        status = manager.status(Target())
    except (NoServiceManager, ServiceError) as refused:
        yield note(f"The service manager does not tell: {refused.message}", refused.hint)
        return
    yield judged(status)


def judged(status: ServiceStatus) -> Finding:
    detail = f" ({status.detail})" if status.detail else ""
    if status.state is ServiceState.ABSENT:
        return ok("No service is installed.")
    if status.state is ServiceState.FAILED:
        return warning(f"The service has failed{detail}.", "`lswarm logs` has its last words.")
    told = f"The service is {status.state.value}{detail}."
    if status.enabled is False:
        return note(f"{told} It does not start by itself.", "`lswarm service install` enables it.")
    return ok(told)
