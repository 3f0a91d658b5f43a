"""What the kernel says of memory that is short, read from trees like those of real machines."""

from __future__ import annotations

import contextlib
import os
import sys

import psutil
import pytest

from local_swarm.hardware import MemoryPressure, Roots, memory_pressure

GIB = 1 << 30
LINES = "some avg10={some} avg60=9.00 avg300=9.00 total=9\nfull avg10={full} avg60=8.00 total=8"


def psi(some: object, full: object) -> str:
    return LINES.format(some=some, full=full)


def read(machine, files) -> MemoryPressure:
    return memory_pressure(machine(files))


def test_a_system_that_tells_nothing_more_still_tells_its_ram(machine):
    told = read(machine, {})
    assert told.total_bytes == psutil.virtual_memory().total
    assert 0 < told.available_bytes <= told.total_bytes
    nothing = (told.limit_bytes, told.limit_free_bytes, told.stalled, told.slowed, told.oom_kills)
    assert nothing == (None,) * 5


def test_stalls_are_shares_of_ten_seconds(machine):
    told = read(machine, {"proc/pressure/memory": psi("12.50", "3.25")})
    assert (told.slowed, told.stalled) == (0.125, 0.0325)


def test_the_worst_of_the_machine_and_the_own_groups_counts(machine):
    told = read(
        machine,
        {
            "proc/self/cgroup": "0::/pod/box",
            "proc/pressure/memory": psi("20.00", "1.00"),
            "cgroup/pod/memory.pressure": psi("5.00", "4.00"),
            "cgroup/pod/box/memory.pressure": psi("1.00", "2.00"),
            "cgroup/other/memory.pressure": psi("99.00", "99.00"),
        },
    )
    assert (told.slowed, told.stalled) == (0.2, 0.04)


@pytest.mark.parametrize("text", ["", "full", psi("nan", "-1"), psi("", "101"), "full avg10=x\0"])
def test_nonsense_is_not_a_stall(machine, text):
    told = read(machine, {"proc/pressure/memory": text})
    assert (told.slowed, told.stalled) == (None, None)


def test_limits_are_those_of_the_container(machine):
    files = {
        "proc/self/cgroup": "0::/box",
        "cgroup/box/memory.max": 2 * GIB,
        "cgroup/box/memory.current": GIB,
    }
    told = read(machine, files)
    assert (told.limit_bytes, told.limit_free_bytes) == (2 * GIB, GIB)


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        ({"proc/vmstat": "nr_free_pages 7\noom_kill 4"}, 4),
        ({"proc/vmstat": "nr_free_pages 7"}, None),
        ({"cgroup/pod/memory.events": "oom 3\noom_kill 2\noom_group_kill 1"}, 2),
        ({"cgroup/pod/memory.events": "oom_kill 2", "proc/vmstat": "oom_kill 9"}, 2),
        ({"cgroup/pod/memory.events": "oom_kill 2", "cgroup/memory.events": "oom_kill 5"}, 2),
        ({"cgroup/memory/pod/memory.oom_control": "under_oom 1\noom_kill 6"}, 6),
        # v1 without the line (before 4.13), and a group's path that is not visible
        ({"cgroup/memory/pod/memory.oom_control": "under_oom 0", "proc/vmstat": "oom_kill 1"}, 1),
        ({"cgroup/memory/memory.oom_control": "oom_kill 3"}, 3),
    ],
)
def test_kills_are_counted_in_the_own_group_first(machine, files, kills):
    both = "4:memory:/pod\n0::/pod"
    assert read(machine, {"proc/self/cgroup": both, **files}).oom_kills == kills


def opened_until_none_is_left():
    with contextlib.suppress(OSError):
        while True:
            yield os.open(os.devnull, os.O_RDONLY)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts its files here")
def test_without_a_file_descriptor_left_nothing_is_known(machine):
    import resource

    roots = machine({"proc/pressure/memory": psi("1.00", "1.00")})
    memory_pressure(roots)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        taken += opened_until_none_is_left()
        told = memory_pressure(roots)
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert told == MemoryPressure(None, None, None, None, None, None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="PSI is Linux's")
def test_this_machine_is_read():
    told = memory_pressure()
    assert 0 < told.available_bytes <= told.total_bytes
    if Roots().proc.joinpath("pressure", "memory").exists():
        assert 0 <= told.stalled <= told.slowed <= 1
