"""The system-call filter of a child: a list of what it may do; everything else fails with EPERM.

What is allowed: memory without execution, locks, clocks, random bytes, ending, and writing to the
one pipe that takes its results. Sleeping is over at once, so that code which waits is not held up.
A call in another machine's convention (32-bit calls of a 64-bit machine) ends the process.

The program is classic BPF over `struct seccomp_data` (linux/seccomp.h, linux/filter.h).
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from .libc import call

_LOAD, _AND, _IS, _ANY_OF, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM = 1
_PROT_EXEC = 0x4
_MAP_TYPE_AND_ANONYMOUS, _MAP_PRIVATE_ANONYMOUS = 0x23, 0x22
_PR_SET_SECCOMP, _MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 22, 2, 38

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


@dataclass(frozen=True, slots=True)
class Calls:
    """The numbers of system calls on one kind of machine; `arch` is its AUDIT_ARCH value.

    `plain` are allowed whatever their arguments: brk, munmap, mremap, madvise, futex,
    clock_gettime, clock_getres, gettimeofday, (time,) getrandom, sched_yield, exit, exit_group.
    `sleeping` (nanosleep, clock_nanosleep, pselect6, (select)) succeed without being done.
    """

    arch: int
    plain: tuple[int, ...]
    sleeping: tuple[int, ...]
    write: int
    mmap: int
    mprotect: int


CALLS = {
    "x86_64": Calls(
        0xC000003E,
        (12, 11, 25, 28, 202, 228, 229, 96, 201, 318, 24, 60, 231),
        (35, 230, 270, 23),
        1,
        9,
        10,
    ),
    "aarch64": Calls(
        0xC00000B7,
        (214, 215, 216, 233, 98, 113, 114, 169, 278, 124, 93, 94),
        (101, 115, 72),
        64,
        222,
        226,
    ),
}


def program(calls: Calls, result_fd: int) -> list[Instruction]:
    """The filter. Only `result_fd` may be written to."""
    return [
        (_LOAD, 0, 0, _ARCH_AT),
        (_IS, 1, 0, calls.arch),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        *[step for number in calls.plain for step in _when(number, [_end(ALLOW)])],
        *[step for number in calls.sleeping for step in _when(number, [_end(ERRNO)])],
        *_when(calls.write, [_argument(0), (_IS, 0, 1, result_fd), _end(ALLOW), _refuse()]),
        *_when(calls.mprotect, _unless_executable()),
        *_when(
            calls.mmap,
            [
                _argument(3),
                (_AND, 0, 0, _MAP_TYPE_AND_ANONYMOUS),
                (_IS, 1, 0, _MAP_PRIVATE_ANONYMOUS),
                _refuse(),
                *_unless_executable(),
            ],
        ),
        _refuse(),
    ]


def _when(number: int, steps: list[Instruction]) -> list[Instruction]:
    """`steps` end the program; they are jumped over for another call."""
    return [(_IS, 0, len(steps), number), *steps]


def _argument(index: int) -> Instruction:
    """The lower half of an argument: the kernel reads no more of a descriptor, and flags and
    protections lie there."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)


def _unless_executable() -> list[Instruction]:
    return [_argument(2), (_ANY_OF, 0, 1, _PROT_EXEC), _refuse(), _end(ALLOW)]


def _end(action: int) -> Instruction:
    return (_RETURN, 0, 0, action)


def _refuse() -> Instruction:
    return _end(ERRNO | _EPERM)


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("constant", ctypes.c_uint32),
    )


class Filter(ctypes.Structure):
    """A program as the kernel takes it (`struct sock_fprog`)."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(_Instruction)))


def assembled(result_fd: int) -> Filter:
    """The filter of this machine, ready to be set."""
    steps = program(CALLS[os.uname().machine], result_fd)
    return Filter(len(steps), (_Instruction * len(steps))(*(_Instruction(*step) for step in steps)))


def confine(wall: Filter) -> None:
    """Sets the filter on this process, for ever. Raises OSError where the kernel has none."""
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", _PR_SET_SECCOMP, _MODE_FILTER, wall, 0, 0)
