"""What is free now: NVIDIA's through a library of our own, AMD's through a tree of files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local_swarm.hardware import free_memory
from local_swarm.hardware.values import AMD, NVIDIA, new_device
from tests.fakes.fake_nvml import build, environment, needs_library

GIB = 1 << 30
PROGRAM = """
import json, sys
from local_swarm.hardware import free_memory
from local_swarm.hardware.values import new_device
devices = [new_device("NVIDIA", id=id, uuid=uuid) for id, uuid in json.loads(sys.argv[1]).items()]
print(json.dumps(free_memory(devices, timeout_s=float(sys.argv[2]))))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


def free(folder: Path, uuids: dict[str, str], timeout_s: float = 20.0, **told: str) -> object:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(uuids), str(timeout_s)],
        env=environment(folder, **told),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@needs_library
def test_nvidia_cards_are_found_by_uuid_whatever_they_are_called(library: Path) -> None:
    devices = {"CUDA0": "GPU-00000002", "Vulkan1": "GPU-00000001", "CUDA7": "GPU-000000ff"}
    assert free(library, devices) == {"CUDA0": 23 * GIB, "Vulkan1": 23 * GIB}


@needs_library
def test_a_mig_instance_has_its_own_memory(library: Path) -> None:
    devices = {"MIG-000003e9": "MIG-000003e9"}
    assert free(library, devices, MIG="2") == {"MIG-000003e9": 9 * GIB}


@needs_library
@pytest.mark.parametrize("told", [{"INIT": "9"}, {"NO_MEMORY": "1"}, {"GPUS": "0"}])
def test_a_driver_that_does_not_tell_is_quiet(library: Path, told: dict[str, str]) -> None:
    assert free(library, {"CUDA0": "GPU-00000001"}, **told) == {}


@needs_library
def test_a_driver_that_hangs_is_left_behind(library: Path) -> None:
    assert free(library, {"CUDA0": "GPU-00000001"}, timeout_s=0.1, HANG="60") == {}


def test_without_the_library_nothing_is_known() -> None:
    assert free_memory([new_device(NVIDIA, id="CUDA0", uuid="GPU-not-here")]) == {}


def test_amd_cards_are_found_by_address(machine) -> None:
    place = "sys/class/drm/card0/device"
    roots = machine(
        {
            f"{place}/vendor": "0x1002",
            f"{place}/device": "0x744c",
            f"{place}/class": "0x030000",
            f"{place}/uevent": "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0",
            f"{place}/mem_info_vram_total": str(24 * GIB),
            f"{place}/mem_info_vram_used": str(2 * GIB),
        }
    )
    devices = [
        new_device(AMD, id="ROCm0", bus_id="0000:03:00.0"),
        new_device(AMD, id="ROCm1", bus_id="0000:04:00.0"),
        new_device("Intel", id="SYCL0", bus_id="0000:05:00.0"),
    ]
    assert free_memory(devices, roots) == {"ROCm0": 22 * GIB}
