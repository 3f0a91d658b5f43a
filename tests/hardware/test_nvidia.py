"""NVIDIA cards, through the real pynvml and a library of our own in place of the driver's.

Each case is a process of its own: a library, once loaded, stays.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local_swarm.hardware.nvidia import visible
from local_swarm.hardware.values import new_device

HERE = Path(__file__).parent
GIB = 1 << 30
PROGRAM = """
from local_swarm.hardware import snapshot, to_json
from local_swarm.hardware.cpu import CpuProbe
from local_swarm.hardware.memory import MemoryProbe
from local_swarm.hardware.nvidia import NvidiaProbe
print(to_json(snapshot(probes=[CpuProbe(), MemoryProbe(), NvidiaProbe()])))
"""

COMPILER = shutil.which("cc")
needs_library = pytest.mark.skipif(
    sys.platform != "linux" or COMPILER is None, reason="builds a fake libnvidia-ml.so.1 with cc"
)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """Folders of the fake library: a current one and an old one."""
    folders = {}
    for age, flags in {"new": [], "old": ["-DOLD"]}.items():
        folder = tmp_path_factory.mktemp(age)
        library = folder / "libnvidia-ml.so.1"
        command = [str(COMPILER), "-shared", "-fPIC", *flags, "-o", str(library)]
        subprocess.run([*command, str(HERE / "fake_nvml.c")], check=True, timeout=60)
        folders[age] = folder
    return folders


def devices(folder, **environment):
    """What a process with that library and environment lists, and how long it took."""
    clean = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    told = {k if k.startswith("CUDA") else f"FAKE_NVML_{k}": v for k, v in environment.items()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**clean, "LD_LIBRARY_PATH": str(folder), **told},
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)["devices"]


@needs_library
def test_a_card_s_facts(libraries):
    first, second = devices(libraries["new"], HELD_MIB="300")
    assert first == {
        "id": "CUDA0",
        "uuid": "GPU-00000001",
        "vendor": "NVIDIA",
        "name": "NVIDIA Pretend 24",
        "backend": "CUDA",
        "total_bytes": 24 * GIB,
        "free_bytes": 23 * GIB,
        "driver": "550.120",
        "bus_id": "0000:10:00.0",
        "integrated": False,
        "compute_capability": "8.9",
        "others_bytes": 300 << 20,
        "power_limit_w": 350.0,
    }
    assert (second["id"], second["bus_id"]) == ("CUDA1", "0000:20:00.0")


@needs_library
def test_an_old_driver_leaves_facts_unknown(libraries):
    first, _ = devices(libraries["old"])
    assert (first["total_bytes"], first["free_bytes"]) == (24 * GIB, 23 * GIB)
    unknown = {"bus_id", "compute_capability", "others_bytes", "power_limit_w"}
    assert not unknown & set(first)


@needs_library
def test_mig_instances_stand_in_place_of_their_card(libraries):
    card, *parts = devices(libraries["new"], MIG="3")
    assert card["id"] == "CUDA0"
    assert [part["id"] for part in parts] == ["MIG-000003e9", "MIG-000003ea", "MIG-000003eb"]
    assert {part["total_bytes"] for part in parts} == {10 * GIB}
    assert {part["bus_id"] for part in parts} == {"0000:20:00.0"}
    assert {part["name"] for part in parts} == {"NVIDIA Pretend MIG 1g.10gb"}


@needs_library
def test_memory_that_is_not_told_stays_unknown(libraries):
    first, _ = devices(libraries["new"], NO_MEMORY="1", HELD_MIB="hidden")
    assert (first["total_bytes"], first["free_bytes"]) == (None, None)
    assert "others_bytes" not in first
    assert "integrated" not in first


@needs_library
@pytest.mark.parametrize("told", [{"INIT": "9"}, {"INIT": "18"}, {"GPUS": "0"}])
def test_a_driver_that_fails_is_quiet(libraries, told):
    assert devices(libraries["new"], **told) == []


@needs_library
def test_a_library_that_is_none_is_quiet(tmp_path):
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"\x7fELF but broken")
    assert devices(tmp_path) == []


@needs_library
def test_a_hanging_driver_costs_two_seconds_and_its_own_facts(libraries):
    before = time.monotonic()
    assert devices(libraries["new"], HANG="60") == []
    assert time.monotonic() - before < 10


@needs_library
def test_hidden_cards_are_not_listed(libraries):
    (only,) = devices(libraries["new"], CUDA_VISIBLE_DEVICES="1")
    assert only["id"] == "CUDA1"
    assert devices(libraries["new"], CUDA_VISIBLE_DEVICES="") == []


CARDS = [(n, new_device("NVIDIA", id=f"CUDA{n}", uuid=f"GPU-{n}{n}{n}")) for n in range(3)]


@pytest.mark.parametrize(
    ("setting", "ids"),
    [
        (None, ["CUDA0", "CUDA1", "CUDA2"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2,0", ["CUDA2", "CUDA0"]),
        ("0,7,1", ["CUDA0"]),
        ("GPU-11, 2", ["CUDA1", "CUDA2"]),
        ("1,1", ["CUDA1"]),
    ],
)
def test_visibility_is_read_as_cuda_reads_it(setting, ids):
    assert [device.id for device in visible(CARDS, setting)] == ids
