"""What the installed engines print against what `budget` reckons.

Each model is a header with real dimensions and no data. It is loaded for real, which prints every
size, and asked for in a dry run, which must say the same. An upgrade of the engine that changes a
rule of `budget` shows here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from local_swarm.budget.groups import CPU_GROUP
from local_swarm.budget.pricing import Pricer
from local_swarm.domain.memory import MIB
from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.engines import ENGINES, Engine, printed_sizes
from local_swarm.engines.dry_run import dry_run
from local_swarm.engines.throwaway import size_lines
from local_swarm.models.facts import read_facts
from tests.engines.conftest import DEADLINE_S, HOST, KEY, NATIVE, seated
from tests.engines.zoo import ZOO

pytestmark = pytest.mark.engine

ROUNDING_BYTES = 0.005 * MIB + 1  # of one printed line
CACHES = 2  # lines of the cache: the whole context, and windows
FORMULA, BOUND = 1.05, 1.5  # how much more than printed may be planned


@dataclass(frozen=True)
class Start:
    """How a model is started; tokens are those of all slots."""

    slots: int = 2
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        return {"slots": self.slots, "ctx": 4096 // self.slots} | self.more


PLAIN = Start()
QUANTISED = Start(1, {"cache_type_k": "q8_0", "cache_type_v": "q8_0"})
STARTS = {
    "plain": PLAIN,
    "one slot, q8_0": QUANTISED,
    "four slots": Start(4),
    "four slots, unified": Start(4, {"kv_unified": True}),
    "small batches": Start(2, {"ubatch": 128}),
    "long": Start(1, {"ctx": 10240}),  # beyond every window, also those that are ignored
}
VARIED = ("qwen2.5 1.5b", "gemma3", "gpt-oss", "granite hybrid", "deepseek2 latent")
WIDE_WINDOWS = ("llama4", "mistral with a window", "phi3", "starcoder2")
CASES = [
    *((model, "plain") for model in ZOO),
    *((model, start) for model in VARIED for start in STARTS if start not in ("plain", "long")),
    *((model, "long") for model in WIDE_WINDOWS),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module", params=["xllamacpp", "llama-server"])
def installed(request: pytest.FixtureRequest) -> Engine:
    engine = ENGINES[request.param](NATIVE)
    found = engine.available()
    if not found.found:
        pytest.skip(found.reason)
    return engine


def by_kind(parts: tuple[MemoryPart, ...] | None) -> dict[str, int]:
    """Everything is on the host here."""
    assert parts, "the engine printed nothing"
    assert {part.device for part in parts} == {"cpu"}
    return {part.kind: part.bytes for part in parts}


async def loaded(worker: WorkerPlan, engine: Engine) -> dict[str, int]:
    """What a real start prints."""
    spec = engine.launch(worker, host=HOST, port=0, api_key=KEY)
    spec = replace(spec, argv=(*spec.argv, "--no-warmup"))
    return by_kind(printed_sizes(await size_lines(spec, timeout_s=DEADLINE_S) or ()))


@pytest.mark.parametrize(("name", "start"), CASES, ids=[" / ".join(case) for case in CASES])
async def test_plan_dry_run_and_real_start_agree(
    name: str, start: str, installed: Engine, models: Path, worker: WorkerPlan
) -> None:
    path = models / f"{name}.gguf"
    if not path.exists():
        ZOO[name]().write(path)
    worker = replace(worker, model_path=str(path), **STARTS[start].settings)
    printed = await loaded(worker, installed)
    said = by_kind(await dry_run(worker, installed, api_key=KEY, timeout_s=DEADLINE_S))
    assert_same(said, {kind: printed[kind] for kind in said})
    assert_planned(worker, installed, printed)


@pytest.mark.parametrize("start", [Start(1), QUANTISED], ids=["plain", "q8_0"])
@pytest.mark.parametrize("name", VARIED)
async def test_a_server_without_a_dry_run_starts_as_planned(
    name: str, start: Start, models: Path, worker: WorkerPlan
) -> None:
    engine = ENGINES["llama-cpp-python"]("")
    if why := engine.available().reason:
        pytest.skip(why)
    path = models / f"{name}.gguf"
    if not path.exists():
        ZOO[name]().write(path)
    worker = replace(seated(worker, engine), model_path=str(path), **start.settings)
    spec = engine.launch(worker, host=HOST, port=0, api_key=KEY)
    lines = await size_lines(spec, timeout_s=DEADLINE_S)
    assert_planned(worker, engine, by_kind(printed_sizes(lines or ())))


def assert_planned(worker: WorkerPlan, engine: Engine, printed: dict[str, int]) -> None:
    build = f"{engine.name} {engine.available().version}"
    pricer = Pricer(read_facts(Path(worker.model_path)), build)
    worker = replace(worker, cache_ram_mib=0, ctx_checkpoints=0)
    planned = by_kind(pricer.parts(worker, CPU_GROUP))
    del planned["process"]  # never printed
    method = pricer.compute(worker, CPU_GROUP).method
    compute, wanted = printed.pop("compute"), planned.pop("compute")
    assert_same(printed, planned)
    if method == "formula":
        assert compute / FORMULA <= wanted <= compute * FORMULA, method
    else:
        assert compute - ROUNDING_BYTES <= wanted <= compute * BOUND, method


def assert_same(one: dict[str, int], other: dict[str, int]) -> None:
    assert one.keys() == other.keys()
    far = {
        kind: (one[kind], other[kind])
        for kind in one
        if abs(one[kind] - other[kind]) > ROUNDING_BYTES * CACHES
    }
    assert not far
