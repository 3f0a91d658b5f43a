"""Plans for a machine that is described in a file: nothing of this one is in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from local_swarm.cli.group import lswarm
from local_swarm.config import Config, Engine
from local_swarm.domain.hardware import Cpu, Device, HostSnapshot, Memory
from local_swarm.domain.memory import GIB
from local_swarm.engines import dry_run
from local_swarm.engines.environment import VISIBLE
from local_swarm.engines.llama_server import NEEDED
from local_swarm.hardware.values import new_device
from local_swarm.swarm.machine import given
from local_swarm.swarm.planning import plan_document, prepare
from local_swarm.telemetry import logs

MODEL = "qwen2.5-coder:1.5b:q4_k_m"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path))
    return tmp_path


def card(id_: str, backend: str, **facts: Any) -> Device:
    return new_device(
        None, id=id_, backend=backend, total_bytes=24 * GIB, free_bytes=23 * GIB, **facts
    )


def host(*devices: Device) -> HostSnapshot:
    memory = Memory(32 * GIB, 30 * GIB)
    return HostSnapshot("linux", "x86_64", Cpu(None, 8, 16), memory, devices=devices)


def test_a_device_no_worker_can_be_given_is_left_out_and_said() -> None:
    npu, gpu = card("HTP0", "HTP", name="Hexagon"), card("CUDA0", "CUDA")
    seen = given(host(npu, gpu))
    assert seen.host == host(gpu)
    assert seen.notes == ("Hexagon is left out: no worker can be given HTP0 and no other device.",)
    assert not seen.undriven
    assert given(host(npu)).undriven
    assert given(host(gpu)).notes == given(host()).notes == ()
    assert not given(host()).undriven


def test_a_uuid_makes_a_device_one_that_can_be_pinned() -> None:
    odd = card("GPU0", "CUDA", uuid="GPU-1")
    assert given(host(odd)).host == host(odd)


@pytest.fixture
def config() -> Config:
    pytest.importorskip("xllamacpp")
    return Config(engine=Engine(name="xllamacpp"))


def test_a_plan_goes_without_what_cannot_be_pinned(config: Config) -> None:
    there = host(card("HTP0", "HTP", name="Hexagon"), card("CUDA0", "CUDA"))
    document = plan_document(prepare(config, model=MODEL, host=there))
    assert {device for w in document["workers"] for device in w["devices"]} == {"CUDA0"}
    assert document["reasons"][0].startswith("Hexagon is left out")


@pytest.mark.parametrize("shown", ["6,7", "GPU-aa,3", "level_zero:4,5", "-1"])
@pytest.mark.parametrize("backend", ["CUDA", "ROCm", "SYCL"])
def test_a_plan_does_not_depend_on_what_we_are_shown(
    config: Config, backend: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = host(card(f"{backend}0", backend), card(f"{backend}1", backend))

    def document() -> dict[str, Any]:
        return plan_document(prepare(config, model=MODEL, host=there))

    for variable in VISIBLE.values():
        monkeypatch.delenv(variable, raising=False)
    expected = document()
    assert {d for w in expected["workers"] for d in w["devices"]} == {f"{backend}0", f"{backend}1"}
    for variable in VISIBLE.values():
        monkeypatch.setenv(variable, shown)
    assert document() == expected


@pytest.mark.skipif(os.name != "posix", reason="the engine is a shell script")
def test_plan_says_on_stderr_what_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "llama-server"
    path.write_text(
        "#!/bin/sh\n"
        f"case $1 in --*) echo 'version: 1234 (abc) {' '.join(NEEDED)}';; *) sleep 0.2;; esac\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "own.toml").write_text(f'[engine]\npath = "{path}"\n')
    monkeypatch.setattr(dry_run, "QUIET_S", 0.0)
    words = ["plan", "--json", "--model", "builtin:demo", "--config", str(tmp_path / "own.toml")]
    try:
        done = CliRunner().invoke(lswarm, words)
    finally:
        logs.stop()
    assert done.exit_code == 0, done.output
    assert "waiting for llama-server to say how much memory" in done.stderr
    assert "waiting" not in done.stdout
