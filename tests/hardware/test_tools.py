"""Programs that are asked: absent, failing, talkative, hanging. All are real processes."""

import os
import select
import stat
import sys
import threading
import time

import pytest

from local_swarm.hardware.tools import run_tool, side_by_side

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the fake tools are shell scripts")


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Puts a shell script on the PATH, under the name `fake-smi`."""

    def make(script):
        path = tmp_path / "bin" / "fake-smi"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
        return path

    return make


def test_a_tool_that_is_not_there_says_nothing():
    assert run_tool(["no-such-smi", "--json"]) == ""


def test_a_tool_s_output_is_its_answer(tool):
    tool('echo "$1 $LC_ALL"; echo noise >&2')
    assert run_tool(["fake-smi", "--json"]) == "--json C\n"


def test_what_was_said_before_a_failure_counts(tool):
    tool("echo '{}'; exit 7")
    assert run_tool(["fake-smi"]) == "{}\n"


def test_a_tool_that_cannot_be_started_says_nothing(tool):
    path = tool("")
    path.write_bytes(b"\x7fELF broken")
    assert run_tool(["fake-smi"]) == ""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits on a pidfd, which is Linux's")
def test_a_hanging_tool_is_killed_with_its_children(tool, tmp_path):
    tool(f"echo early; sleep 60 & echo $! > {tmp_path}/child; wait")
    before = time.monotonic()
    assert run_tool(["fake-smi"], timeout_s=1) == ""
    assert time.monotonic() - before < 5
    assert has_ended(int((tmp_path / "child").read_text()))


def has_ended(pid):
    """Waits for the end of a process that is not our child; 10 s at most."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 10)[0])
    finally:
        os.close(process)


@pytest.mark.skipif(sys.platform != "linux", reason="setsid(1) is Linux's")
def test_a_child_that_left_the_group_does_not_hold_us_up(tool):
    tool("setsid sleep 3 & echo told")
    before = time.monotonic()
    run_tool(["fake-smi"], timeout_s=0.3)
    assert time.monotonic() - before < 2
    for thread in threading.enumerate():  # it closes the pipe when the child is gone
        if thread.name == "tool-output":
            thread.join(10)
            assert not thread.is_alive()


def test_output_is_bounded(tool):
    tool("yes")
    assert len(run_tool(["fake-smi"], most_bytes=1000)) == 1000


def test_output_that_is_no_text_is_read_all_the_same(tool):
    tool(r"printf '\377\376{}'")
    assert run_tool(["fake-smi"]).endswith("{}")


def test_a_tool_in_the_working_directory_is_not_run(tool, tmp_path, monkeypatch):
    path = tool("echo planted")
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("PATH", ".")
    assert run_tool(["fake-smi"]) == ""


def test_tools_are_asked_side_by_side(tool):
    tool("sleep 60")
    before = time.monotonic()
    outputs = side_by_side(lambda argv: run_tool(argv, timeout_s=0.5), [["fake-smi"]] * 4)
    assert outputs == ("",) * 4
    assert time.monotonic() - before < 1.9
