"""Runs the swarm as a service of the operating system: one file per service manager, `registry`.

Writes a unit, asks the manager to start and stop it, tells what it says. Starts no swarm itself and
knows nothing of one: what is run is a command line that comes in.
"""

from local_swarm.service.base import Manager, Surroundings
from local_swarm.service.installed import (
    config_of,
    install_command,
    is_current,
    of_program,
    settings_are_open,
    targets,
)
from local_swarm.service.registry import MANAGERS, running, usual
from local_swarm.service.service import (
    PROGRAM,
    NoServiceManager,
    Service,
    ServiceError,
    ServiceState,
    ServiceStatus,
    Target,
    UnitFile,
)
from local_swarm.service.wanted import program

__all__ = [
    "MANAGERS",
    "PROGRAM",
    "Manager",
    "NoServiceManager",
    "Service",
    "ServiceError",
    "ServiceState",
    "ServiceStatus",
    "Surroundings",
    "Target",
    "UnitFile",
    "config_of",
    "install_command",
    "is_current",
    "of_program",
    "program",
    "running",
    "settings_are_open",
    "targets",
    "usual",
]
