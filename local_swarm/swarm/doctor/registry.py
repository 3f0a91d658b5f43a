"""Every check there is, in the order of the report. To add one: a new file and one line here."""

from __future__ import annotations

from collections.abc import Iterable

from local_swarm.swarm.doctor import (
    clock,
    crashes,
    devices,
    directories,
    disk,
    engine,
    leftovers,
    limits,
    memory,
    network,
    port,
    sandbox,
    service,
    settings,
    surroundings,
    swarms,
    versions,
)
from local_swarm.swarm.doctor.finding import Check, Finding, Level

CHECKS: tuple[Check, ...] = (
    Check("versions", versions.check, exit_code=4),
    Check("surroundings", surroundings.check, exit_code=3),
    Check("settings", settings.check, exit_code=3),
    Check("directories", directories.check, exit_code=3),
    Check("disk", disk.check, exit_code=3),
    Check("engine", engine.check, exit_code=4),
    Check("devices", devices.check, exit_code=4),
    Check("memory", memory.check, exit_code=6),
    Check("limits", limits.check, exit_code=3),
    Check("port", port.check, exit_code=7),
    Check("swarms", swarms.check, exit_code=8),
    Check("crashes", crashes.check, exit_code=9),
    Check("leftovers", leftovers.check, exit_code=7),
    Check("service", service.check, exit_code=3),
    Check("sandbox", sandbox.check, exit_code=3),
    Check("network", network.check, exit_code=3),
    Check("clock", clock.check, exit_code=3),
)


def exit_code(findings: Iterable[Finding]) -> int:
    """Of the first error, in the order of the checks; 0 where there is none."""
    codes = {check.name: check.exit_code for check in CHECKS}
    return next((codes[f.check] for f in findings if f.level is Level.ERROR), 0)
