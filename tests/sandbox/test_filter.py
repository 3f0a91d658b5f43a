"""The filter's program, read as the kernel reads it, for every kind of machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.sandbox.inside.seccomp import ALLOW, CALLS, ERRNO, KILL, Instruction, program
from local_swarm.sandbox.pool import MACHINES

RESULT_FD = 3
REFUSED = ERRNO | 1
PASSED_OVER = ERRNO
X86_ONLY = {"time", "select"}
PLAIN = (
    "brk munmap clock_gettime clock_getres gettimeofday time getrandom sched_yield exit exit_group"
)
SLEEPING = "nanosleep clock_nanosleep pselect6 select"
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def decided(steps: Sequence[Instruction], arch: int, number: int, arguments: Sequence[int]) -> int:
    """What the kernel does with a call."""
    data = {0: number, 4: arch}
    for index, argument in enumerate(arguments):
        data[16 + 8 * index] = argument & 0xFFFFFFFF
        data[20 + 8 * index] = argument >> 32
    held = at = 0
    while True:
        code, if_true, if_false, constant = steps[at]
        at += 1
        if code == 0x20:
            held = data[constant]
        elif code == 0x54:
            held &= constant
        elif code == 0x15:
            at += if_true if held == constant else if_false
        else:
            assert code == 0x06
            return constant


def asked(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    calls = CALLS[machine]
    given_ = [*arguments, *[0] * (6 - len(arguments))]
    return decided(program(calls, RESULT_FD), arch or calls.arch, number, given_)


def test_every_machine_that_is_served_has_a_filter() -> None:
    assert set(CALLS) == set(MACHINES)


@pytest.mark.parametrize("machine", MACHINES)
def test_only_the_result_is_written(machine: str) -> None:
    write = CALLS[machine].write
    assert asked(machine, write, RESULT_FD) == ALLOW
    assert {asked(machine, write, fd) for fd in (0, 1, 2, 4, 2**32 - 1)} == {REFUSED}


@pytest.mark.parametrize("machine", MACHINES)
def test_memory_is_private_and_never_executable(machine: str) -> None:
    calls = CALLS[machine]
    for protection in (*range(16), 0x01000003):
        allowed = ALLOW if protection < 4 else REFUSED
        for flags in (0x22, 0x4022, 0x20022):
            assert asked(machine, calls.mmap, 0, 4096, protection, flags) == allowed
        for flags in (0x1, 0x2, 0x3, 0x21, 0x23, 0x20, 0x40022):
            assert asked(machine, calls.mmap, 0, 4096, protection, flags) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
def test_memory_is_never_held_without_being_counted(machine: str) -> None:
    calls = CALLS[machine]
    for protection in (*range(16), 0x01000003):
        allowed = ALLOW if protection == 3 else REFUSED
        assert asked(machine, calls.mprotect, 0, 4096, protection) == allowed
    grows_down, locked = 0x122, 0x2022
    for flags in (grows_down, locked):
        assert asked(machine, calls.mmap, 0, 4096, 3, flags) == REFUSED
    for flags in range(16):
        allowed = ALLOW if flags in (0, 1) else REFUSED
        assert asked(machine, calls.mremap, 0, 4096, 8192, flags) == allowed


@pytest.mark.parametrize("machine", MACHINES)
def test_memory_is_given_back_and_locks_are_plain(machine: str) -> None:
    calls = CALLS[machine]
    advice = {n for n in range(128) if asked(machine, calls.madvise, 0, 4096, n) == ALLOW}
    assert advice == {4, 8}
    locks = {n for n in range(512) if asked(machine, calls.futex, 0, n) == ALLOW}
    assert locks == {n | bits for n in (0, 1, 9, 10) for bits in (0, 128, 256, 384)}


@pytest.mark.parametrize("machine", MACHINES)
def test_another_convention_ends_the_process(machine: str) -> None:
    for arch in (0x40000003, 0x40000028, 0):
        assert asked(machine, CALLS[machine].write, RESULT_FD, arch=arch or 1) == KILL


@pytest.mark.parametrize("machine", MACHINES)
@given(
    number=st.one_of(st.integers(0, 600), st.integers(0, 2**32 - 1)),
    arguments=st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6),
)
def test_what_is_not_listed_is_refused(machine: str, number: int, arguments: list[int]) -> None:
    calls = CALLS[machine]
    answer = asked(machine, number, *arguments)
    if number in calls.plain:
        assert answer == ALLOW
    elif number in calls.sleeping:
        assert answer == PASSED_OVER
    elif number not in calls.by_arguments:
        assert answer == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_kernel(machine: str) -> None:
    header = HEADERS[machine]
    if not header.exists():
        pytest.skip(f"no {header} on this machine")
    text = header.read_text()
    found = {name: int(n) for name, n in re.findall(r"#define __NR_(\w+)\s+(\d+)\s", text)}
    found |= {name: int(n) for name, n in re.findall(r"#define __NR3264_(\w+)\s+(\d+)\s", text)}
    absent = set() if machine == "x86_64" else X86_ONLY

    def numbers(names: str) -> set[int]:
        return {found[name] for name in names.split() if name not in absent}

    calls = CALLS[machine]
    assert set(calls.plain) == numbers(PLAIN)
    assert set(calls.sleeping) == numbers(SLEEPING)
    names = "write mmap mprotect mremap madvise futex"
    assert calls.by_arguments == tuple(found[name] for name in names.split())
