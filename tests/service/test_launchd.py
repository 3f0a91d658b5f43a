"""The property list, and what is asked of launchctl. Never seen on a real macOS."""

from __future__ import annotations

import plistlib

import pytest

from local_swarm.errors import UsageError
from local_swarm.service import ServiceState, Target
from local_swarm.service.base import Ran
from local_swarm.service.launchd import Launchd, parsed
from tests.service.managers import COMMAND, around, service

# launchd.plist(5): the keys used here, and their types.
KEYS = {
    "Label": str,
    "ProgramArguments": list,
    "EnvironmentVariables": dict,
    "StandardOutPath": str,
    "StandardErrorPath": str,
    "ExitTimeOut": int,
    "UserName": str,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ThrottleInterval": int,
    "ProcessType": str,
    "WorkingDirectory": str,
    "Umask": int,
    "SoftResourceLimits": dict,
}
PROCESS_TYPES = ("Background", "Standard", "Adaptive", "Interactive")
LIMITS = {"Core", "CPU", "Data", "FileSize", "MemoryLock", "NumberOfFiles", "NumberOfProcesses"}


def launchd(tmp_path, answers=lambda argv: Ran(0)):
    here, asked = around(tmp_path, answers)
    return Launchd(here, uid=501), asked


@pytest.mark.parametrize("asked", [{}, {"system": True, "user": "me"}])
def test_every_key_is_one_of_launchds_and_of_its_type(tmp_path, asked):
    manager, _ = launchd(tmp_path)
    (file,) = manager.files(service(**asked, LSWARM_HOME="/x"))
    job = plistlib.loads(file.content)
    assert job == manager.job(service(**asked, LSWARM_HOME="/x"))
    for key, value in job.items():
        assert type(value) is KEYS[key], key
    assert job["ProgramArguments"] == list(COMMAND)
    assert job["EnvironmentVariables"] == {"LSWARM_HOME": "/x"}
    assert job["KeepAlive"] == {"SuccessfulExit": False}
    assert job["ProcessType"] in PROCESS_TYPES
    assert set(job["SoftResourceLimits"]) <= LIMITS
    assert job["Umask"] == 0o077
    assert job["ExitTimeOut"] == 60
    assert job.get("UserName") == asked.get("user")


def test_a_daemon_does_not_run_as_root_unasked(tmp_path):
    manager, _ = launchd(tmp_path)
    with pytest.raises(UsageError, match="root"):
        manager.install(service(system=True))


def test_installing_writes_the_agent_and_a_log_that_its_user_may_write(tmp_path):
    manager, asked = launchd(tmp_path)
    manager.install(service())
    assert (tmp_path / "home/Library/LaunchAgents/local-swarm.lswarm.plist").is_file()
    assert (tmp_path / "home/Library/Logs/local_swarm/lswarm.log").is_file()
    assert asked.asked == ["launchctl enable gui/501/local-swarm.lswarm"]


def test_starting_loads_it_and_stopping_takes_it_out(tmp_path):
    loaded: list[bool] = []

    def answers(argv):
        match argv[1]:
            case "bootstrap":
                loaded.append(True)
            case "bootout":
                loaded.clear()
            case "print":
                return Ran(0 if loaded else 113)
        return Ran(0)

    manager, asked = launchd(tmp_path, answers)
    target = Target(system=True)
    manager.install(service(system=True, user="me"))
    manager.start(target)
    plist = tmp_path / "root/Library/LaunchDaemons/local-swarm.lswarm.plist"
    assert asked.asked[-1] == f"launchctl bootstrap system {plist}"
    manager.start(target)
    assert asked.asked[-1] == "launchctl kickstart system/local-swarm.lswarm"
    assert manager.uninstall(target)
    assert asked.asked[-1] == "launchctl bootout system/local-swarm.lswarm"
    assert not plist.exists()
    assert manager.status(target).state is ServiceState.ABSENT
    assert not manager.uninstall(target)


@pytest.mark.parametrize(
    ("listed", "state", "pid"),
    [
        ('{\n\t"LastExitStatus" = 0;\n\t"PID" = 77;\n};', ServiceState.RUNNING, 77),
        ('{\n\t"LastExitStatus" = 768;\n};', ServiceState.FAILED, None),
        ('{\n\t"LastExitStatus" = 0;\n};', ServiceState.STOPPED, None),
        ("", ServiceState.STOPPED, None),
    ],
)
def test_what_launchctl_lists_is_told_in_our_words(listed, state, pid):
    assert (parsed(listed).state, parsed(listed).pid) == (state, pid)
