"""Probes, and the snapshot made of what they find."""

import threading

import pytest

from local_swarm.domain.hardware import Cpu, Device, Memory
from local_swarm.errors import FitError
from local_swarm.hardware import Findings, Roots, snapshot
from local_swarm.hardware.base import run_all
from local_swarm.hardware.cgroup import MemoryLimit
from local_swarm.hardware.cpu import CpuProbe, allowed_cpus, usable_cores
from local_swarm.hardware.memory import within

CPU = Cpu("Test CPU", 2, 4)
MEMORY = Memory(1000, 500)


class Fake:
    """A probe that says what it is told."""

    name = "fake"

    def __init__(self, **findings):
        self.findings = findings

    def read(self, roots):
        return Findings(**self.findings)


class Broken:
    name = "broken"

    def read(self, roots):
        raise RuntimeError("driver trouble")


class Hanging:
    name = "hanging"

    def __init__(self):
        self.release = threading.Event()
        self.left = threading.Event()

    def read(self, roots):
        self.release.wait(30)
        self.left.set()
        return Findings()


def device(name):
    return Device(name, None, None, None, None, None, None, None)


def test_this_machine_can_be_described():
    host = snapshot()
    assert host.cpu.logical >= 1
    assert host.cpu.physical is None or 1 <= host.cpu.physical <= host.cpu.logical
    assert 0 < host.memory.available_bytes <= host.memory.total_bytes
    assert host.os
    assert host.arch


def test_a_broken_probe_costs_only_its_own_facts():
    host = snapshot(probes=[Broken(), Fake(cpu=CPU, memory=MEMORY)])
    assert host.cpu == CPU
    assert host.memory == MEMORY


def test_a_hanging_probe_is_left_behind():
    probe = Hanging()
    found = run_all([probe, Fake(cpu=CPU)], Roots(), timeout_s=0.05)
    assert found == (Findings(), Findings(cpu=CPU))
    probe.release.set()
    assert probe.left.wait(10)


def test_the_first_probe_that_knows_wins_and_devices_add_up():
    probes = [
        Fake(cpu=CPU, devices=(device("gpu0"),)),
        Fake(cpu=Cpu("other", None, 9), memory=MEMORY, devices=(device("gpu1"),)),
    ]
    host = snapshot(probes=probes)
    assert host.cpu == CPU
    assert [d.id for d in host.devices] == ["gpu0", "gpu1"]


@pytest.mark.parametrize(
    ("known", "unknown"), [({"cpu": CPU}, "RAM"), ({"memory": MEMORY}, "cores")]
)
def test_a_machine_that_says_nothing_is_refused(known, unknown):
    with pytest.raises(FitError, match=unknown):
        snapshot(probes=[Fake(**known)])


def entries(*cores, package="0"):
    """cpuinfo paragraphs: CPU n lies on core cores[n]."""
    return [
        {"processor": str(n), "core id": str(core), "physical id": package}
        for n, core in enumerate(cores)
    ]


@pytest.mark.parametrize(
    ("cpuinfo", "allowed", "quota", "machine", "physical", "logical"),
    [
        (entries(0, 1, 0, 1), {0, 1, 2, 3}, None, None, 2, 4),  # two cores, two threads each
        (entries(0, 1, 0, 1), {0, 2}, None, 2, 1, 2),  # pinned to one core's threads
        (entries(0, 1, 0, 1), {0, 1, 2, 3}, 1.5, None, 1, 1),
        (entries(0, 1, 0, 1), {0, 1, 2, 3}, 3.0, None, 2, 3),
        (entries(0, 1), {0, 1}, 0.5, None, 1, 1),  # never less than one
        (entries(0, 1), {0, 1}, 64.0, None, 2, 2),
        ([], {0, 1, 2}, None, None, None, 3),  # unknown stays unknown
        ([], {0, 1, 2, 3}, None, 4, 4, 4),
        ([{"processor": "0"}], {0}, None, None, None, 1),  # ARM names no cores
    ],
)
def test_usable_cores(cpuinfo, allowed, quota, machine, physical, logical):
    found = usable_cores(cpuinfo, frozenset(allowed), quota, machine)
    assert found == (physical, logical)


def test_sockets_with_equal_core_numbers_are_different_cores():
    cpuinfo = [
        {"processor": "0", "core id": "0", "physical id": "0"},
        {"processor": "1", "core id": "0", "physical id": "1"},
    ]
    assert usable_cores(cpuinfo, frozenset({0, 1}), None, None) == (2, 2)


def test_the_cpu_is_named_by_cpuinfo(tmp_path):
    numbers = sorted(allowed_cpus())
    text = "\n\n".join(
        f"processor\t: {n}\nmodel name\t: Fine CPU 9000\ncore id\t\t: {n}" for n in numbers
    )
    (tmp_path / "cpuinfo").write_text(text)
    found = CpuProbe().read(Roots(proc=tmp_path, cgroup=tmp_path)).cpu
    assert found == Cpu("Fine CPU 9000", len(numbers), len(numbers))


@pytest.mark.parametrize(
    ("limit", "memory"),
    [
        (MemoryLimit(None, None), Memory(1000, 600, None)),
        (MemoryLimit(400, 300), Memory(1000, 300, 400)),
        (MemoryLimit(400, None), Memory(1000, 400, 400)),
        (MemoryLimit(900, 800), Memory(1000, 600, 900)),
        (MemoryLimit(5000, 5000), Memory(1000, 600, None)),  # above the RAM there is
    ],
)
def test_memory_within_a_container(limit, memory):
    assert within(1000, 600, limit) == memory
