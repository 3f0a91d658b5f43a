"""What the doctor finds of installed services, with a manager that only answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from local_swarm.service import Service, Target, program
from local_swarm.service.base import Ran
from local_swarm.service.systemd import Systemd
from local_swarm.swarm.doctor import Finding, Level
from local_swarm.swarm.doctor.service import found
from tests.service.managers import around

RUNS = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nMainPID=7\n"
Doctor = Callable[[], list[Finding]]


@pytest.fixture
def systemd(tmp_path: Path) -> Systemd:
    (tmp_path / "root/run/systemd/system").mkdir(parents=True)
    return Systemd(around(tmp_path, lambda argv: Ran(0, RUNS))[0])


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """Of this program, as `lswarm service install` makes one."""
    command = (*program(sys.executable), "up", "--port", "8123")
    return Service(Target(), command, environment={"LSWARM_HOME": str(tmp_path / "swarm")})


def levels(findings: list[Finding]) -> list[Level]:
    return [finding.level for finding in findings]


def test_no_service_is_fine(systemd: Systemd, tmp_path: Path) -> None:
    assert levels(list(found(systemd))) == [Level.OK]
    (nowhere,) = found(Systemd(around(tmp_path / "other")[0]))
    assert (nowhere.level, "systemd does not run" in nowhere.what) == (Level.OK, True)


def test_every_service_of_ours_is_looked_at(systemd: Systemd, service: Service) -> None:
    for target in (Target(), Target("big"), Target("big", True)):
        systemd.install(replace(service, target=target))
    findings = list(found(systemd))
    assert levels(findings) == [Level.OK] * 3
    assert sorted(finding.what.split()[2] for finding in findings) == [
        *("lswarm", "lswarm-big", "lswarm-big")
    ]


def test_a_unit_of_an_earlier_version_is_outdated(systemd: Systemd, service: Service) -> None:
    systemd.install(replace(service, target=Target("big")))
    unit = systemd.path(Target("big"))
    unit.write_text(unit.read_text().replace("WatchdogSec=30\n", ""))
    _, outdated = found(systemd)
    assert (outdated.level, "outdated" in outdated.what) == (Level.WARNING, True)
    assert "lswarm service install --name big -- --port 8123" in outdated.cure


def test_so_is_one_of_settings_that_have_changed(
    systemd: Systemd, service: Service, tmp_path: Path
) -> None:
    systemd.install(service)
    settings = tmp_path / "swarm/config/lswarm.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[swarm]\nstop_timeout_s = 300\n")
    assert levels(list(found(systemd))) == [Level.OK, Level.WARNING]
    systemd.install(replace(service, stop_s=300.0))
    assert levels(list(found(systemd))) == [Level.OK]
    settings.write_text("[swarm]\nvoters = 'x'\n")
    _, wrong = found(systemd)
    assert (wrong.level, "would not start" in wrong.what) == (Level.WARNING, True)


def test_another_installation_is_told_and_one_that_has_gone_is_a_warning(
    systemd: Systemd, service: Service, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.touch()
    systemd.install(replace(service, command=(str(python), "-m", "local_swarm", "up")))
    assert levels(list(found(systemd))) == [Level.OK, Level.NOTE]
    python.unlink()
    _, gone = found(systemd)
    assert (gone.level, "has gone" in gone.what) == (Level.WARNING, True)


def test_a_unit_that_is_not_ours_and_a_manager_that_refuses_are_notes(
    systemd: Systemd, service: Service, tmp_path: Path
) -> None:
    systemd.install(service)
    refuses = Systemd(around(tmp_path, lambda argv: Ran(1, err="no bus"))[0])
    systemd.path(Target()).write_text("[Service]\n")
    assert levels(list(found(refuses))) == [Level.NOTE, Level.NOTE]


def test_settings_that_this_user_does_not_see_say_nothing_about_the_unit(
    systemd: Systemd, service: Service
) -> None:
    """Those of a service of the machine, in a directory of its own."""
    systemd.install(replace(service, target=Target(system=True), stop_s=300.0))
    assert levels(list(found(systemd))) == [Level.OK]
