"""Draft, projector and checkpoints on the real engines: they print what was planned."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local_swarm.budget.beside import partial_bytes
from local_swarm.budget.context import Setting
from local_swarm.budget.groups import CPU_GROUP
from local_swarm.budget.pricing import Beside, Pricer
from local_swarm.budget.projector import projector_parts
from local_swarm.domain.memory import MIB
from local_swarm.domain.plan import WorkerPlan
from local_swarm.engines import printed_sizes
from local_swarm.models import read_facts, read_projector
from tests.engines.conftest import DEMO, Start
from tests.engines.small_models import small_projector, windowed_model

REAL = [pytest.param(name, marks=pytest.mark.engine) for name in ("xllamacpp", "llama-server")]
CHAT = "/v1/chat/completions"
ASK = {
    "messages": [{"role": "user", "content": "Write a function that adds two numbers."}],
    "max_tokens": 24,
    "temperature": 0,
}
ROUNDING_BYTES = 0.011 * MIB  # two figures of 0.01 MiB


@pytest.mark.parametrize("engine", REAL, indirect=True)
@pytest.mark.parametrize("unified", [False, True])
async def test_weights_cache_and_output_of_model_and_draft_are_as_planned(
    start: Start, worker: WorkerPlan, unified: bool
) -> None:
    child = await (await start(draft=str(DEMO), kv_unified=unified, ctx=1000)).ready()
    facts = read_facts(DEMO)
    worker = replace(worker, draft=str(DEMO), kv_unified=unified, ctx=1000)
    parts = Pricer(facts, beside=Beside(draft=facts)).parts(worker, CPU_GROUP)
    planned = {part.kind: part.bytes for part in parts}
    printed = {part.kind: part.bytes for part in printed_sizes(child.log.read_text().splitlines())}
    for kind in ("weights", "kv", "output"):
        expected = planned[kind] + planned[f"draft_{kind}"]
        assert printed[kind] == pytest.approx(expected, abs=ROUNDING_BYTES), kind


@pytest.mark.parametrize("engine", REAL, indirect=True)
async def test_answers_are_the_same_with_a_draft_and_it_is_asked(start: Start) -> None:
    plain, drafting = await start(), await start(draft=str(DEMO))
    answers: list[Any] = []
    for child in (plain, drafting):
        status, body = await (await child.ready()).post(CHAT, ASK)
        assert status == 200
        answers.append(body)
    first, second = (body["choices"][0]["message"]["content"] for body in answers)
    assert first == second
    assert answers[1]["timings"]["draft_n"] > 0


@pytest.mark.parametrize("engine", REAL, indirect=True)
async def test_several_choices_come_with_a_draft_too(start: Start) -> None:
    child = await (await start(draft=str(DEMO))).ready()
    status, body = await child.post(CHAT, {**ASK, "n": 3, "temperature": 1})
    assert status == 200
    assert len(body["choices"]) == 3


@pytest.mark.parametrize("engine", REAL, indirect=True)
async def test_a_projector_that_is_none_ends_the_child(start: Start, tmp_path: Path) -> None:
    (tmp_path / "eyes.gguf").write_bytes(b"no projector at all")
    child = await start(mmproj=str(tmp_path / "eyes.gguf"))
    assert await child.ended(30.0) != 0
    assert "eyes.gguf" in child.log.read_text()


@pytest.mark.parametrize("engine", REAL, indirect=True)
async def test_a_projector_s_scratch_memory_is_within_the_bound(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "eyes.gguf"
    path.write_bytes(small_projector().encode())
    child = await (await start(mmproj=str(path))).ready()
    [printed] = re.findall(
        r"reserve_compute_meta: .*compute buffer size = +([\d.]+) MiB", child.log.read_text()
    )
    weights, compute = projector_parts(read_projector(path))
    assert weights.bytes > 0
    assert 0.5 * compute.bytes <= float(printed) * MIB <= compute.bytes


@pytest.mark.parametrize("engine", REAL, indirect=True)
async def test_a_checkpoint_is_no_larger_than_planned(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "windowed.gguf"
    path.write_bytes(windowed_model().encode())
    child = await (await start(model_path=str(path), slots=1, lanes=0)).ready()
    status, _ = await child.post("/completion", {"prompt": [5] * 800, "n_predict": 2})
    assert status == 200
    sizes = re.findall(r"created context checkpoint .* size = ([\d.]+) MiB", child.log.read_text())
    bound = partial_bytes(read_facts(path), Setting(1024))
    assert sizes
    assert 0.95 * bound <= max(float(size) for size in sizes) * MIB <= bound
