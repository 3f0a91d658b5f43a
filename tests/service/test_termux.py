"""runit's scripts as Termux has them, run by a real shell; what is asked of sv."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from local_swarm.errors import UsageError
from local_swarm.service import ServiceState, Target
from local_swarm.service.base import Ran
from local_swarm.service.service import Service
from local_swarm.service.termux import Termux, parsed
from tests.service.managers import around, service

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the scripts are for sh")


@pytest.fixture
def prefix(tmp_path):
    """A prefix with a shell, and `sv` that notes what it is told."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/var/service").mkdir(parents=True)
    (tmp_path / "usr/bin/sh").symlink_to(shutil.which("sh"))
    sv = tmp_path / "usr/bin/sv"
    sv.write_text('#!/bin/sh\necho "$@" >> "$SV_TOLD"\n')
    sv.chmod(0o755)
    return tmp_path / "usr"


def termux(tmp_path, prefix, answers=lambda argv: Ran(0)):
    here, asked = around(tmp_path, answers, {"PREFIX": str(prefix)})
    return Termux(here), asked


def test_the_run_script_becomes_the_program_with_its_words_and_settings(tmp_path, prefix):
    words = ("a b", "$HOME", "it's")
    wanted = Service(Target(), (shutil.which("echo"), *words), environment={"A": "x 'y' $z"})
    manager, asked = termux(tmp_path, prefix)
    manager.install(wanted)
    run = prefix / "var/service/lswarm/run"
    assert run.stat().st_mode & 0o777 == 0o755
    done = subprocess.run([run], capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout == "a b $HOME it's\n"
    assert "export A='x '\"'\"'y'\"'\"' $z'" in run.read_text()
    assert not asked.asked, "runsvdir finds it by itself"


@pytest.mark.parametrize(
    ("code", "is_left_down"), [(0, False), (130, False), (2, True), (3, True), (4, True), (6, True)]
)
def test_what_no_new_start_can_heal_is_left_down(tmp_path, prefix, code, is_left_down):
    manager, _ = termux(tmp_path, prefix)
    manager.install(service())
    told = tmp_path / "told"
    folder = prefix / "var/service/lswarm"
    env = {"PATH": f"{prefix}/bin:{os.environ['PATH']}", "SV_TOLD": str(told)}
    finish = [folder / "finish", str(code), "0"]
    subprocess.run(finish, env=env, cwd=folder, timeout=10, check=True)
    assert (told.read_text() if told.exists() else "") == (f"down {folder}\n" * is_left_down)


def test_there_are_no_services_of_the_machine(tmp_path, prefix):
    manager, _ = termux(tmp_path, prefix)
    with pytest.raises(UsageError, match="Termux"):
        manager.install(service(system=True))


def test_removing_ends_it_first(tmp_path, prefix):
    manager, asked = termux(tmp_path, prefix)
    manager.install(service())
    folder = prefix / "var/service/lswarm"
    assert manager.uninstall(Target())
    assert asked.asked == [f"sv -w 120 force-shutdown {folder.with_name('.lswarm')}"]
    assert list(folder.parent.iterdir()) == []
    assert not manager.uninstall(Target())
    assert manager.status(Target()).state is ServiceState.ABSENT


def test_what_is_missing_is_told(tmp_path, prefix):
    assert "not Termux" in (Termux(around(tmp_path)[0]).missing(False) or "")
    shutil.rmtree(prefix / "var")
    assert "termux-services" in (termux(tmp_path, prefix)[0].missing(False) or "")


@pytest.mark.parametrize(
    ("shown", "state", "pid"),
    [
        ("run: /x/lswarm: (pid 42) 7s; run: log: (pid 41) 7s", ServiceState.RUNNING, 42),
        ("down: /x/lswarm: 3s, normally up; run: log: (pid 41) 7s", ServiceState.STOPPED, None),
        ("finish: /x/lswarm: (pid 42) 2s", ServiceState.FAILED, 42),
        ("fail: /x/lswarm: unable to change to service directory", ServiceState.STOPPED, None),
    ],
)
def test_what_sv_says_is_told_in_our_words(shown, state, pid):
    assert (parsed(shown, True).state, parsed(shown, True).pid) == (state, pid)
