"""Slots saved to files and restored in the next life: the flag, and the real engines."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local_swarm.domain.launch import Capabilities, LaunchSpec
from local_swarm.domain.memory import KIB, MIB
from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.engines import Engine, slot_file_bytes, with_slot_files
from local_swarm.engines.xllamacpp_flags import parse
from local_swarm.supervisor.kept_slots import KeptSlot, restore, save
from tests.engines.conftest import KEY, Child, Start

RULES = " ".join(f"Rule {n}: word{n % 7} before word{n % 11}." for n in range(150))
LENGTH = 4096
FREE = LaunchSpec("fake", ("program", "-c", "1", "--port", "1", "-np", "4"), "127.0.0.1", 1)


@dataclass(frozen=True)
class Keeping:
    """An engine whose workers keep their slots."""

    engine: Engine
    directory: Path

    @property
    def capabilities(self) -> Capabilities:
        return self.engine.capabilities

    def launch(self, worker: WorkerPlan, **words: Any) -> LaunchSpec:
        return with_slot_files(self.engine.launch(worker, **words), worker, self.directory)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "slots"


@pytest.fixture
def engine(engine: Engine, directory: Path) -> Keeping:
    if engine.name == "fake" or not engine.capabilities.slot_files:
        pytest.skip("it keeps no slots")
    return Keeping(engine, directory)


async def ask(child: Child, name: str, slot: int) -> tuple[int, int]:
    """The prompt's tokens, and how many of them the slot held."""
    messages = [{"role": "user", "content": f"{name} {RULES}"}]
    body = {"messages": messages, "max_tokens": 8, "id_slot": slot}
    status, answer = await child.post("/v1/chat/completions", body)
    assert status == 200, answer
    usage = answer["usage"]
    return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]


async def saved(child: Child, slots: Sequence[int] = range(4)) -> tuple[KeptSlot, ...]:
    async with aiohttp.ClientSession() as session:
        return await save(session, child.spec, KEY, slots, slot_bytes=64 * MIB)


async def restored(child: Child, kept: Sequence[KeptSlot]) -> tuple[int, ...]:
    async with aiohttp.ClientSession() as session:
        return await restore(session, child.spec, KEY, kept)


@pytest.mark.engine
async def test_conversations_find_their_prompts_after_a_restart(
    start: Start, directory: Path, worker: WorkerPlan
) -> None:
    worker = replace(worker, ctx=LENGTH, parts=(MemoryPart("cpu", "kv", 4 * LENGTH * KIB),))
    first = await (await start(ctx=LENGTH)).ready()
    for slot, name in ((0, "alpha"), (3, "beta")):
        tokens, found = await ask(first, name, slot)
        assert found == 0
    kept = await saved(first)
    assert sorted(one.slot for one in kept) == [0, 3]
    assert all(one.tokens >= tokens for one in kept)
    assert all(one.bytes / one.tokens <= slot_file_bytes(worker) / LENGTH for one in kept)
    assert {one.path.name: one.bytes for one in kept} == {
        name: os.stat(directory / name).st_size for name in os.listdir(directory)
    }
    await first.stop()

    second = await (await start(ctx=LENGTH)).ready()
    assert sorted(await restored(second, kept)) == [0, 3]
    assert os.listdir(directory) == []
    # At once again, before anybody has used what was restored.
    kept = await saved(second)
    await second.stop()

    third = await (await start(ctx=LENGTH)).ready()
    assert sorted(await restored(third, kept)) == [0, 3]
    for slot, name in ((0, "alpha"), (3, "beta")):
        tokens, found = await ask(third, name, slot)
        assert found > 0.95 * tokens


@pytest.mark.engine
async def test_a_worker_with_other_settings_restores_nothing(start: Start, directory: Path) -> None:
    first = await (await start(ctx=LENGTH)).ready()
    await ask(first, "alpha", 0)
    kept = await saved(first)
    await first.stop()
    second = await (await start(ctx=LENGTH, cache_type_k="q8_0")).ready()
    assert await restored(second, kept) == ()
    assert os.listdir(directory) == []
    assert (await ask(second, "alpha", 0))[1] == 0


@pytest.mark.engine
async def test_a_damaged_file_costs_its_own_prompt_only(start: Start) -> None:
    first = await (await start(ctx=LENGTH)).ready()
    for slot, name in ((0, "alpha"), (1, "beta")):
        await ask(first, name, slot)
    kept = await saved(first)
    await first.stop()
    half = kept[0].path.read_bytes()[: kept[0].bytes // 2]
    kept[0].path.write_bytes(half)
    second = await (await start(ctx=LENGTH)).ready()
    assert await restored(second, kept) == (kept[1].slot,)
    assert (await ask(second, "gamma", kept[0].slot))[1] == 0


@pytest.fixture
def unusable(directory: Path) -> None:
    directory.write_text("a file where the folder should be")


@pytest.mark.engine
@pytest.mark.usefixtures("unusable")
async def test_without_a_directory_it_starts_and_has_no_slot_actions(start: Start) -> None:
    child = await (await start()).ready()
    assert child.spec.slot_files is None
    status, _ = await child.post("/slots/0?action=save", {"filename": "x"})
    assert status == 501
    assert await saved(child) == ()


def test_the_flag_names_a_directory_for_its_owner_alone(
    worker: WorkerPlan, directory: Path
) -> None:
    spec = with_slot_files(FREE, worker, directory)
    assert spec.argv == (*FREE.argv, "--slot-save-path", str(directory))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    (_, value), *_ = parse(["--slot-save-path", str(directory)])
    assert value == f"{directory}{os.sep}"


def test_an_engine_that_cannot_is_started_as_ever(worker: WorkerPlan, directory: Path) -> None:
    unable = replace(FREE, capabilities=Capabilities(slot_files=False))
    assert with_slot_files(unable, worker, directory) == unable
    assert not directory.exists()


def test_lives_understand_each_other_where_model_program_and_flags_are_the_same(
    worker: WorkerPlan, directory: Path, tmp_path: Path
) -> None:
    program, model = tmp_path / "program", tmp_path / "model"
    for path in (program, model):
        path.write_bytes(b"one")
    worker = replace(worker, model_path=str(model))
    spec = replace(FREE, argv=(str(program), "-c", "1", "--port", "1", "-np", "4"))

    def identity(spec: LaunchSpec, worker: WorkerPlan = worker) -> str:
        files = with_slot_files(spec, worker, directory).slot_files
        assert files is not None
        return files.identity

    known = identity(spec)
    moved = replace(spec, port=2, argv=(str(program), "-c", "1", "--port", "2", "-np", "4"))
    assert identity(moved) == known
    others = [
        identity(replace(spec, engine="other")),
        identity(replace(spec, argv=(str(program), "-c", "2", "--port", "1", "-np", "4"))),
        identity(spec, replace(worker, mmproj=str(program))),
        identity(spec, replace(worker, draft=str(model))),
    ]
    for path in (model, program):
        path.write_bytes(b"another")
        others.append(identity(spec))
    assert len({known, *others}) == 7


def test_the_largest_file_is_that_of_a_full_slot(worker: WorkerPlan) -> None:
    parts = (
        MemoryPart("a", "kv", 800),
        MemoryPart("b", "recurrent", 80),
        MemoryPart("b", "weights", 1),
    )
    split = replace(worker, slots=4, ctx=100, parts=parts)
    assert slot_file_bytes(split) == 220 + 3200
    assert slot_file_bytes(replace(split, kv_unified=True, kv_cells=150)) == 880 + 4800
