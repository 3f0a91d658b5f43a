"""What a plan says of each device, held to what llama-server prints on devices that are not there.

Runs where a native build with its sources is: `bin/build_engine.sh FOLDER` makes one and says what
to set.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local_swarm import budget
from local_swarm.budget import Wishes
from local_swarm.budget.placed_compute import placed_compute
from local_swarm.budget.placement import assign, place
from local_swarm.domain.hardware import Cpu, HostSnapshot, Memory
from local_swarm.domain.memory import GIB, MIB
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, Drift, MemoryPart, Plan, WorkerPlan
from local_swarm.engines import on_devices, printed_sizes
from local_swarm.engines.llama_server import LlamaServer
from local_swarm.models.facts import read_facts
from local_swarm.swarm.machine import as_driven, engine_label
from tests.e2e import conftest as e2e
from tests.engines.zoo import ZOO
from tests.fakes.fakegpu import models
from tests.fakes.fakegpu.measure import Cell, build, cells, fakes, free_port, loaded, measure

lswarm, up = e2e.lswarm, e2e.up

SERVER = Path(os.environ.get("LSWARM_TEST_LLAMA_SERVER", "") or os.devnull)
SOURCES = Path(os.environ.get("LSWARM_TEST_LLAMA_SOURCE", "") or os.devnull)
NEEDED = {
    "LSWARM_TEST_LLAMA_SERVER names no llama-server": SERVER.is_file(),
    "its build has no shared libraries": (SERVER.parent / "libggml.so").exists(),
    "LSWARM_TEST_LLAMA_SOURCE names no llama.cpp tree": (SOURCES / "ggml/include").is_dir(),
    "there is no g++": shutil.which("g++") is not None,
}
MISSING = [why for why, is_here in NEEDED.items() if not is_here]
ROUNDING = 0.005 * MIB
SOME = cells()[::11]

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(MISSING), reason="; ".join(MISSING)),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(SERVER, SOURCES, tmp_path_factory.mktemp("device"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: models.write(folder, name) for name in models.MODELS}


def test_every_model_is_among_the_cells() -> None:
    assert {cell.model for cell in SOME} == set(models.MODELS)
    assert any(cell.cpu_moe for cell in SOME)


@pytest.mark.parametrize("cell", SOME, ids=str)
def test_the_plan_says_what_the_engine_reserves(
    cell: Cell, library: Path, files: Mapping[str, Path]
) -> None:
    file = files[cell.model]
    facts = read_facts(file)
    printed = {(p.device, p.kind): p.bytes for p in measure(SERVER, library, file, cell)}
    shares = place(
        facts,
        cell.setting,
        gpu_layers=cell.gpu_layers,
        devices=cell.targets,
        tensor_split=cell.split,
        cpu_moe_layers=cell.cpu_moe,
        mapped=False,
    )
    homes = assign(facts, cell.gpu_layers, cell.targets, cell.split)
    bounds = placed_compute(
        facts, cell.setting, cell.targets, homes, cpu_moe_layers=cell.cpu_moe
    )  # fmt: skip
    for share in shares:
        planned = {
            "weights": share.weights_bytes,
            "kv": share.kv_bytes,
            "recurrent": share.recurrent_bytes,
        }
        for kind, size in planned.items():
            found = printed.pop((share.device, kind), 0)
            # a window's cache is printed apart, and each line is rounded
            assert found == pytest.approx(size, abs=2 * ROUNDING + 2), (share.device, kind)
        reserved = printed.pop((share.device, "compute"), 0)
        assert reserved <= bounds[share.device].bytes + ROUNDING, share.device
    assert {kind for _, kind in printed} <= {"output"}


WHOLE = {"voters": 5, "slots": 6, "ctx": 16384}
"""Wishes that leave only the devices to choose."""


@dataclass(frozen=True)
class Case:
    """A model of the zoo, the MiB of each device, and the way in which it should end up there."""

    model: str
    mib: tuple[int, ...]
    way: str
    wishes: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.model} on {'+'.join(map(str, self.mib))}: {self.way}"


ONE, EACH, SPLIT, HOST = "one device", "a worker each", "split", "in part on the host"
CASES = (
    Case("llama 3.2 1b", (2048,), ONE),
    Case("llama 3.2 1b", (1024, 2048, 1536), EACH),
    Case("llama 3.2 1b", (560,), HOST),
    Case("qwen2.5 1.5b", (1536, 1024), EACH),
    Case("qwen2.5 1.5b", (700,), ONE),
    Case("qwen3moe", (3072, 2048), EACH),
    Case("qwen3moe", (640,), HOST),
    Case("gpt-oss", (1024, 2048, 1536), EACH),
    Case("gpt-oss", (700,), HOST),
    Case("gpt-oss", (700, 650, 680), HOST),
    Case("gpt-oss", (900, 1500), ONE, WHOLE),
    Case("gpt-oss", (800, 900), HOST, WHOLE),
    Case("gemma3", (2048,), ONE),
    Case("gemma3", (1200, 1500), SPLIT, WHOLE | {"ctx": 32768}),
    Case("gemma3", (1200, 1500, 900), SPLIT, WHOLE | {"ctx": 32768}),
    Case("gemma3", (700, 600), HOST),
    Case("gemma3", (900, 700, 800), HOST, WHOLE),
    Case("gemma4", (1024,), ONE, WHOLE),
    Case("olmo2", (1600, 2500), ONE),
    Case("olmo2", (1200, 1400), SPLIT),
    Case("olmo2", (900, 800, 700), SPLIT),
    Case("llama4", (1200, 1000), EACH),
    Case("granite hybrid", (1024,), ONE, WHOLE),
    Case("granite hybrid", (640,), ONE),
    Case("granite hybrid", (600,), HOST),
    Case("qwen35", (560,), HOST),
    Case("qwen3next", (1024,), ONE, WHOLE),
    Case("qwen3next", (900,), HOST, WHOLE),
    Case("qwen3moe", (1024, 768), ONE, WHOLE),
)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("zoo")

    def written(name: str) -> Path:
        path = folder / f"{name}.gguf"
        return path if path.exists() else ZOO[name]().write(path)

    return written


def machine_of(engine: LlamaServer, devices: Mapping[str, str]) -> HostSnapshot:
    """A small machine with the devices as the engine lists them."""
    done = subprocess.run(
        [str(SERVER), "--list-devices"],
        env={**os.environ, **devices},
        capture_output=True,
        text=True,
        check=True,
    )
    host = HostSnapshot("linux", "x86_64", Cpu(None, 4, 4), Memory(16 * GIB, 16 * GIB))
    return as_driven(host, done.stdout, engine_label(engine)).host


def way(plan: Plan, all_layers: int) -> str:
    worker = plan.workers[0]
    if worker.gpu_layers < all_layers or worker.cpu_moe_layers:
        return HOST
    if len(worker.devices) > 1:
        return SPLIT
    return EACH if len(plan.workers) > 1 else ONE


def by_device(parts: Iterable[MemoryPart]) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for part in parts:
        sizes[part.device] += part.bytes
    return sizes


@pytest.mark.parametrize("case", [*CASES, Case("qwen3moe", (800, 700), HOST, WHOLE)], ids=str)
def test_every_worker_of_a_plan_takes_what_it_says(
    case: Case, library: Path, zoo: Callable[[str], Path], tmp_path: Path
) -> None:
    engine = LlamaServer(str(SERVER))
    devices, facts = devices_of(case, library), read_facts(zoo(case.model))
    plan = planned(case, library, facts)
    assert way(plan, facts.layers + 1) == case.way
    for worker in plan.workers:
        spec = engine.launch(worker, host="127.0.0.1", port=free_port(), api_key="key")
        lines = loaded(spec.argv, {**spec.env, **devices}, tmp_path / f"{worker.id}.log")
        assert_taken(worker, on_devices(printed_sizes(lines), worker.devices))


def test_some_keep_layers_on_the_host_and_some_experts(
    library: Path, zoo: Callable[[str], Path]
) -> None:
    plans = [planned(c, library, read_facts(zoo(c.model))) for c in CASES if c.way == HOST]
    kept = [worker.cpu_moe_layers > 0 for plan in plans for worker in plan.workers]
    assert set(kept) == {True, False}


def devices_of(case: Case, library: Path) -> dict[str, str]:
    return fakes(library, *case.mib, name="CUDA", computes=True)


def planned(case: Case, library: Path, facts: ModelFacts) -> Plan:
    engine = LlamaServer(str(SERVER))
    host = machine_of(engine, devices_of(case, library))
    assert [d.total_bytes for d in host.devices] == [mib * MIB for mib in case.mib]
    return budget.plan(
        host,
        facts,
        Wishes(threads=1, **case.wishes),
        model_id=case.model,
        engine_build=engine_label(engine),
    )


def assert_taken(worker: WorkerPlan, printed: tuple[MemoryPart, ...]) -> None:
    """No drift but what `is_expected` lets pass, and on no device more than was planned."""
    seen = budget.observe(worker.parts, printed)
    assert seen is not None
    assert [drift for drift in seen.drift if not is_expected(drift, printed)] == []
    wanted, found = by_device(worker.parts), by_device(printed)
    for device in worker.devices:
        assert found[device] <= wanted[device]


def is_expected(drift: Drift, printed: tuple[MemoryPart, ...]) -> bool:
    """Compute that is a bound, and the host's weights where devices have others.

    Of a mapped file the engine prints what lies from the first of the host's tensors to the last,
    and with it tensors of the devices that lie between.
    """
    if drift.kind == "compute":
        return drift.observed_bytes <= drift.planned_bytes
    between = sum(p.bytes for p in printed if p.kind == "weights" and p.device != CPU_DEVICE)
    return (drift.device, drift.kind) == (CPU_DEVICE, "weights") and (
        drift.planned_bytes <= drift.observed_bytes <= drift.planned_bytes + between + 4 * ROUNDING
    )


@pytest.fixture
def engine_path(library: Path, tmp_path: Path) -> Callable[..., str]:
    """A llama-server that has fake devices, wherever it is started."""

    def made(*mib: int) -> str:
        path = tmp_path / "llama-server"
        variables = fakes(library, *mib, name="CUDA", computes=True)
        said = " ".join(f"{name}='{value}'" for name, value in variables.items())
        path.write_text(f"#!/bin/sh\nexec env {said} '{SERVER}' \"$@\"\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return made


needs_no_gpu = pytest.mark.skipif(
    shutil.which("nvidia-smi") is not None, reason="its own GPUs would be taken for the fake ones"
)
TOGETHER = {"LSWARM_SWARM__TENSOR_SPLIT": "[3, 1]"}


@needs_no_gpu
def test_lswarm_plan_shows_the_devices_of_the_engine(
    lswarm: e2e.Lswarm, engine_path: Callable[..., str]
) -> None:
    done = lswarm(
        "plan", "--json", "--model", "builtin:demo", LSWARM_ENGINE__PATH=engine_path(1024, 2048)
    )
    document = json.loads(done.stdout)
    shown = [(device["id"], device["total_bytes"]) for device in document["host"]["devices"]]
    assert shown == [("CUDA0", GIB), ("CUDA1", 2 * GIB)]
    assert [worker["devices"] for worker in document["workers"]] == [["CUDA0"], ["CUDA1"]]
    pins = [worker["env"]["CUDA_VISIBLE_DEVICES"] for worker in document["workers"]]
    assert pins == ["0", "1"]
    assert not any("upper bound" in reason for reason in document["reasons"])


@needs_no_gpu
@pytest.mark.parametrize("wishes", [{}, TOGETHER], ids=["a worker each", "split"])
def test_a_swarm_on_fake_devices_answers_as_the_cpu_does(
    wishes: dict[str, str],
    lswarm: e2e.Lswarm,
    up: Callable[..., e2e.Up],
    engine_path: Callable[..., str],
) -> None:
    swarm = up(LSWARM_ENGINE__PATH=engine_path(1024, 2048), **wishes)
    status = lswarm.json("status")
    assert status["ready"]
    assert len(status["workers"]) == (1 if wishes else 2)
    for worker in status["workers"]:
        assert worker["engine"] == "llama-server"
        assert worker["observed_bytes"] > 0
        assert worker["drift"] == []
    answers = [answer(swarm), answer(up(LSWARM_ENGINE__PATH=str(SERVER)))]
    assert "```python" in answers[0]
    assert answers[0] == answers[1]
    assert swarm.terminate() == 0


def answer(swarm: e2e.Up) -> str:
    """One answer, always the same on one model."""
    asked = {
        "model": f"{swarm.model}:solo",
        "messages": [{"role": "user", "content": "Write a Python function that doubles x."}],
        "temperature": 0,
        "max_tokens": 40,
    }
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions",
        json.dumps(asked).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=e2e.PATIENCE_S) as response:
        said: str = json.load(response)["choices"][0]["message"]["content"]
    return said
