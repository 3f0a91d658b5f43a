"""What the fleet is given of a plan: sizes, the ladder down, files of slots."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from local_swarm.config import Config, Swarm
from local_swarm.domain.hardware import Cpu, Device, HostSnapshot, Memory
from local_swarm.domain.memory import GIB
from local_swarm.engines import slot_file_bytes
from local_swarm.hardware.values import new_device
from local_swarm.supervisor.job import Job, Where
from local_swarm.swarm.crew import model_files
from local_swarm.swarm.device_memory import Starts
from local_swarm.swarm.jobs import Source, job_of, memory_of, room_in_ram
from local_swarm.swarm.planning import Prepared, prepare

CONFIG = Config(swarm=Swarm(ctx=8192, slots=4, threads=1, workers=1))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path))


def card(**facts: Any) -> Device:
    made = new_device(
        "nvidia", id="CUDA0", backend="CUDA", total_bytes=24 * GIB, free_bytes=23 * GIB
    )
    return replace(made, **facts)


def prepared(*devices: Device) -> Prepared:
    memory = Memory(32 * GIB, 30 * GIB)
    host = HostSnapshot("linux", "x86_64", Cpu(None, 8, 16), memory, devices=devices)
    return prepare(CONFIG, model="builtin:demo", host=host)


def job(made: Prepared, slots: Path | None = None) -> Job:
    (worker,) = made.plan.workers
    return job_of(Source(made, Starts(made.host.devices, lambda _: {}), slots), worker)


def ladder(first: Job, where: Where) -> list[Job]:
    steps = [first]
    while (smaller := steps[-1].shrink(where)) is not None:
        steps.append(smaller)
    return steps


def sizes(made: Prepared) -> dict[tuple[str, str], int]:
    (worker,) = made.plan.workers
    return {(part.device, part.kind): part.bytes for part in worker.parts}


def test_sizes_lie_where_the_plan_puts_them() -> None:
    made = prepared(card())
    part = sizes(made)
    memory = memory_of(made, made.plan.workers[0])
    on_card = sum(size for (device, _), size in part.items() if device == "CUDA0")
    assert memory.on_devices == {"CUDA0": on_card}
    assert memory.mapped_bytes == part["cpu", "weights"]
    assert memory.cache_bytes == part["cpu", "prompt_cache"]
    assert memory.host_bytes + memory.mapped_bytes + on_card == sum(part.values())


def test_an_integrated_device_has_no_memory_of_its_own() -> None:
    made = prepared(card(integrated=True))
    part = sizes(made)
    memory = memory_of(made, made.plan.workers[0])
    assert memory.on_devices == {}
    assert memory.host_bytes == sum(part.values()) - part["cpu", "weights"]


def test_each_step_for_ram_frees_some_and_adds_to_what_was_given_up() -> None:
    steps = ladder(job(prepared()), "host")
    assert steps[0].given_up == ""
    assert len(steps) > 3
    for before, after in pairwise(steps):
        assert after.memory.host_bytes < before.memory.host_bytes
        assert after.given_up.startswith(before.given_up)
        assert after.given_up != before.given_up
        assert (after.id, after.api_key) == (before.id, before.api_key)
    last = steps[-1]
    assert (last.slots, last.memory.cache_bytes) == (1, 0)
    argv = last.launch().argv
    assert argv[argv.index("-np") + 1] == "1"


def test_each_step_for_a_card_frees_some_there() -> None:
    steps = ladder(job(prepared(card())), "device")
    assert len(steps) > 3
    for before, after in pairwise(steps):
        assert after.memory.on_devices["CUDA0"] < before.memory.on_devices["CUDA0"]


def test_a_step_is_worked_out_once() -> None:
    first = job(prepared())
    assert first.shrink("host") is first.shrink("host")


def test_slots_are_kept_where_there_is_a_place_for_them(tmp_path: Path) -> None:
    made = prepared()
    assert job(made).slot_bytes == 0
    kept = job(made, tmp_path)
    assert kept.slot_bytes == slot_file_bytes(made.plan.workers[0]) > 0
    assert str(tmp_path) in " ".join(kept.launch().argv)
    assert str(tmp_path) not in " ".join(job(made).launch().argv)
    smaller = ladder(kept, "host")[-1]
    assert 0 < smaller.slot_bytes < kept.slot_bytes


def test_a_file_of_the_same_size_that_is_newer_is_another(tmp_path: Path) -> None:
    made = prepared()
    copy = tmp_path / "copy.gguf"
    shutil.copy(made.model.path, copy)
    made = replace(made, model=replace(made.model, path=str(copy), parts=()))
    before = model_files(made)
    assert model_files(made) == before
    os.utime(copy, ns=(0, 0))
    assert model_files(made) != before
    copy.unlink()
    assert model_files(made) == ((str(copy), -1, -1),)


def test_the_room_in_ram_is_what_the_plan_leaves() -> None:
    plan = prepared().plan
    (ram,) = [budget for budget in plan.budget if budget.device == "cpu"]
    assert room_in_ram(plan) == ram.usable_bytes - ram.planned_bytes > 0
    full = replace(ram, planned_bytes=ram.usable_bytes + 1)
    assert room_in_ram(replace(plan, budget=(full,))) == 0
    assert room_in_ram(replace(plan, budget=())) == 0
