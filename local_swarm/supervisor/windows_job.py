"""A child and all it starts as one Job Object, which ends with its last handle: however the
supervisor ends, so do they. Never seen on a real Windows; written after Microsoft's description of
CreateJobObjectW, SetInformationJobObject and AssignProcessToJobObject.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

CREATE_NEW_PROCESS_GROUP = 0x200
CTRL_BREAK_EVENT = 1
JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE = 0x2000
EXTENDED_LIMIT_INFORMATION = 9
PROCESS_TERMINATE, PROCESS_SET_QUOTA = 0x1, 0x100
KILLED = 1  # the exit code of what is ended with the job


class BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    )


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("BasicLimitInformation", BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class WindowsJob:
    """The job of one child, made before the child runs anything. Raises OSError."""

    def __init__(self, pid: int, kernel32: Any = None) -> None:
        self._pid = pid
        self._kernel32 = kernel32 or _kernel32()
        self._job = self._checked("CreateJobObjectW", None, None)
        try:
            self._limit()
            self._take(pid)
        except OSError:
            self.close()
            raise

    def _limit(self) -> None:
        limits = ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
        self._checked(
            "SetInformationJobObject",
            self._job,
            EXTENDED_LIMIT_INFORMATION,
            ctypes.byref(limits),
            ctypes.sizeof(limits),
        )

    def _take(self, pid: int) -> None:
        access = PROCESS_TERMINATE | PROCESS_SET_QUOTA
        process = self._checked("OpenProcess", access, False, pid)
        try:
            self._checked("AssignProcessToJobObject", self._job, process)
        finally:
            self._kernel32.CloseHandle(process)

    def _checked(self, name: str, *args: Any) -> Any:
        result = getattr(self._kernel32, name)(*args)
        if not result:
            code = getattr(ctypes, "get_last_error", lambda: 0)()
            raise OSError(f"{name} failed with error {code}")
        return result

    def terminate(self) -> None:
        """Ctrl-Break to the child's console group. Where there is no console, as in a service, it
        cannot be asked, and is ended."""
        try:
            os.kill(self._pid, CTRL_BREAK_EVENT)
        except OSError:
            self.kill()

    def kill(self) -> None:
        self._kernel32.TerminateJobObject(self._job, KILLED)

    def close(self) -> None:
        """What is left of the job ends."""
        self._kernel32.CloseHandle(self._job)


def _kernel32() -> Any:
    library = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    handle, word, flag = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
    shapes: dict[str, tuple[Any, list[Any]]] = {
        "CreateJobObjectW": (handle, [handle, ctypes.c_wchar_p]),
        "SetInformationJobObject": (flag, [handle, ctypes.c_int, handle, word]),
        "OpenProcess": (handle, [word, flag, word]),
        "AssignProcessToJobObject": (flag, [handle, handle]),
        "TerminateJobObject": (flag, [handle, word]),
        "CloseHandle": (flag, [handle]),
    }
    for name, (result, arguments) in shapes.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
