"""What would be asked of Windows; no test has seen a real one."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from local_swarm.supervisor import windows_job
from local_swarm.supervisor.windows_job import BasicLimits, ExtendedLimits, WindowsJob

JOB, PROCESS, PID = 7, 9, 4242


class Kernel32:
    """Writes down what it is asked; `fails` is the function that does."""

    def __init__(self, fails: str = "") -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.flags = 0
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> int:
            if name == "SetInformationJobObject":
                limits = ctypes.cast(args[2], ctypes.POINTER(ExtendedLimits)).contents
                self.flags = limits.BasicLimitInformation.LimitFlags
                args = (*args[:2], args[3])
            self.calls.append((name, *args))
            if name == self._fails:
                return 0
            return {"CreateJobObjectW": JOB, "OpenProcess": PROCESS}.get(name, 1)

        return call


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="sizes of 64 bits")
def test_the_structures_have_the_sizes_of_the_header_files() -> None:
    assert ctypes.sizeof(BasicLimits) == 64
    assert ctypes.sizeof(ExtendedLimits) == 144
    assert BasicLimits.LimitFlags.offset == 16
    assert BasicLimits.SchedulingClass.offset == 60


def test_a_job_is_made_limited_and_given_its_child() -> None:
    kernel32 = Kernel32()
    job = WindowsJob(PID, kernel32)
    job.kill()
    job.close()
    assert kernel32.flags == 0x2000  # it ends with its last handle
    assert kernel32.calls == [
        ("CreateJobObjectW", None, None),
        ("SetInformationJobObject", JOB, 9, 144),
        ("OpenProcess", 0x101, False, PID),
        ("AssignProcessToJobObject", JOB, PROCESS),
        ("CloseHandle", PROCESS),
        ("TerminateJobObject", JOB, 1),
        ("CloseHandle", JOB),
    ]


@pytest.mark.parametrize(
    "function", ["SetInformationJobObject", "OpenProcess", "AssignProcessToJobObject"]
)
def test_what_windows_refuses_is_an_error_and_leaves_no_handle(function: str) -> None:
    kernel32 = Kernel32(fails=function)
    with pytest.raises(OSError, match=function):
        WindowsJob(PID, kernel32)
    opened = [call[0] for call in kernel32.calls].count("OpenProcess") and function != "OpenProcess"
    assert [call for call in kernel32.calls if call[0] == "CloseHandle"] == (
        [("CloseHandle", PROCESS)] * bool(opened) + [("CloseHandle", JOB)]
    )


def test_a_child_is_asked_by_ctrl_break_and_ended_where_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(windows_job.os, "kill", lambda *args: asked.append(args))
    kernel32 = Kernel32()
    job = WindowsJob(PID, kernel32)
    job.terminate()
    assert asked == [(PID, 1)]
    assert kernel32.calls[-1][0] != "TerminateJobObject"

    def refuse(*args: int) -> None:
        raise OSError("the handle is invalid")

    monkeypatch.setattr(windows_job.os, "kill", refuse)
    job.terminate()
    assert kernel32.calls[-1] == ("TerminateJobObject", JOB, 1)
