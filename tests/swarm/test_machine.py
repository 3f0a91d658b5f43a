"""The machine as an engine can use it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local_swarm.domain.hardware import Cpu, Device, HostSnapshot, Memory
from local_swarm.engines.llama_server import NEEDED, LlamaServer
from local_swarm.hardware.values import new_device
from local_swarm.swarm.machine import as_driven, machine
from tests.fakes.fake_nvml import build, environment, needs_library

GIB = 1 << 30
COMMAND = (sys.executable, "-m", "local_swarm", "hardware", "--json")
ENGINE = "llama-server 1234"
HEADING = "Available devices:\n"
NONE = HEADING + "  (none)\n"
CUDA0 = "  CUDA0: NVIDIA Pretend 24 (24081 MiB, 23000 MiB free)\n"
CUDA1 = "  CUDA1: NVIDIA Pretend 24 (24081 MiB, 22000 MiB free)\n"

RTX = new_device(
    "NVIDIA", id="CUDA1", uuid="GPU-1", name="NVIDIA Pretend 24", backend="CUDA", integrated=False
)
UHD = new_device(
    "Intel", id="Vulkan0", name="UHD 770", backend="Vulkan", bus_id="0000:00:02.0", integrated=True
)


def host(*devices: Device, unified: bool = False) -> HostSnapshot:
    cpu, memory = Cpu("Some CPU", 8, 16), Memory(64 * GIB, 60 * GIB)
    return HostSnapshot("linux", "x86_64", cpu, memory, unified, devices)


def test_the_engine_s_name_and_sizes_and_our_uuid() -> None:
    seen = as_driven(host(RTX), HEADING + CUDA0, ENGINE)
    (device,) = seen.host.devices
    assert (device.id, device.uuid, device.pin) == ("CUDA0", "GPU-1", "GPU-1")
    assert device.free_bytes == 23000 << 20
    assert seen.notes == ()


def test_what_the_engine_cannot_drive_is_left_out_and_said() -> None:
    seen = as_driven(host(RTX), NONE, "xllamacpp 2026.10")
    assert seen.host.devices == ()
    assert seen.undriven
    assert seen.notes == (
        "NVIDIA Pretend 24 is here, but the engine xllamacpp 2026.10 drives no GPU: "
        "install a llama-server with CUDA, on PATH or as `engine.path`.",
    )


def test_what_it_drives_and_what_not_are_told_apart() -> None:
    radeon = new_device("AMD", id="ROCm0", name="Radeon", bus_id="0000:09:00.0")
    seen = as_driven(host(RTX, UHD, radeon), HEADING + CUDA0, ENGINE)
    assert [device.id for device in seen.host.devices] == ["CUDA0"]
    (note,) = seen.notes
    assert not seen.undriven
    assert note.startswith(
        f"UHD 770, Radeon are here, but the engine {ENGINE} does not drive them: "
        "install a llama-server with SYCL or Vulkan and ROCm or Vulkan"
    )


def test_an_engine_that_does_not_tell_changes_nothing_and_it_is_said() -> None:
    for told in (None, "error: invalid argument: --list-devices\n"):
        seen = as_driven(host(RTX), told, ENGINE)
        assert seen.host == host(RTX)
        assert ENGINE in seen.notes[0]
        assert as_driven(host(), told, ENGINE).notes == ()


def test_a_device_no_worker_can_be_given_alone_is_left_out() -> None:
    listing = HEADING + CUDA0 + "  HTP0: Hexagon (2048 MiB, 2048 MiB free)\n"
    seen = as_driven(host(RTX), listing, ENGINE)
    assert [device.id for device in seen.host.devices] == ["CUDA0"]
    assert seen.notes == ("Hexagon is left out: no worker can be given HTP0 and no other device.",)


def test_devices_of_one_name_are_one() -> None:
    line = "  GPUOpenCL: QUALCOMM Adreno(TM) {} (8192 MiB, 7168 MiB free)\n"
    listing = HEADING + line.format(750) + line.format(740)
    seen = as_driven(host(), listing, ENGINE)
    assert [device.name for device in seen.host.devices] == ["QUALCOMM Adreno(TM) 750"]


def test_a_host_is_unified_by_the_devices_that_are_left() -> None:
    listing = HEADING + "  Vulkan0: Intel(R) UHD 770 (15901 MiB, 14211 MiB free)\n"
    assert as_driven(host(RTX, UHD), listing, ENGINE).host.unified
    assert not as_driven(host(RTX, UHD), HEADING + CUDA0, ENGINE).host.unified
    assert as_driven(host(UHD, unified=True), NONE, ENGINE).host.unified


def test_only_cuda_devices_are_pinned_by_uuid() -> None:
    assert RTX.pin == "GPU-1"
    assert replace(RTX, uuid="MIG-1").pin == "MIG-1"
    assert replace(RTX, uuid=None).pin == "CUDA1"
    assert replace(RTX, id="Vulkan0", backend="Vulkan").pin == "Vulkan0"
    assert new_device("AMD", id="ROCm0", backend="ROCm", uuid="GPU-aa").pin == "ROCm0"


def native(folder: Path, listing: str) -> Path:
    """A program that says it is llama-server, and lists these devices."""
    path = folder / "llama-server"
    path.write_text(
        f"#!/bin/sh\nif [ $1 = --list-devices ]; then printf '{listing}'; exit; fi\n"
        f"echo 'version: 1234 (abc)'\necho '{' '.join(NEEDED)}'\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.skipif(os.name != "posix", reason="the engine is a shell script")
def test_a_native_engine_is_asked_even_where_nothing_was_found(tmp_path: Path) -> None:
    listing = HEADING + "  CANN0: Ascend (32768 MiB, 32000 MiB free)\n"
    seen = machine(LlamaServer(str(native(tmp_path, listing))))
    (device,) = [device for device in seen.host.devices if device.backend == "CANN"]
    assert device.free_bytes == 32000 << 20


def hardware(folder: Path, tmp_path: Path, engine: str) -> tuple[list[dict[str, object]], str]:
    """What `lswarm hardware --json` prints in a process with the fake library, and says."""
    (tmp_path / "lswarm.toml").write_text(engine)
    done = subprocess.run(
        [*COMMAND, "--config", str(tmp_path / "lswarm.toml")],
        env=environment(folder, GPUS="2"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)["devices"], " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


@needs_library
def test_hardware_shows_what_plans_use(library: Path, tmp_path: Path) -> None:
    path = native(tmp_path, HEADING + CUDA0 + CUDA1)
    devices, said = hardware(library, tmp_path, f'[engine]\npath = "{path}"\n')
    assert [(d["id"], d["uuid"], d["free_bytes"]) for d in devices] == [
        ("CUDA0", "GPU-00000001", 23000 << 20),
        ("CUDA1", "GPU-00000002", 22000 << 20),
    ]
    assert said == ""


@needs_library
def test_hardware_says_which_engine_would_drive_it(library: Path, tmp_path: Path) -> None:
    path = native(tmp_path, NONE)
    devices, said = hardware(library, tmp_path, f'[engine]\npath = "{path}"\n')
    assert devices == []
    assert "2 x NVIDIA Pretend 24 are here, but the engine llama-server 1234 drives no GPU" in said


@needs_library
def test_hardware_works_without_an_engine(library: Path, tmp_path: Path) -> None:
    devices, said = hardware(library, tmp_path, '[engine]\npath = "/nowhere"\n')
    assert [device["id"] for device in devices] == ["CUDA0", "CUDA1"]
    assert "/nowhere" in said
