"""Whose pid it is, on a Linux whose /proc is a folder of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from msgspec import structs

from local_swarm.supervisor.identity import Elsewhere, Proc, ProcessId, Standing
from tests.swarms import PATIENCE_S

NOBODY = 2**22 + 1  # above the largest pid that Linux gives
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@dataclass
class FakeProc:
    root: Path
    boot: str = "b0"
    namespace: str = "pid:[1]"

    @property
    def system(self) -> Proc:
        self.root.mkdir(exist_ok=True)
        boot = self.root / "sys/kernel/random/boot_id"
        boot.parent.mkdir(parents=True, exist_ok=True)
        boot.write_text(f"{self.boot}\n")
        link = self.root / "self/ns/pid"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(self.namespace)
        return Proc(str(self.root))

    def has(self, pid: int, start: int, *, state: str = "S", name: str = "lswarm") -> None:
        folder = self.root / str(pid)
        folder.mkdir(parents=True, exist_ok=True)
        fields = [state, *("0" for _ in range(18)), str(start), "0", "0"]
        (folder / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")

    def loses(self, pid: int) -> None:
        (self.root / str(pid) / "stat").unlink()


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path / "proc")


def test_a_process_is_itself_whatever_the_clock_says(proc: FakeProc) -> None:
    proc.has(NOBODY, 500)
    recorded = ProcessId.of(NOBODY, proc.system)
    # What a set clock moves: `btime`, and with it every start in seconds since 1970.
    (proc.root / "stat").write_text("btime 99\n")
    assert recorded.standing(proc.system) is Standing.ALIVE


def test_a_pid_that_came_again_is_another_process(proc: FakeProc) -> None:
    proc.has(NOBODY, 500)
    recorded = ProcessId.of(NOBODY, proc.system)
    proc.has(NOBODY, 501)
    assert recorded.standing(proc.system) is Standing.GONE


def test_a_process_that_has_ended_is_gone_as_a_zombie_too(proc: FakeProc) -> None:
    proc.has(NOBODY, 500)
    recorded = ProcessId.of(NOBODY, proc.system)
    proc.has(NOBODY, 500, state="Z")
    assert recorded.standing(proc.system) is Standing.GONE
    proc.loses(NOBODY)
    assert recorded.standing(proc.system) is Standing.GONE
    with pytest.raises(psutil.NoSuchProcess):
        ProcessId.of(NOBODY, proc.system)


def test_after_a_new_boot_every_process_of_the_last_is_gone(proc: FakeProc) -> None:
    proc.has(NOBODY, 500)
    recorded = ProcessId.of(NOBODY, proc.system)
    proc.boot = "b1"
    assert recorded.standing(proc.system) is Standing.GONE


def test_of_another_container_s_process_nothing_is_known(proc: FakeProc) -> None:
    proc.has(NOBODY, 500)
    recorded = ProcessId.of(NOBODY, proc.system)
    proc.namespace = "pid:[2]"
    proc.loses(NOBODY)
    assert recorded.standing(proc.system) is Standing.UNKNOWN
    proc.boot = "b1"
    assert recorded.standing(proc.system) is Standing.GONE


def test_a_process_that_proc_hides_is_not_gone(proc: FakeProc) -> None:
    """With `hidepid` another user's process has no entry, and is there."""

    def refuse(pid: int, number: int) -> None:
        assert number == 0
        raise PermissionError

    hidden = ProcessId(NOBODY, 5, "b0", "pid:[1]")
    assert hidden.standing(replace(proc.system, kill=refuse)) is Standing.UNKNOWN
    assert hidden.standing(proc.system) is Standing.GONE


def test_a_program_s_name_may_hold_anything(proc: FakeProc) -> None:
    proc.has(NOBODY, 500, name="a) Z 1 (b")
    assert ProcessId.of(NOBODY, proc.system).started == 500


def test_what_hides_the_boot_and_the_namespace_leaves_pid_and_start(proc: FakeProc) -> None:
    proc.has(NOBODY, 500)
    bare = Proc(str(proc.root))
    recorded = ProcessId.of(NOBODY, bare)
    assert recorded == ProcessId(NOBODY, 500)
    assert recorded.standing(bare) is Standing.ALIVE


def test_who_cannot_see_the_boot_does_not_take_the_living_for_gone(proc: FakeProc) -> None:
    """A service manager may hide /proc/sys from one of two swarms."""
    proc.has(NOBODY, 500)
    recorded = ProcessId.of(NOBODY, proc.system)
    (proc.root / "sys/kernel/random/boot_id").unlink()
    blind = Proc(str(proc.root))
    assert recorded.standing(blind) is Standing.ALIVE
    assert structs.replace(recorded, boot="").standing(proc.system) is Standing.ALIVE
    assert structs.replace(recorded, started=499).standing(blind) is Standing.GONE


def test_our_own_process_is_alive_and_survives_a_round_trip() -> None:
    process = ProcessId.of(os.getpid()).process()
    assert process is not None
    assert process.pid == os.getpid()
    assert ProcessId.of(os.getpid()).boot


@pytest.mark.parametrize("pid", [0, -1, 2**40])
def test_a_pid_that_cannot_be_is_gone(pid: int) -> None:
    assert ProcessId(pid, 1.0, *_here()).standing() is Standing.GONE


def test_psutil_tells_the_same_where_there_is_no_proc() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    recorded = ProcessId.of(child.pid, Elsewhere())
    assert recorded.standing(Elsewhere()) is Standing.ALIVE
    earlier = ProcessId(child.pid, recorded.started - 1)
    assert earlier.standing(Elsewhere()) is Standing.GONE
    child.kill()
    assert psutil.Process(child.pid).pid == child.pid
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert recorded.standing(Elsewhere()) is Standing.GONE
    child.communicate(timeout=PATIENCE_S)
    assert recorded.standing(Elsewhere()) is Standing.GONE


def _here() -> tuple[str, str]:
    me = ProcessId.of(os.getpid())
    return me.boot, me.namespace
