"""The service managers, and the one that is here."""

from __future__ import annotations

import sys
from collections.abc import Callable

from local_swarm.service.base import Manager, Surroundings
from local_swarm.service.service import NoServiceManager


def _systemd(here: Surroundings) -> Manager:
    from local_swarm.service.systemd import Systemd

    return Systemd(here)


def _launchd(here: Surroundings) -> Manager:
    from local_swarm.service.launchd import Launchd

    return Launchd(here)


def _windows(here: Surroundings) -> Manager:
    from local_swarm.service.windows import TaskScheduler

    return TaskScheduler(here)


def _termux(here: Surroundings) -> Manager:
    from local_swarm.service.termux import Termux

    return Termux(here)


MANAGERS: dict[str, Callable[[Surroundings], Manager]] = {
    "systemd": _systemd,
    "launchd": _launchd,
    "windows": _windows,
    "termux": _termux,
}


def usual(here: Surroundings, platform: str = sys.platform) -> Manager:
    """The manager of this operating system, whether or not it runs."""
    if platform == "darwin":
        return _launchd(here)
    if platform == "win32":
        return _windows(here)
    is_termux = "com.termux" in here.env.get("PREFIX", "")
    return _termux(here) if is_termux else _systemd(here)


def running(manager: Manager, system: bool) -> Manager:
    """The manager itself. Raises NoServiceManager where it cannot be used."""
    if (why := manager.missing(system)) is not None:
        raise NoServiceManager(
            f"No service manager can be used here: {why}.",
            hint="`lswarm up --detach` runs without one; `lswarm service print` shows the unit.",
        )
    return manager
