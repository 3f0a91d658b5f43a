"""The system-call filter of a child: a list of what it may do; everything else fails with EPERM.

What is allowed: private memory that cannot be executed and that its limit counts, locks, clocks,
random bytes, ending, and writing to the one pipe that takes its results. Sleeping is over at once,
so that code which waits is not held up. A call in another machine's convention (32-bit calls of a
64-bit machine) ends the process.

The program is classic BPF over `struct seccomp_data` (linux/seccomp.h, linux/filter.h).
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from .libc import call

_LOAD, _AND, _IS, _RETURN = 0x20, 0x54, 0x15, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM = 1
_WHOLE = 0xFFFFFFFF
_PROT_NONE, _PROT_READ, _PROT_WRITE, _PROT_READ_WRITE = 0, 1, 2, 3
_MAP_PRIVATE_ANONYMOUS, _MAP_NORESERVE, _MAP_STACK = 0x22, 0x4000, 0x20000
_MREMAP_MAYMOVE = 1
_MADV_DONTNEED, _MADV_FREE = 4, 8
_FUTEX_WAIT, _FUTEX_WAKE, _FUTEX_WAIT_BITSET, _FUTEX_WAKE_BITSET = 0, 1, 9, 10
_FUTEX_PRIVATE, _FUTEX_CLOCK_REALTIME = 128, 256
_PR_SET_SECCOMP, _MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 22, 2, 38

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


@dataclass(frozen=True, slots=True)
class Calls:
    """The numbers of system calls on one kind of machine; `arch` is its AUDIT_ARCH value.

    `plain` are allowed whatever their arguments: brk, munmap, clock_gettime, clock_getres,
    gettimeofday, (time,) getrandom, sched_yield, exit, exit_group.
    `sleeping` (nanosleep, clock_nanosleep, pselect6, (select)) succeed without being done.
    """

    arch: int
    plain: tuple[int, ...]
    sleeping: tuple[int, ...]
    write: int
    mmap: int
    mprotect: int
    mremap: int
    madvise: int
    futex: int

    @property
    def by_arguments(self) -> tuple[int, ...]:
        """Those that are allowed with some arguments only."""
        return self.write, self.mmap, self.mprotect, self.mremap, self.madvise, self.futex


CALLS = {
    "x86_64": Calls(
        0xC000003E,
        (12, 11, 228, 229, 96, 201, 318, 24, 60, 231),
        (35, 230, 270, 23),
        write=1,
        mmap=9,
        mprotect=10,
        mremap=25,
        madvise=28,
        futex=202,
    ),
    "aarch64": Calls(
        0xC00000B7,
        (214, 215, 113, 114, 169, 278, 124, 93, 94),
        (101, 115, 72),
        write=64,
        mmap=222,
        mprotect=226,
        mremap=216,
        madvise=233,
        futex=98,
    ),
}


def program(calls: Calls, result_fd: int) -> list[Instruction]:
    """The filter. Only `result_fd` may be written to.

    RLIMIT_DATA counts what can be written and is no stack. So no stack is mapped, and what has been
    written stays writable: else its pages would be held and no longer counted.
    """
    flags = _among(3, _WHOLE & ~(_MAP_NORESERVE | _MAP_STACK), _MAP_PRIVATE_ANONYMOUS)
    readable = _among(2, _WHOLE, _PROT_NONE, _PROT_READ, _PROT_WRITE, _PROT_READ_WRITE)
    locks = _FUTEX_WAIT, _FUTEX_WAKE, _FUTEX_WAIT_BITSET, _FUTEX_WAKE_BITSET
    lock = _among(1, _WHOLE & ~(_FUTEX_PRIVATE | _FUTEX_CLOCK_REALTIME), *locks)
    return [
        (_LOAD, 0, 0, _ARCH_AT),
        (_IS, 1, 0, calls.arch),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        *[step for number in calls.plain for step in _when(number, [_end(ALLOW)])],
        *[step for number in calls.sleeping for step in _when(number, [_end(ERRNO)])],
        *_allowed(calls.write, _among(0, _WHOLE, result_fd)),
        *_allowed(calls.mmap, [*flags, *readable]),
        *_allowed(calls.mprotect, _among(2, _WHOLE, _PROT_READ_WRITE)),
        *_allowed(calls.mremap, _among(3, _WHOLE, 0, _MREMAP_MAYMOVE)),
        *_allowed(calls.madvise, _among(2, _WHOLE, _MADV_DONTNEED, _MADV_FREE)),
        *_allowed(calls.futex, lock),
        _refuse(),
    ]


def _when(number: int, steps: list[Instruction]) -> list[Instruction]:
    """`steps` end the program; they are jumped over for another call."""
    return [(_IS, 0, len(steps), number), *steps]


def _allowed(number: int, conditions: list[Instruction]) -> list[Instruction]:
    return _when(number, [*conditions, _end(ALLOW)])


def _among(index: int, mask: int, *values: int) -> list[Instruction]:
    """Refuses unless the argument, as far as `mask` shows it, is one of `values`. Of an argument
    the lower half is read: the kernel reads no more of a descriptor, and flags and protections lie
    there."""
    tests = [(_IS, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index), (_AND, 0, 0, mask), *tests, _refuse()]


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
    try:
        call("prctl", _PR_SET_SECCOMP, _MODE_FILTER, wall, 0, 0)
    except OSError as exc:
        raise OSError(exc.errno, f"a filter of system calls (seccomp): {exc.strerror}") from exc
