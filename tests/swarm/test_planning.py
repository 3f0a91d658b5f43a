"""What would run, and how it was decided: the model, its plan, and what the engine was asked."""

from __future__ import annotations

import json
import os
import stat
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local_swarm.config import Config, Engine, Models
from local_swarm.domain.hardware import Cpu, HostSnapshot, Memory
from local_swarm.domain.memory import GIB
from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.engines import throwaway
from local_swarm.engines.llama_server import NEEDED, LlamaServer
from local_swarm.engines.xllamacpp import Xllamacpp
from local_swarm.errors import ModelError
from local_swarm.models import Store, catalogue
from local_swarm.swarm.asking import FOLDER, Asker, by_place
from local_swarm.swarm.choosing import Chooser, wishes
from local_swarm.swarm.machine import Machine
from local_swarm.swarm.planning import Prepared, prepare
from tests.e2e import conftest as e2e
from tests.engines.headers import Sketch
from tests.engines.zoo import ZOO, plain

lswarm, up = e2e.lswarm, e2e.up

SMALL = "qwen2.5-coder:0.5b:q4_k_m"
MIDDLE = "qwen2.5-coder:1.5b:q4_k_m"
LARGE = "qwen2.5-coder:32b:q4_k_m"
BUILTIN = "local-swarm-demo"
BOUND = "upper bound"
TWO_LINES = 2 * 5243  # the model's and the draft's, each printed in 0.01 MiB
DEMO = Path(__file__).parents[2] / "local_swarm" / "assets" / "demo.gguf"


def host(gib: int) -> HostSnapshot:
    return HostSnapshot("linux", "x86_64", Cpu(None, 4, 4), Memory(gib * GIB, gib * GIB))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def engine() -> Xllamacpp:
    pytest.importorskip("xllamacpp")
    return Xllamacpp()


def config(**models: Any) -> Config:
    return Config(engine=Engine(name="xllamacpp"), models=Models(**models))


def chooser(gib: int, *, unseen: bool = False, **models: Any) -> Chooser:
    """On a machine of so much RAM, with no engine to ask."""
    settings = config(**models)
    return Chooser(settings, Machine(host(gib)), wishes(settings), "xllamacpp 1", None, unseen)


def qwen2(layers: int, embedding: int, heads: tuple[int, int, int], width: int) -> Sketch:
    return plain("qwen2", layers, embedding, heads, width, bias=True, tied=True)


def downloaded(name: str, sketch: Sketch) -> Path:
    """A header under the name where the catalogue's file would lie."""
    choice = catalogue.find(name)[0]
    path = Store.of().path(choice.repo, choice.file.file)
    path.parent.mkdir(parents=True)
    return sketch.write(path)


# Which model


def test_with_nothing_downloaded_the_builtin_one_runs_and_a_better_one_is_named() -> None:
    facts, plan = chooser(8).choose(None, elsewhere=False)
    assert plan.model_id == BUILTIN
    assert Path(facts.path) == DEMO
    best = chooser(8, unseen=True).choose(None, elsewhere=True)[1]
    assert (
        f"The best model of the catalogue for this machine is {best.model_id} ("
        in (plan.reasons[0])
    )
    assert f"`lswarm models pull {best.model_id}`" in plan.reasons[0]
    assert plan.rejected == best.rejected
    assert {LARGE} <= {rejection.model for rejection in plan.rejected}
    assert all(rejection.why for rejection in plan.rejected)


def test_the_best_of_what_is_downloaded_and_fits_is_chosen() -> None:
    downloaded(SMALL, qwen2(24, 896, (14, 2, 64), 4864))
    middle = downloaded(MIDDLE, qwen2(28, 1536, (12, 2, 128), 8960))
    downloaded(LARGE, qwen2(64, 5120, (40, 8, 128), 27648))
    facts, plan = chooser(8).choose(None, elsewhere=False)
    assert facts.path == str(middle)
    assert plan.model_id == middle.stem
    assert plan.workers[0].model_path == str(middle)
    assert LARGE in {rejection.model for rejection in plan.rejected}


def test_where_the_best_of_all_is_downloaded_no_other_is_named() -> None:
    best = chooser(8, unseen=True).choose(None, elsewhere=True)[1].model_id
    path = downloaded(best, qwen2(28, 1536, (12, 2, 128), 8960))
    facts, plan = chooser(8).choose(None, elsewhere=False)
    assert facts.path == str(path)
    assert not any("which is not downloaded" in reason for reason in plan.reasons)


def test_a_named_model_that_is_not_here_is_refused_or_planned_from_the_catalogue() -> None:
    with pytest.raises(ModelError, match="not downloaded") as refusal:
        prepare(config(), model=SMALL)
    assert f"lswarm models pull {SMALL}" in str(refusal.value.hint)
    planned = prepare(config(), model=SMALL, unseen=True)
    assert planned.plan.model_id == SMALL
    assert planned.model.path.endswith(".gguf")
    assert not Path(planned.model.path).exists()


def test_the_first_preferred_model_that_is_here_runs() -> None:
    small = downloaded(SMALL, qwen2(24, 896, (14, 2, 64), 4864))
    facts, _ = chooser(8, preferred=(LARGE, SMALL)).choose(None, elsewhere=False)
    assert facts.path == str(small)


def test_another_machine_is_planned_for_from_the_whole_catalogue() -> None:
    prepared = prepare(config(), host=host(8))
    plan, largest = prepared.plan, prepare(config(), host=host(512)).plan
    assert plan.model_id not in (BUILTIN, largest.model_id)
    assert largest.model_id in {rejection.model for rejection in plan.rejected}
    assert largest.rejected == ()
    assert not dry_runs()


# What the engine is asked


def dry_runs() -> list[Path]:
    return sorted((Path(Store.of().root).parent / FOLDER).glob("*.json"))


def compute_of(prepared: Prepared) -> list[int]:
    return [p.bytes for w in prepared.plan.workers for p in w.parts if p.kind == "compute"]


def says_bound(prepared: Prepared) -> bool:
    return any(BOUND in reason for reason in prepared.plan.reasons)


@pytest.fixture
def bounded(tmp_path: Path) -> Path:
    """A model of which only the engine knows how much it computes with."""
    path = ZOO["qwen35"]().write(tmp_path / "bounded.gguf")
    asked_nobody = prepare(config(), model=str(path), host=host(8))
    assert says_bound(asked_nobody)
    return path


def test_the_engine_is_asked_where_compute_is_a_bound(bounded: Path, engine: Xllamacpp) -> None:
    prepared = prepare(config(), model=str(bounded))
    (kept,) = dry_runs()
    said = [MemoryPart(**part) for part in json.loads(kept.read_text())["parts"]]
    printed = [part.bytes for part in said if part.kind == "compute"]
    assert compute_of(prepared) == printed
    assert not says_bound(prepared)
    (worker,) = prepared.plan.workers
    again = Asker(engine, ())(worker, prepared.model)
    assert [part.bytes for part in again if part.kind == "compute"] == printed


def test_it_is_asked_once(bounded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(config(), model=str(bounded))
    monkeypatch.setattr(throwaway, "LEASH", bounded.with_name("nothing"))
    second = prepare(config(), model=str(bounded))
    assert compute_of(second) == compute_of(first)
    assert not says_bound(second)
    dry_runs()[0].unlink()
    assert says_bound(prepare(config(), model=str(bounded)))  # it could not have been asked


def test_a_broken_answer_is_asked_for_again(bounded: Path) -> None:
    first = prepare(config(), model=str(bounded))
    (kept,) = dry_runs()
    whole = json.loads(kept.read_text())
    kept.write_text('{"parts": [["cpu", "comp')
    second = prepare(config(), model=str(bounded))
    assert compute_of(second) == compute_of(first)
    assert json.loads(kept.read_text())["parts"] == whole["parts"]


@pytest.mark.skipif(os.name != "posix", reason="the engine is a shell script")
def test_builds_of_one_development_version_are_told_apart(tmp_path: Path) -> None:
    """Else what one said would be taken for the other's word."""
    versions = []
    for number, commit in ((1, "0c1e570"), (2, "1d2f681")):
        path = tmp_path / f"llama-server-{number}"
        said = f"version: 0.5.0-dev (build {number}, commit {commit}) {' '.join(NEEDED)}"
        path.write_text(f"#!/bin/sh\necho '{said}'\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        versions.append(LlamaServer(str(path)).available().version)
    assert versions == ["0.5.0-dev-1-0c1e570", "0.5.0-dev-2-1d2f681"]


def test_an_exact_plan_asks_nothing() -> None:
    assert prepare(config(), model="builtin:demo").plan.workers
    assert not dry_runs()


def test_devices_of_an_answer_are_named_by_their_place() -> None:
    said = [MemoryPart(device, "compute", 1) for device in ("CUDA3", "CUDA1", "cpu")]
    assert [part.device for part in by_place(said, ("CUDA3", "CUDA1"))] == ["0", "1", "cpu"]
    assert [part.device for part in by_place(said[2:], ("cpu",))] == ["cpu"]


def test_a_chooser_asks_about_each_shape_once_and_not_for_ever(bounded: Path) -> None:
    asked: list[WorkerPlan] = []

    def ask(worker: WorkerPlan, model: object) -> tuple[MemoryPart, ...]:
        """An engine that needs more each time."""
        asked.append(worker.shape)
        return (MemoryPart("cpu", "compute", len(asked) * GIB),)

    one = replace(chooser(8), ask=ask)
    plan = one.choose(str(bounded), elsewhere=False)[1]
    assert 1 <= len(asked) <= 4
    assert len(asked) == len(set(asked))
    assert all(device.planned_bytes <= device.usable_bytes for device in plan.budget)


# What is loaded besides


def test_a_projector_that_is_none_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no multimodal projector but a .* model"):
        prepare(config(mmproj=str(DEMO)), model="builtin:demo")


def test_a_draft_is_planned_and_started() -> None:
    prepared = prepare(config(draft="builtin:demo"), model="builtin:demo")
    for worker in prepared.plan.workers:
        sizes = {part.kind: part.bytes for part in worker.parts}
        assert {"draft_kv", "draft_compute", "draft_output"} <= sizes.keys()
        assert sizes["draft_kv"] == sizes["kv"]
        argv = prepared.spec(worker, 0).argv
        assert argv[argv.index("-md") + 1] == str(DEMO)
    assert any(p.kind == "draft_weights" for p in prepared.plan.workers[0].parts)


@pytest.mark.parametrize("settled", ["builtin:demo", str(DEMO)])
def test_a_draft_of_another_vocabulary_is_refused(settled: str, tmp_path: Path) -> None:
    other = ZOO["qwen2.5 0.5b"]().write(tmp_path / "other.gguf")
    with pytest.raises(ModelError, match=r"models\.draft cannot be used: .* share a vocabulary"):
        prepare(config(draft=str(other)), model=settled)


@pytest.mark.engine
def test_a_swarm_with_a_draft_answers_and_takes_what_was_planned(
    lswarm: e2e.Lswarm, up: Callable[..., e2e.Up]
) -> None:
    (lswarm.home / "draft.toml").write_text('[models]\ndraft = "builtin:demo"\n')
    swarm = up("--config", str(lswarm.home / "draft.toml"), "--engine", "xllamacpp")
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions",
        json.dumps({"messages": [{"role": "user", "content": "Double x."}]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=e2e.PATIENCE_S) as response:
        document = json.load(response)
    assert document["choices"][0]["message"]["content"]
    assert document["swarm"]["answered"] == 3
    (worker,) = lswarm.json("status")["workers"]
    assert all(abs(d["observed_bytes"] - d["planned_bytes"]) <= TWO_LINES for d in worker["drift"])
    assert swarm.terminate() == 0
