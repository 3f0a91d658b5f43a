"""What a plan says of each device, held to what llama-server prints on devices that are not there.

Runs where a native build with its sources is: `bin/build_engine.sh FOLDER` makes one and says what
to set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from local_swarm.budget.placed_compute import placed_compute
from local_swarm.budget.placement import assign, place
from local_swarm.domain.memory import MIB
from local_swarm.models.facts import read_facts
from tests.fakes.fakegpu import models
from tests.fakes.fakegpu.measure import Cell, build, cells, measure

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
