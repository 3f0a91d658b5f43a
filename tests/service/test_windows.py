"""The task, and what is asked of schtasks. Never seen on a real Windows."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

from local_swarm.service import ServiceError, ServiceState, Target
from local_swarm.service.base import Ran
from local_swarm.service.windowless import split
from local_swarm.service.windows import SPACE, TaskScheduler, parsed
from tests.service.managers import around, service

ENV = {"USERDOMAIN": "DESK", "USERNAME": "me", "LOCALAPPDATA": "/local"}

# The Task Scheduler schema: the elements used here, in the order of a sequence where it has one
# (triggers), any order elsewhere.
ALLOWED = {
    "Task": {"RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"},
    "RegistrationInfo": {"Description"},
    "Principal": {"UserId", "LogonType", "RunLevel"},
    "Settings": {
        "RestartOnFailure",
        "MultipleInstancesPolicy",
        "DisallowStartIfOnBatteries",
        "StopIfGoingOnBatteries",
        "StartWhenAvailable",
        "ExecutionTimeLimit",
        "Priority",
    },
    "RestartOnFailure": {"Interval", "Count"},
    "Exec": {"Command", "Arguments"},
}
VALUES = {
    "LogonType": {"S4U", "InteractiveToken"},
    "RunLevel": {"LeastPrivilege"},
    "MultipleInstancesPolicy": {"IgnoreNew"},
    "ExecutionTimeLimit": {"PT0S"},
    "Interval": {"PT1M"},  # the shortest there is
    "Count": {"255"},  # the most there is
}


def scheduler(tmp_path, answers=lambda argv: Ran(0)):
    here, asked = around(tmp_path, answers, {**ENV, "LOCALAPPDATA": str(tmp_path / "local")})
    return TaskScheduler(here), asked


def names(element):
    return [child.tag.removeprefix(f"{{{SPACE}}}") for child in element]


def task(tmp_path, **asked):
    manager, _ = scheduler(tmp_path)
    (file,) = manager.files(service(**asked))
    return ElementTree.fromstring(file.content.decode("utf-16"))


@pytest.mark.parametrize("asked", [{}, {"system": True, "user": "DESK\\other"}])
def test_every_element_is_one_of_the_schema_with_a_value_it_may_have(tmp_path, asked):
    root = task(tmp_path, **asked)
    assert root.tag == f"{{{SPACE}}}Task"
    for element in root.iter():
        name = element.tag.removeprefix(f"{{{SPACE}}}")
        assert set(names(element)) <= ALLOWED.get(name, set(names(element))), name
        assert len(set(names(element))) == len(names(element)), name
        assert name not in VALUES or element.text in VALUES[name], name
    for element in ("Command", "Arguments", "UserId", "Description"):
        assert (root.find(f".//{{{SPACE}}}{element}").text or "").strip(), element


def test_the_users_task_starts_at_logon_and_the_machines_without_one(tmp_path):
    def trigger(root):
        (one,) = root.find(f"{{{SPACE}}}Triggers")
        return one.tag.removeprefix(f"{{{SPACE}}}"), names(one)

    def value(root, name):
        return root.find(f".//{{{SPACE}}}{name}").text

    of_user, of_machine = task(tmp_path), task(tmp_path, system=True)
    assert trigger(of_user) == ("LogonTrigger", ["Enabled", "UserId"])
    assert trigger(of_machine) == ("BootTrigger", ["Enabled"])
    assert value(of_user, "LogonType") == "InteractiveToken"
    assert value(of_machine, "LogonType") == "S4U"
    assert value(of_machine, "UserId") == "DESK\\me"


def test_it_runs_without_a_window_and_its_words_survive(tmp_path):
    root = task(tmp_path, PATH="a b", LSWARM_HOME="C:\\My Swarm")
    command = root.find(f".//{{{SPACE}}}Command").text
    words = root.find(f".//{{{SPACE}}}Arguments").text
    assert command == "/opt/x/bin/pythonw.exe"
    log = tmp_path / "local/local_swarm/service/lswarm.log"
    assert words == (
        f'-m local_swarm.service.windowless {log} "LSWARM_HOME=C:\\My Swarm" up --port 8000'
    )


def test_windowless_tells_settings_from_the_command():
    assert split(["A=1", "B=x=y", "up", "--k=v"]) == ({"A": "1", "B": "x=y"}, ["up", "--k=v"])
    assert split(["up"]) == ({}, ["up"])


def test_without_a_console_the_output_goes_to_the_log(tmp_path):
    import subprocess

    log = tmp_path / "new" / "lswarm.log"
    words = ["-m", "local_swarm.service.windowless", str(log), "LSWARM_PORT=x", "--version"]
    done = subprocess.run([sys.executable, *words], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert log.read_text().startswith("lswarm ")
    words[-1] = "nonsense"
    done = subprocess.run([sys.executable, *words], capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "nonsense" in log.read_text()


def test_installing_removing_and_again(tmp_path):
    shown = '{"state": 3, "enabled": true, "result": 0}'
    manager, asked = scheduler(tmp_path, lambda argv: Ran(0, shown))
    manager.install(service())
    xml = tmp_path / "local/local_swarm/service/lswarm.xml"
    assert asked.asked == [f"schtasks /Create /TN lswarm /XML {xml} /F"]
    assert manager.uninstall(Target())
    assert asked.asked[-2:] == ["schtasks /End /TN lswarm", "schtasks /Delete /TN lswarm /F"]
    assert not xml.exists()
    absent, _ = scheduler(tmp_path, lambda argv: Ran(1))
    assert not absent.uninstall(Target())


@pytest.mark.parametrize(
    ("state", "result", "told"),
    [
        (4, 0x41301, ServiceState.RUNNING),
        (3, 0, ServiceState.STOPPED),
        (3, 0x41303, ServiceState.STOPPED),
        (3, 0x41306, ServiceState.STOPPED),
        (3, 3, ServiceState.FAILED),
        (3, -1073741510, ServiceState.FAILED),
        (1, 3, ServiceState.STOPPED),
        (2, 0, ServiceState.STARTING),
    ],
)
def test_what_the_scheduler_tells_in_numbers_is_told_in_our_words(state, result, told):
    shown = f'{{"state": {state}, "enabled": true, "result": {result}}}'
    assert parsed(shown).state is told


def test_an_answer_that_is_none_is_an_error():
    with pytest.raises(ServiceError, match="cannot be read"):
        parsed("Access is denied.")
