"""Workers that make vectors: what the engines print against the plan, and what they answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local_swarm.budget.groups import CPU_GROUP
from local_swarm.budget.pricing import Pricer
from local_swarm.budget.vectors import vector_batch
from local_swarm.domain.memory import MIB
from local_swarm.domain.plan import WorkerPlan
from local_swarm.engines import ENGINES, Engine, printed_sizes
from local_swarm.engines.throwaway import size_lines
from local_swarm.models.facts import read_facts
from tests.engines import headers, zoo
from tests.engines.conftest import DEADLINE_S, HOST, KEY, NATIVE
from tests.engines.encoders import ENCODERS, LENGTH

pytestmark = pytest.mark.engine

ROUNDING_BYTES = 0.01 * MIB + 1  # of a printed line, or two
BOUND = 1.6  # how much more of the compute buffer than printed may be planned
ASKED = ("--embeddings", "--pooling", "mean")
UNPRINTED = {"process", "vectors"}
MANY_WORDS = 60_000  # so that rows of logits are most of what is computed


@pytest.fixture(params=["xllamacpp", "llama-server"])
def installed(request: pytest.FixtureRequest) -> Engine:
    engine = ENGINES[request.param](NATIVE)
    found = engine.available()
    if not found.found:
        pytest.skip(found.reason)
    return engine


@pytest.fixture(params=[headers.VOCAB, MANY_WORDS], ids=["few words", "many words"])
def vocab(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The words of the models that are sketched in this test."""
    for module in (headers, zoo):
        monkeypatch.setattr(module, "VOCAB", request.param)
    return int(request.param)


@pytest.mark.parametrize("name", [*ENCODERS, "qwen2.5 1.5b", "gemma3", "gpt-oss"])
async def test_what_is_printed_is_what_was_planned(
    name: str, vocab: int, installed: Engine, worker: WorkerPlan, tmp_path: Path
) -> None:
    made_for_it = name in ENCODERS
    path = (ENCODERS[name] if made_for_it else zoo.ZOO[name])().write(tmp_path / "model.gguf")
    model = read_facts(path)
    batch = vector_batch(model, LENGTH)
    changed: dict[str, Any] = {"purpose": model.purpose, "vectors": True, "slots": 2}
    changed |= {"ctx": LENGTH, "batch": batch, "ubatch": batch, "model_path": str(path)}
    worker = replace(worker, cache_ram_mib=0, ctx_checkpoints=0, **changed)
    extra = () if made_for_it else ASKED
    spec = installed.launch(worker, host=HOST, port=0, api_key=KEY, extra_args=extra)
    spec = replace(spec, argv=(*spec.argv, "--no-warmup"))
    lines = await size_lines(spec, timeout_s=DEADLINE_S)
    printed = {part.kind: part.bytes for part in printed_sizes(lines or ())}
    pricer = Pricer(model, f"{installed.name} {installed.available().version}")
    planned = {part.kind: part.bytes for part in pricer.parts(worker, CPU_GROUP)}
    assert planned.keys() - printed.keys() == UNPRINTED
    compute, bound = printed.pop("compute"), planned.pop("compute")
    assert compute - ROUNDING_BYTES <= bound <= compute * BOUND
    far = {k: (printed[k], planned[k]) for k in printed if _far(printed[k], planned[k])}
    assert not far


def _far(printed: int, planned: int) -> bool:
    return abs(printed - planned) > ROUNDING_BYTES
