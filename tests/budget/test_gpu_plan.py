"""Plans for machines with accelerators: devices, layouts, splits, and what is given up."""

from dataclasses import replace
from typing import Any

import pytest

from local_swarm.budget import Wishes, plan
from local_swarm.domain.hardware import Device, HostSnapshot, Memory
from local_swarm.domain.memory import GIB, MIB
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, Plan
from local_swarm.errors import FitError, UsageError
from tests.budget.samples import LLAMA_8B, dense, machine, spread
from tests.budget.samples import QWEN_7B as QWEN_7B_IN_ONE

UUID = "GPU-00000000-0000-0000-0000-00000000000"
QWEN_7B = spread(QWEN_7B_IN_ONE)
QWEN_32B = spread(
    dense(
        "qwen2",
        layers=64,
        embedding=5120,
        heads=40,
        heads_kv=8,
        feed_forward=27648,
        vocab=152064,
        context_train=32768,
        weights=19_851_336_256,
    )
)
EXPERTS = spread(
    dense(
        "qwen3moe",
        layers=48,
        embedding=2048,
        heads=32,
        heads_kv=4,
        feed_forward=768,
        vocab=151936,
        head_length=128,
        weights=18_556_689_568,
        experts_used=8,
    )
)


def gpu(
    number: int = 0,
    gib: float = 24.0,
    *,
    free: int | None = None,
    backend: str = "CUDA",
    **facts: Any,
) -> Device:
    total = int(gib * GIB)
    uuid = f"{UUID}{number}" if backend == "CUDA" else None
    return Device(
        id=f"{backend}{number}",
        uuid=uuid,
        vendor=None,
        name=f"Card {number}",
        backend=backend,
        total_bytes=total,
        free_bytes=total if free is None else free,
        driver=None,
        **facts,
    )


def with_gpus(*gpus: Device, ram: int = 64 * GIB, **facts: Any) -> HostSnapshot:
    return replace(machine(ram, **facts), devices=gpus)


def planned(host: HostSnapshot, model: ModelFacts = QWEN_7B, **wishes: Any) -> Plan:
    return plan(host, model, Wishes(**wishes), model_id="sample")


def said(made, words):
    return any(words in reason for reason in made.reasons)


def row(made, device):
    return next(each for each in made.budget if each.device == device)


def test_one_card_takes_the_whole_model_five_voters_and_a_lane():
    made = planned(with_gpus(gpu()))
    (worker,) = made.workers
    assert (worker.devices, worker.pins) == (("CUDA0",), (f"{UUID}0",))
    assert worker.gpu_layers == QWEN_7B.layers + 1
    assert (made.voters, worker.slots, worker.lanes) == (5, 6, 1)
    assert worker.threads == 4
    assert {part.device for part in worker.parts} == {"cpu", "CUDA0"}


def test_context_grows_into_the_memory_of_a_card():
    small, large = planned(with_gpus(gpu(gib=13))), planned(with_gpus(gpu(gib=16)))
    assert 16384 < small.workers[0].ctx < large.workers[0].ctx <= QWEN_7B.context_train
    assert said(small, "because the memory is there")
    assert row(small, "CUDA0").planned_bytes > 0.95 * row(small, "CUDA0").usable_bytes


def test_context_by_hand_does_not_grow():
    made = planned(with_gpus(gpu()), ctx=8192)
    assert made.workers[0].ctx == 8192
    assert said(made, "stays free: the context is as asked")


def test_a_tenth_of_a_card_and_what_others_use_stay_free():
    host = with_gpus(gpu(gib=20, free=17 * GIB))
    budget = row(planned(host), "CUDA0")
    assert budget.usable_bytes == 15 * GIB
    assert (budget.others_bytes, budget.reserve_bytes) == (3 * GIB, 2 * GIB)
    assert row(planned(host, gpu_memory_fraction=0.85), "CUDA0").usable_bytes == 14 * GIB


def test_each_card_that_holds_the_model_has_a_worker():
    made = planned(with_gpus(gpu(0), gpu(1)))
    assert [worker.devices for worker in made.workers] == [("CUDA0",), ("CUDA1",)]
    assert {worker.slots for worker in made.workers} == {6}
    assert made.voters == 5
    weights = [p for w in made.workers for p in w.parts if p.kind == "weights"]
    assert [part.device for part in weights] == ["cpu", "CUDA0", "CUDA1"]


def test_a_card_too_small_for_the_model_stays_idle_where_another_is_enough():
    made = planned(with_gpus(gpu(0, 4), gpu(1, 24)))
    assert [worker.devices for worker in made.workers] == [("CUDA1",)]
    assert said(made, "CUDA0 is not used")
    assert row(made, "CUDA0").planned_bytes == 0


def test_a_model_too_large_for_each_card_is_split_by_their_memory():
    made = planned(with_gpus(gpu(0, 24), gpu(1, 12)), QWEN_32B, ctx=4096)
    (worker,) = made.workers
    assert worker.devices == ("CUDA0", "CUDA1")
    assert sum(worker.tensor_split) == QWEN_32B.layers + 1
    assert worker.tensor_split[0] > 1.5 * worker.tensor_split[1]
    fullness = [
        row(made, name).planned_bytes / row(made, name).usable_bytes for name in worker.devices
    ]
    assert max(fullness) <= 1
    assert max(fullness) - min(fullness) < 0.1


def test_four_cards_run_two_workers_of_two_cards():
    made = planned(with_gpus(*(gpu(n, 20) for n in range(4))), QWEN_32B, ctx=4096, voters=3)
    assert [w.devices for w in made.workers] == [("CUDA0", "CUDA1"), ("CUDA2", "CUDA3")]


def test_cards_of_different_backends_do_not_share_a_worker():
    made = planned(with_gpus(gpu(0, 16), gpu(0, 20, backend="ROCm")), QWEN_32B, ctx=4096, voters=2)
    assert all(len(worker.devices) == 1 for worker in made.workers)


def test_trades_come_before_layers_leave_the_card():
    order = []
    for gib in range(160, 0, -1):
        try:
            made = planned(with_gpus(gpu(gib=gib / 8)))
        except FitError:
            break
        (worker,) = made.workers
        all_there = worker.gpu_layers == QWEN_7B.layers + 1
        kind = "cpu" if worker.devices == (CPU_DEVICE,) else "all" if all_there else "some"
        cache = worker.cache_type_k + (" pool" if worker.pool else "")
        step = (kind, made.voters, worker.lanes, cache, min(worker.ctx, 16384))
        if step not in order:
            order.append(step)
    kinds = [step[0] for step in order]
    assert kinds == sorted(kinds, key=["all", "some", "cpu"].index)
    assert order[0] == ("all", 5, 1, "f16", 16384)
    assert order[1] == ("all", 5, 1, "f16 pool", 16384)
    assert order[2] == ("all", 5, 1, "q8_0 pool", 16384)
    assert ("all", 2, 1, "q8_0 pool", 16384) in order
    shortest = min(step[4] for step in order if step[:4] == ("all", 2, 0, "q8_0 pool"))
    assert 4096 <= shortest < 6144
    assert next(step for step in order if step[0] == "some") == ("some", 5, 1, "f16", 16384)
    assert order[-1][:2] == ("cpu", 3)


def test_part_of_a_model_goes_to_the_card_where_not_all_fits():
    made = planned(with_gpus(gpu(gib=12)), QWEN_32B)
    (worker,) = made.workers
    assert 0 < worker.gpu_layers < QWEN_32B.layers
    assert worker.threads == 8
    assert worker.flash_attention == "on"
    assert said(made, f"{worker.gpu_layers} of {QWEN_32B.layers + 1} layers")
    budget = row(made, "CUDA0")
    layered = [p.bytes for p in worker.parts if p.device == "CUDA0" and p.kind in ("weights", "kv")]
    one_layer = sum(layered) / worker.gpu_layers
    assert budget.usable_bytes - budget.planned_bytes < one_layer


def test_experts_stay_in_ram_before_layers_do():
    made = planned(with_gpus(gpu(gib=12)), EXPERTS)
    (worker,) = made.workers
    assert worker.gpu_layers == EXPERTS.layers + 1
    assert 0 < worker.cpu_moe_layers < EXPERTS.layers
    assert said(made, f"experts of the first {worker.cpu_moe_layers} layers")


def test_a_card_without_any_room_leaves_the_work_to_the_cpu():
    made = planned(with_gpus(gpu(gib=8, free=100 * MIB)))
    assert made.workers[0].devices == (CPU_DEVICE,)
    assert said(made, "CUDA0 is not used")
    assert row(made, "CUDA0").planned_bytes == 0


def test_apple_silicon_uses_half_of_its_ram_and_never_more_than_metal_allows():
    def mac(limit_gib, ram_gib=32):
        metal = gpu(0, limit_gib, backend="Metal", integrated=True)
        metal = replace(metal, id="MTL0")
        return replace(with_gpus(metal, ram=ram_gib * GIB), unified=True)

    made = planned(mac(21))
    assert made.workers[0].devices == ("MTL0",)
    assert row(made, "MTL0").usable_bytes == 16 * GIB
    assert row(made, "cpu").planned_bytes == sum(w.planned_bytes for w in made.workers)
    assert row(made, "cpu").planned_bytes > row(made, "MTL0").planned_bytes
    assert row(planned(mac(10)), "MTL0").usable_bytes == 10 * GIB


def test_an_integrated_device_with_memory_set_apart_counts_that_alone():
    host = with_gpus(gpu(0, 112, backend="ROCm", integrated=True), ram=32 * GIB)
    budget = row(planned(host), "ROCm0")
    assert budget.total_bytes == 80 * GIB
    assert budget.usable_bytes == 72 * GIB


def test_an_integrated_device_beside_a_card_is_not_used():
    made = planned(with_gpus(gpu(0, 24), gpu(0, 16, backend="Vulkan", integrated=True)))
    assert made.workers[0].devices == ("CUDA0",)
    assert said(made, "it would slow down the others")


def test_a_device_of_unknown_size_is_not_used():
    made = planned(with_gpus(replace(gpu(), total_bytes=None, free_bytes=None)))
    assert made.workers[0].devices == (CPU_DEVICE,)
    assert said(made, "does not say how much memory it has")


def test_a_phone_uses_a_quarter_of_its_ram_and_a_short_context():
    phone = replace(machine(12 * GIB), os="android", arch="arm64")
    made = planned(phone, dense(layers=16, embedding=2048, weights=GIB))
    assert made.budget[0].usable_bytes == 3 * GIB
    assert made.workers[0].ctx == 2048


def test_processes_share_cards_by_their_memory():
    made = planned(with_gpus(gpu(0, 48), gpu(1, 24)), layout="processes", ctx=4096)
    assert [w.devices[0] for w in made.workers] == ["CUDA0"] * 3 + ["CUDA1"] * 2
    assert {w.slots for w in made.workers} == {1}
    assert made.voters == 5
    weights = [
        p for w in made.workers for p in w.parts if (p.device, p.kind) == ("CUDA0", "weights")
    ]
    assert len(weights) == 3


def test_workers_by_hand_share_the_cards():
    made = planned(with_gpus(gpu(0), gpu(1)), workers=1, voters=2)
    assert made.workers[0].devices == ("CUDA0", "CUDA1")
    made = planned(with_gpus(gpu(0), gpu(1)), workers=4, voters=2, ctx=4096)
    assert [w.devices for w in made.workers] == [("CUDA0",)] * 2 + [("CUDA1",)] * 2


def test_devices_by_hand_are_used_in_their_order():
    host = with_gpus(gpu(0), gpu(1), gpu(2))
    made = planned(host, devices=("CUDA2", f"{UUID}0"), workers=1)
    assert made.workers[0].devices == ("CUDA2", "CUDA0")
    assert planned(host, devices=("cpu",)).workers[0].devices == (CPU_DEVICE,)


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        (("CUDA7",), "There is CUDA0"),
        (("CUDA0", "cpu"), "'cpu', which is no accelerator.* alone uses none"),
        (("CUDA0", "CUDA0"), "twice"),
        (("CUDA0", f"{UUID}0"), "twice"),
    ],
)
def test_wrong_devices_are_refused(devices, words):
    with pytest.raises(UsageError, match=words):
        planned(with_gpus(gpu()), devices=devices)


def test_a_split_by_hand_is_kept():
    host = with_gpus(gpu(0), gpu(1))
    made = planned(host, tensor_split=(3.0, 1.0))
    (worker,) = made.workers
    assert worker.tensor_split == (3.0, 1.0)
    layers = {p.device: p.bytes for p in worker.parts if p.kind == "kv"}
    assert 6 * layers["CUDA0"] == 22 * layers["CUDA1"]
    with pytest.raises(UsageError, match="has 3 parts for 2 devices"):
        planned(host, tensor_split=(1.0, 1.0, 1.0))
    with pytest.raises(UsageError, match="several are asked for"):
        planned(host, tensor_split=(1.0, 1.0), workers=2)


def test_layers_by_hand_are_kept():
    made = planned(with_gpus(gpu()), gpu_layers=10)
    assert made.workers[0].gpu_layers == 10
    assert planned(with_gpus(gpu()), gpu_layers=0).workers[0].devices == (CPU_DEVICE,)
    assert planned(with_gpus(gpu()), gpu_layers=999).workers[0].gpu_layers == QWEN_7B.layers + 1


def test_more_cards_than_cores_run_fewer_workers():
    host = with_gpus(*(gpu(n) for n in range(4)), physical=2, logical=2)
    made = planned(host)
    assert len(made.workers) == 2
    assert sum(worker.threads for worker in made.workers) <= 2


def test_what_fits_nowhere_says_how_much_ram_it_lacks():
    tiny = replace(with_gpus(gpu(gib=2)), memory=Memory(4 * GIB, 4 * GIB))
    with pytest.raises(FitError, match=r"sample does not fit: .* of RAM"):
        planned(tiny, LLAMA_8B)
