"""The compute buffers of a worker on devices, held to what the engine reserved on fake ones.

`placed_compute.json` was measured (tests/fakes/fakegpu/measure.py): compute buffers in MiB, rounded
to 0.01 by the engine, for small models of every way to keep a context. The first half of the tests
is about single rules.
"""

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from local_swarm.budget.compute import compute_size
from local_swarm.budget.context import Setting
from local_swarm.budget.placed_compute import placed_compute
from local_swarm.budget.placement import Target, assign
from local_swarm.domain.memory import MIB
from local_swarm.models.facts import read_facts
from tests.budget.samples import LLAMA_8B, MEASURED_BUILD, dense
from tests.fakes.fakegpu import models
from tests.fakes.fakegpu.measure import Cell, cells

TABLE = json.loads((Path(__file__).parent / "placed_compute.json").read_text("utf-8"))
ROUNDING = 0.005 * MIB
CTX = Setting(4096)
DEVICES = tuple(Target(f"gpu{n}", "CUDA") for n in range(4))
EMBEDDING = 4 * 512 * 4096  # of LLAMA_8B, for one micro batch


def bounds(facts=LLAMA_8B, setting=CTX, gpu_layers=-1, devices=1, split=(), **more):
    """Bytes by device; devices get equal parts."""
    targets = DEVICES[:devices]
    homes = assign(facts, gpu_layers, targets, split)
    found = placed_compute(facts, setting, targets, homes, **more)
    return {name: compute.bytes for name, compute in found.items()}


def test_without_devices_it_is_the_cpus_own_figure():
    alone = placed_compute(LLAMA_8B, CTX, (), assign(LLAMA_8B, -1, (), ()), build=MEASURED_BUILD)
    assert alone == {"cpu": compute_size(LLAMA_8B, CTX, build=MEASURED_BUILD)}
    assert alone["cpu"].exact


def test_on_a_device_it_is_never_called_exact():
    homes = assign(LLAMA_8B, -1, DEVICES[:2], ())
    found = placed_compute(LLAMA_8B, CTX, DEVICES[:2], homes, build=MEASURED_BUILD)
    assert set(found) == {"cpu", "gpu0", "gpu1"}
    assert not any(compute.exact for compute in found.values())


def test_a_full_pipeline_holds_four_copies_of_what_crosses():
    """Each copy is the embeddings on the first device, two results on the next, and inputs."""
    one, two = bounds(), bounds(devices=2)
    assert two["gpu0"] - one["gpu0"] > 3 * EMBEDDING
    assert two["gpu1"] - two["gpu0"] == 4 * EMBEDDING
    assert two["cpu"] - one["cpu"] > 3 * EMBEDDING


def test_no_pipeline_with_a_layer_or_experts_on_the_host():
    full, most = bounds(devices=2), bounds(devices=2, gpu_layers=32)
    assert most["gpu1"] < full["gpu1"] - 3 * EMBEDDING
    mixture = dense("qwen3moe", experts_used=2)
    full, kept = bounds(mixture, devices=2), bounds(mixture, devices=2, cpu_moe_layers=1)
    assert kept["gpu1"] < full["gpu1"] - 3 * EMBEDDING


def test_the_first_device_copies_the_host_layers_cache_and_the_others_do_not():
    short, long = Setting(4096), Setting(32768)
    grown = {
        name: bounds(setting=long, gpu_layers=9, devices=2)[name] - size
        for name, size in bounds(setting=short, gpu_layers=9, devices=2).items()
    }
    masks = 2 * 512 * (32768 - 4096)
    cache = 2 * 2 * 1024 * (32768 - 4096)  # K and V of one layer
    assert masks <= grown["gpu1"] <= masks + 8 * (32768 - 4096)
    assert grown["gpu0"] >= cache


def test_a_quantised_cache_may_lie_there_again_in_half_precision():
    eight = replace(CTX, ctx=65536, cache_type_k="q8_0", cache_type_v="q8_0")
    halves = 2 * 2 * 1024 * 65536
    assert bounds(setting=eight)["gpu0"] >= halves
    off = replace(CTX, ctx=65536, flash_attention="on")
    assert bounds(setting=off)["gpu0"] < halves


def test_a_device_without_anything_needs_nothing_unless_it_is_the_first():
    """The first helps with what lies on the host."""
    assert bounds(devices=2, split=(1, 0))["gpu1"] == 0
    assert bounds(devices=2, split=(0, 1))["gpu0"] == 0
    idle = bounds(devices=2, split=(0, 1), gpu_layers=9)
    assert idle["gpu0"] > 0
    assert bounds(devices=3, gpu_layers=0)["gpu2"] == 0


def test_a_device_with_only_the_output_holds_no_layers_results():
    output = bounds(devices=2, split=(32, 1))["gpu1"]
    assert 0 < output < bounds(devices=2)["gpu1"]


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: read_facts(models.write(folder, name)) for name in models.MODELS}


def measured():
    """Every cell with its device, the engine's bytes there and ours, found with `facts`."""
    for row in TABLE:
        known = {name: item for name, item in row.items() if name != "compute"}
        yield Cell(**known | {"split": tuple(row["split"])}), row["compute"]


def pairs(facts):
    for cell, compute in measured():
        model = facts[cell.model]
        homes = assign(model, cell.gpu_layers, cell.targets, cell.split)
        ours = placed_compute(
            model, cell.setting, cell.targets, homes, cpu_moe_layers=cell.cpu_moe
        )  # fmt: skip
        for device, found in ours.items():
            yield cell, homes, device, found.bytes, compute.get(device, 0) * MIB


def test_the_table_has_every_cell():
    assert tuple(cell for cell, _ in measured()) == cells()


def test_no_measured_buffer_is_larger_than_its_bound(facts):
    low = [
        (cell, device, ours, theirs)
        for cell, _, device, ours, theirs in pairs(facts)
        if ours < theirs - ROUNDING
    ]
    assert low == []


def test_bounds_are_close(facts):
    """With everything on devices; and within reason where the host keeps a part."""
    ratios = defaultdict(list)
    for cell, homes, device, ours, theirs in pairs(facts):
        whole = all(homes) and not cell.cpu_moe
        if theirs > MIB:  # not where only the output is
            ratios[whole, device == "cpu"].append(ours / theirs)
    assert max(ratios[True, True]) < 1.05
    assert max(ratios[True, False]) < 2.1
    assert sorted(ratios[True, False])[len(ratios[True, False]) // 2] < 1.2
    assert sorted(ratios[False, False])[len(ratios[False, False]) // 2] < 1.8
