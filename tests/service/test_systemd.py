"""The systemd units, and what is asked of systemctl."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from local_swarm.errors import UsageError
from local_swarm.service import ServiceError, ServiceState, Target
from local_swarm.service.base import Ran
from local_swarm.service.systemd import Systemd, command_line, identity, parsed
from tests.service.managers import around, service

ANALYZE = shutil.which("systemd-analyze")
GPU_KILLERS = ("PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock")
JIT_KILLERS = ("MemoryDenyWriteExecute", "SystemCallFilter")
SANDBOX_KILLERS = ("RestrictNamespaces", "SystemCallFilter")


def unit(tmp_path: Path, **asked) -> str:
    here, _ = around(tmp_path)
    (file,) = Systemd(here).files(service(**asked))
    return file.content.decode()


@pytest.mark.skipif(ANALYZE is None, reason="there is no systemd-analyze")
@pytest.mark.parametrize(
    "asked",
    [{}, {"system": True}, {"system": True, "user": "root"}],
    ids=["of the user", "of the machine", "of the machine, as a user"],
)
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path, asked):
    """Unknown keys are only warnings there, so nothing at all may be said."""
    content = unit(tmp_path, PATH="/opt/bin:/usr/bin", **asked).replace(
        "/opt/x/bin/python", "/bin/sh"
    )
    (tmp_path / "lswarm.service").write_text(content)
    done = subprocess.run(
        [ANALYZE, "verify", *([] if asked else ["--user"]), str(tmp_path / "lswarm.service")],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("asked", [{}, {"system": True}, {"system": True, "user": "root"}])
def test_nothing_of_the_template_is_left_and_nothing_keeps_a_gpu_out(tmp_path, asked):
    content = unit(tmp_path, **asked)
    assert "@" not in content
    keys = [line.split("=")[0] for line in content.splitlines()]
    assert not {*GPU_KILLERS, *JIT_KILLERS, *SANDBOX_KILLERS} & set(keys)
    assert "TimeoutStopSec=60" in content.splitlines()


@pytest.mark.parametrize("asked", [{}, {"system": True}], ids=["of the user", "of the machine"])
def test_what_keeps_a_swarm_running_is_in_every_unit(tmp_path, asked):
    """Ready and watched, started again but for what no start heals, stopped in order, and not
    ended for one worker that ran out of memory."""
    assert {
        *("Type=notify", "NotifyAccess=main", "WatchdogSec=30", "ExecReload=kill -HUP $MAINPID"),
        *("Restart=on-failure", "RestartPreventExitStatus=2 3 4 6", "SuccessExitStatus=130"),
        *("KillMode=mixed", "OOMPolicy=continue", "LimitNOFILE=65536", "LimitCORE=0"),
        *("NoNewPrivileges=yes", "UMask=0077"),
    } <= set(unit(tmp_path, **asked).splitlines())


def test_a_user_of_its_own_owns_one_directory_and_nothing_else(tmp_path):
    lines = unit(tmp_path, system=True).splitlines()
    assert {"DynamicUser=yes", "StateDirectory=lswarm", "CapabilityBoundingSet="} <= set(lines)
    assert "ProtectSystem=strict" in lines
    assert not any(line.startswith("User=") for line in lines)


def test_a_named_user_keeps_its_rights_and_directories(tmp_path):
    lines = unit(tmp_path, system=True, user="me").splitlines()
    assert {"User=me", "ProtectSystem=full"} <= set(lines)
    assert not any(line.startswith(("DynamicUser", "CapabilityBoundingSet")) for line in lines)


def test_groups_and_device_nodes_for_gpus_are_asked_for_where_they_exist():
    asked = service(system=True)
    lines = identity(asked, ("video", "render"), "/usr/bin/nvidia-modprobe")
    assert "SupplementaryGroups=video render" in lines
    assert lines[0] == "ExecStartPre=-+/usr/bin/nvidia-modprobe -c 0 -u"
    assert not any("Groups" in line or "modprobe" in line for line in identity(asked, (), None))


def test_words_that_systemd_would_read_are_quoted():
    assert command_line(["/bin/x", "--a=b", "c d", "%h $X"]) == '/bin/x --a=b "c d" "%%h $$X"'


def test_installing_twice_is_as_once(tmp_path):
    here, asked = around(tmp_path)
    manager = Systemd(here)
    for _ in range(2):
        manager.install(service(system=True, user="me"))
    path = tmp_path / "root/etc/systemd/system/lswarm.service"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in path.parent.iterdir()] == ["lswarm.service"]
    assert asked.asked == ["systemctl daemon-reload", "systemctl enable lswarm.service"] * 2


@pytest.mark.parametrize(("linger", "word"), [("yes", "keeps running"), ("no", "enable-linger")])
def test_a_service_of_the_user_says_what_a_logout_does(tmp_path, linger, word):
    here, asked = around(tmp_path, lambda argv: Ran(0, linger), is_root=False)
    said = Systemd(here).install(service())
    assert (tmp_path / "home/.config/systemd/user/lswarm.service").exists()
    assert word in said[-1]
    assert not any("enable-linger" in command for command in asked.asked), "said, never done"
    assert f"loginctl show-user {os.getuid()} --property=Linger --value" in asked.asked


def test_root_is_needed_for_a_service_of_the_machine(tmp_path):
    here, asked = around(tmp_path, is_root=False)
    manager, target = Systemd(here), Target(system=True)
    for act in (manager.uninstall, manager.start, manager.stop, manager.restart):
        with pytest.raises(UsageError, match="root"):
            act(target)
    with pytest.raises(UsageError, match="root"):
        manager.install(service(system=True))
    assert not asked.asked


def test_a_program_that_the_services_own_user_cannot_read_is_found_before(tmp_path):
    here, asked = around(tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").touch()
    wanted = replace(service(system=True), reads=(closed / "python",))
    with pytest.raises(UsageError, match="closed to others"):
        Systemd(here).install(wanted)
    assert not asked.asked
    Systemd(here).install(replace(wanted, user="me"))


def test_what_was_not_installed_is_not_removed(tmp_path):
    here, asked = around(tmp_path)
    assert not Systemd(here).uninstall(Target("other", system=True))
    assert not asked.asked


def test_removing_stops_it_first_and_leaves_the_units_of_others(tmp_path):
    here, asked = around(tmp_path)
    manager = Systemd(here)
    manager.install(service(system=True, user="me"))
    other = tmp_path / "root/etc/systemd/system/other.service"
    other.touch()
    asked.asked.clear()
    assert manager.uninstall(Target(system=True))
    assert asked.asked[0] == "systemctl disable --now lswarm.service"
    assert [p.name for p in other.parent.iterdir()] == ["other.service"]


def test_the_managers_own_words_are_told(tmp_path):
    here, _ = around(tmp_path, lambda argv: Ran(1, err="Unit is masked."))
    with pytest.raises(ServiceError, match="Unit is masked"):
        Systemd(here).start(Target(system=True))


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        ("LoadState=not-found\nActiveState=inactive", ServiceState.ABSENT),
        ("LoadState=loaded\nActiveState=active\nMainPID=7", ServiceState.RUNNING),
        ("LoadState=loaded\nActiveState=reloading", ServiceState.RUNNING),
        ("LoadState=loaded\nActiveState=activating", ServiceState.STARTING),
        ("LoadState=loaded\nActiveState=deactivating", ServiceState.STOPPING),
        ("LoadState=loaded\nActiveState=failed\nResult=watchdog", ServiceState.FAILED),
        ("LoadState=loaded\nActiveState=inactive", ServiceState.STOPPED),
    ],
)
def test_what_systemctl_shows_is_told_in_our_words(shown, state):
    assert parsed(shown).state is state


def test_the_services_own_line_wins_over_how_the_last_life_ended():
    found = parsed("ActiveState=active\nMainPID=7\nNRestarts=2\nStatusText=a=b\nResult=watchdog")
    assert (found.pid, found.restarts, found.detail) == (7, 2, "a=b")
    assert parsed("ActiveState=failed\nMainPID=0\nResult=watchdog").detail == "watchdog"
    assert parsed("ActiveState=failed\nMainPID=0\nResult=watchdog").pid is None


def test_a_machine_that_systemd_does_not_run_is_told(tmp_path):
    here, _ = around(tmp_path)
    assert "does not run" in (Systemd(here).missing(True) or "")
    (tmp_path / "root/run/systemd/system").mkdir(parents=True)
    assert Systemd(here).missing(True) is None
    broken, _ = around(tmp_path, lambda argv: Ran(1))
    assert "no systemd of its own" in (Systemd(broken).missing(False) or "")
