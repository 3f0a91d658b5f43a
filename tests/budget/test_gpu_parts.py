"""What each device of a plan holds, to the byte; and, step by step, what is given up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from local_swarm.budget import Beside, Wishes, plan
from local_swarm.budget.limits import Pool
from local_swarm.budget.pricing import Pricer
from local_swarm.domain.memory import GIB, MIB
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, MemoryPart, Plan, WorkerPlan
from local_swarm.errors import FitError
from tests.budget.samples import SMALL, cpu_worker
from tests.budget.test_gpu_plan import EXPERTS, QWEN_7B, QWEN_32B, gpu, planned, with_gpus

RUNTIME = 400 * MIB
LAYER, END = QWEN_7B.tensors[-1].size_bytes, QWEN_7B.tensors[0].size_bytes
CELLS = 3 * 4096


def sizes(worker: WorkerPlan, device: str) -> dict[str, int]:
    return {part.kind: part.bytes for part in worker.parts if part.device == device}


def test_a_worker_on_two_cards_to_the_byte() -> None:
    (worker,) = planned(
        with_gpus(gpu(0, 8), gpu(1, 8)), workers=1, ctx=4096, voters=2, cache_ram_mib=256
    ).workers
    kv = CELLS * 2 * 4 * 128 * 2
    assert worker.tensor_split == (15.0, 14.0)
    assert sizes(worker, "CUDA0") == {
        "weights": 15 * LAYER,
        "kv": 15 * kv,
        "compute": 199_899_860,
        "runtime": RUNTIME,
    }
    assert sizes(worker, "CUDA1") == {
        "weights": 13 * LAYER + END,
        "kv": 13 * kv,
        "compute": 229_317_332,
        "runtime": RUNTIME,
    }
    assert sizes(worker, "cpu") == {
        "weights": END,
        "output": 3 * 4 * QWEN_7B.vocab_size,
        "compute": 53_680_832,
        "prompt_cache": 256 * MIB,
        "process": 24 * MIB + 420 * QWEN_7B.vocab_size,
    }


@pytest.mark.parametrize(
    ("backend", "mib"), [("CUDA", 400), ("ROCm", 400), ("SYCL", 300), ("Vulkan", 128), ("New", 400)]
)
def test_every_device_of_every_worker_pays_for_its_backend(backend: str, mib: int) -> None:
    made = planned(with_gpus(*(gpu(n, 24, backend=backend) for n in range(4))), workers=2)
    assert [len(worker.devices) for worker in made.workers] == [2, 2]
    for worker in made.workers:
        assert [sizes(worker, name)["runtime"] for name in worker.devices] == [mib * MIB] * 2


def test_experts_in_ram_to_the_byte() -> None:
    (worker,) = planned(
        with_gpus(gpu(gib=12)), EXPERTS, ctx=4096, voters=2, cache_ram_mib=256
    ).workers
    assert (worker.gpu_layers, worker.cpu_moe_layers) == (49, 25)
    assert sizes(worker, "CUDA0") == {
        "weights": 8_930_409_600,
        "kv": 48 * CELLS * 2 * 4 * 128 * 2,
        "compute": 721_115_586,  # results, and copies of experts that are computed here
        "runtime": RUNTIME,
    }
    assert sizes(worker, "cpu") == {
        "weights": 9_626_283_296,
        "output": 3 * 4 * EXPERTS.vocab_size,
        "compute": 12_632_240,
        "prompt_cache": 256 * MIB,
        "process": 24 * MIB + 420 * EXPERTS.vocab_size,
    }


def test_a_split_worker_takes_the_backend_that_has_most_memory() -> None:
    small, large = gpu(0, 12), gpu(0, 20, backend="ROCm")
    for cards in ((small, large), (large, small)):
        (worker,) = planned(with_gpus(*cards), QWEN_32B, ctx=4096, voters=2).workers
        assert worker.devices == ("ROCm0",)
        assert worker.gpu_layers == 53
    many = with_gpus(gpu(0, 8), gpu(0, 8, backend="ROCm"), gpu(1, 8), gpu(1, 12, backend="ROCm"))
    (worker,) = planned(many, QWEN_32B, ctx=4096, voters=2).workers
    assert worker.devices == ("ROCm0", "ROCm1")
    assert worker.tensor_split == (20.0, 29.0)


def test_layers_are_dealt_over_what_scratch_memory_leaves_of_each_card() -> None:
    """Scratch memory is as large on a small card as on a large one."""
    (worker,) = planned(with_gpus(gpu(0, 22), gpu(1, 3)), QWEN_32B, ctx=4096, voters=2).workers
    assert worker.gpu_layers == QWEN_32B.layers + 1
    assert worker.tensor_split == (61.0, 4.0)
    assert worker.cache_type_k == "f16"


def test_the_drafted_logits_are_computed_where_the_output_is() -> None:
    host = with_gpus(gpu(0, 8), gpu(1, 8))
    made = plan(
        host, QWEN_7B, Wishes(workers=1), model_id="sample", beside=Beside(draft=SMALL)
    )  # fmt: skip
    (worker,) = made.workers
    assert worker.devices == ("CUDA0", "CUDA1")
    kinds = {part.kind: part.device for part in worker.parts}
    assert kinds["draft_verify"] == "CUDA1"
    assert "draft_verify" not in sizes(worker, "CUDA0")
    assert kinds["draft_logits"] == CPU_DEVICE


def pool(number: int) -> Pool:
    return Pool(f"CUDA{number}", 8 * GIB, 8 * GIB, 0, "", backend="CUDA")


def computes(told: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """By device: as we work it out, and with what the engine told."""
    names = tuple(f"CUDA{number}" for number in range(len(told)))
    split = (1.0,) * len(told) if len(told) > 1 else ()
    worker = cpu_worker(QWEN_7B, slots=3)
    more: dict[str, Any] = {"devices": names, "gpu_layers": 29, "tensor_split": split}
    worker = WorkerPlan(
        **{name: getattr(worker, name) for name in WorkerPlan.__slots__ if name not in more}, **more
    )
    answer = tuple(MemoryPart(str(n), "compute", size) for n, size in enumerate(told))
    group = tuple(pool(number) for number in range(len(told)))
    pricers = Pricer(QWEN_7B), Pricer(QWEN_7B, answers={worker.shape: answer})
    found = (
        [p.bytes for p in pricer.parts(worker, group) if p.kind == "compute" and p.device != "cpu"]
        for pricer in pricers
    )
    ours, theirs = found
    return ours, theirs


def test_of_several_devices_the_larger_of_what_the_engine_and_we_say_counts() -> None:
    ours, counted = computes((1, 10**12))
    assert counted == [ours[0], 10**12]


def test_of_one_device_the_engine_is_believed() -> None:
    assert computes((1,))[1] == [1]


def test_the_longest_context_that_any_use_of_the_cards_allows_is_taken() -> None:
    both = with_gpus(gpu(0, 5.75), gpu(0, 5.5, backend="ROCm"))
    alone, other = (planned(both, devices=(name,)).workers[0].ctx for name in ("CUDA0", "ROCm0"))
    assert 4096 <= other < alone < 16384
    made = planned(both)
    assert made.workers[0].ctx == alone
    assert [worker.devices for worker in made.workers] == [("CUDA0",)]


def step(made: Plan, model: ModelFacts) -> str:
    worker = made.workers[0]
    if worker.devices == (CPU_DEVICE,):
        way = "cpu"
    elif worker.cpu_moe_layers:
        way = "experts in RAM"
    else:
        way = "whole" if worker.gpu_layers > model.layers else "layers in RAM"
    lane = "+lane" if worker.lanes else ""
    short = " least" if worker.ctx == 4096 else " short" if worker.ctx < 16384 else ""
    pool = "pool " if worker.pool else ""
    return f"{way}: {made.voters}{lane} {pool}{worker.cache_type_k}{short}"


def steps(model: ModelFacts, ram_gib: int, cards_gib: Iterable[float]) -> list[str]:
    """What is planned on cards of these sizes, without repetition."""
    found: list[str] = []
    for gib in cards_gib:
        try:
            said = step(planned(with_gpus(gpu(gib=gib), ram=ram_gib * GIB), model), model)
        except FitError:
            said = "nothing"
        if said not in found[-1:]:
            found.append(said)
    return found


WHOLE = [
    "whole: 5+lane f16",
    "whole: 5+lane pool f16",
    "whole: 5+lane pool q8_0",
    "whole: 4+lane pool q8_0",
    "whole: 3+lane pool q8_0",
    "whole: 2+lane pool q8_0",
    "whole: 2 pool q8_0",
    "whole: 2 pool q8_0 short",
    "whole: 2 pool q8_0 least",
]


@pytest.mark.parametrize(
    ("ram_gib", "rest"),
    [
        (
            64,
            [
                "layers in RAM: 5+lane f16",
                "layers in RAM: 5+lane pool f16",
                "layers in RAM: 5+lane pool q8_0",
            ],
        ),
        (
            3,
            [
                "layers in RAM: 2 pool q8_0",
                "layers in RAM: 5+lane pool f16 least",
                "layers in RAM: 5+lane pool q8_0 least",
                "layers in RAM: 2+lane pool q8_0 least",
                "nothing",
            ],
        ),
        (2, ["layers in RAM: 2 pool q8_0 least", "nothing"]),
    ],
)
def test_what_a_dense_model_gives_up_as_its_card_shrinks(ram_gib: int, rest: list[str]) -> None:
    sizes_gib = [eighths / 8 for eighths in range(96, 20, -1)]
    assert steps(QWEN_7B, ram_gib, sizes_gib) == WHOLE + rest


@pytest.mark.parametrize(
    ("ram_gib", "rest"),
    [
        (
            24,
            [
                "experts in RAM: 5+lane f16",
                "experts in RAM: 5+lane pool f16",
                "experts in RAM: 5+lane pool q8_0",
                "experts in RAM: 4+lane pool q8_0",
                "experts in RAM: 3+lane pool q8_0",
                "experts in RAM: 2+lane pool q8_0",
                "experts in RAM: 2 pool q8_0",
                "experts in RAM: 5+lane pool f16 least",
                "experts in RAM: 5+lane pool q8_0 least",
                "experts in RAM: 4+lane pool q8_0 least",
                "experts in RAM: 2 pool q8_0 least",
                "nothing",
            ],
        ),
        (
            8,
            [
                "experts in RAM: 5+lane pool q8_0",
                "experts in RAM: 4+lane pool q8_0",
                "experts in RAM: 3+lane pool q8_0",
                "experts in RAM: 2+lane pool q8_0",
                "experts in RAM: 2 pool q8_0",
                "experts in RAM: 5+lane pool f16 least",
                "experts in RAM: 5+lane pool q8_0 least",
                "experts in RAM: 4+lane pool q8_0 least",
                "experts in RAM: 2 pool q8_0 least",
                "nothing",
            ],
        ),
    ],
)
def test_what_a_model_of_experts_gives_up_as_its_card_shrinks(
    ram_gib: int, rest: list[str]
) -> None:
    sizes_gib = [eighths / 8 for eighths in range(26 * 8, 60, -1)]
    assert steps(EXPERTS, ram_gib, sizes_gib) == [*WHOLE[1:-1], *rest]


def test_with_less_than_a_fourth_of_the_layers_on_a_card_the_cpu_works_alone() -> None:
    fewest = min(
        worker.gpu_layers
        for eighths in range(30, 8, -1)
        for worker in planned(with_gpus(gpu(gib=eighths / 8))).workers
        if worker.gpu_layers
    )
    assert fewest >= (QWEN_7B.layers + 1) // 4
    assert planned(with_gpus(gpu(gib=1))).workers[0].devices == (CPU_DEVICE,)
