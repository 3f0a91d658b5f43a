"""All probes together: machines with nothing, and machines whose tools hang."""

import os
import time
from functools import partial

import pytest

from local_swarm.hardware import snapshot
from local_swarm.hardware.amd import AmdProbe
from local_swarm.hardware.cpu import CpuProbe, cpu_list, numa_nodes, sibling_cores
from local_swarm.hardware.intel import IntelProbe
from local_swarm.hardware.memory import MemoryProbe
from local_swarm.hardware.registry import PROBES
from local_swarm.hardware.tools import run_tool


def test_a_machine_without_tools_or_cards_has_no_accelerators(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # whatever this machine has
    probes = [probe for probe in PROBES if probe.name not in ("apple", "android")]
    host = snapshot(machine(), probes)
    assert host.devices == ()
    assert host.unified is False
    assert host.cpu.numa == ()


def test_every_probe_has_a_name_of_its_own():
    assert len({probe.name for probe in PROBES}) == len(PROBES)


@pytest.fixture
def hanging_tools(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("amd-smi", "rocm-smi", "xpu-smi", "clinfo", "sycl-ls"):
        (folder / name).write_text("#!/bin/sh\necho '{\"gpu_data\": ['\nexec sleep 60\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(os.name != "posix", reason="the fake tools are shell scripts")
def test_tools_that_hang_cost_their_limit_and_the_kernel_still_tells(machine, hanging_tools):
    card = "sys/class/drm/card0/device"
    roots = machine(
        {
            f"{card}/vendor": "0x1002",
            f"{card}/uevent": "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0",
            f"{card}/mem_info_vram_total": 1 << 30,
        }
    )
    run = partial(run_tool, timeout_s=0.3)
    before = time.monotonic()
    host = snapshot(roots, [CpuProbe(run), MemoryProbe(), AmdProbe(run), IntelProbe(run)])
    assert time.monotonic() - before < 1.9
    (device,) = host.devices
    assert (device.vendor, device.total_bytes) == ("AMD", 1 << 30)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0-3,8", {0, 1, 2, 3, 8}),
        ("5", {5}),
        ("", set()),
        ("x-y,3-", {3}),
        ("0-", {0}),
    ],
)
def test_the_kernel_s_lists_of_cpus(text, cpus):
    assert cpu_list(text) == cpus


def test_an_endless_list_of_cpus_is_cut_short():
    assert len(cpu_list("0-99999999999")) < 10_000


def node(number, cpus):
    return {f"sys/devices/system/node/node{number}/cpulist": cpus}


def test_memory_nodes_hold_the_cpus_we_may_use(machine):
    roots = machine(node(0, "0-3") | node(1, "4-7") | node(10, "") | node(2, "8-9"))
    assert numa_nodes(roots, frozenset({1, 2, 5, 9})) == ((1, 2), (5,), (9,))
    assert numa_nodes(roots, frozenset({1, 2})) == ()


def test_one_memory_node_is_none(machine):
    assert numa_nodes(machine(node(0, "0-7")), frozenset(range(8))) == ()


def siblings(**lists):
    root = "sys/devices/system/cpu"
    return {f"{root}/{cpu}/topology/thread_siblings_list": text for cpu, text in lists.items()}


def test_cores_are_counted_by_the_cpus_that_share_them(machine):
    roots = machine(siblings(cpu0="0,2", cpu1="1,3", cpu2="0,2", cpu3="1,3"))
    assert sibling_cores(roots, frozenset(range(4))) == 2
    assert sibling_cores(roots, frozenset({0, 2})) == 1


def test_cores_are_unknown_where_one_cpu_is_silent(machine):
    assert sibling_cores(machine(siblings(cpu0="0")), frozenset({0, 1})) is None
