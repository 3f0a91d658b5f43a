"""How a worker that memory was too short for gives things up, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from local_swarm.budget import Beside, Smaller, Wishes, plan, smaller
from local_swarm.budget.case import case_of, least_pool
from local_swarm.budget.kv import can_hold
from local_swarm.budget.pricing import Pricer
from local_swarm.budget.smaller import LEAST_SHARE
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.memory import GIB, MIB
from local_swarm.domain.model import ModelFacts, Recurrence, Window
from local_swarm.domain.plan import CPU_DEVICE, MemoryPart, WorkerPlan
from tests.budget.samples import LLAMA_8B, SMALL, dense, machine
from tests.budget.test_gpu_plan import EXPERTS, QWEN_7B, QWEN_32B, gpu, with_gpus
from tests.budget.test_plan_laws import attempt, hosts, models, wishes
from tests.budget.test_plan_laws import law as slow_law

MOST_STEPS = 100

law = settings(slow_law, max_examples=50)


def first_worker(host: HostSnapshot, model: ModelFacts, **asked: Any) -> WorkerPlan:
    return plan(host, model, Wishes(**asked), model_id="sample").workers[0]


def walk(
    worker: WorkerPlan,
    model: ModelFacts,
    where: str,
    host: HostSnapshot,
    asked: Wishes | None = None,
    **more: Any,
) -> Iterator[Smaller]:
    """Every step until nothing is left to give up."""
    for _ in range(MOST_STEPS):
        step = smaller(worker, model, where=where, host=host, wishes=asked or Wishes(), **more)
        if step is None:
            return
        yield step
        worker = step.plan
    raise AssertionError("it does not end")


def said(steps: list[Smaller]) -> list[str]:
    return [step.given_up for step in steps]


def on(worker: WorkerPlan, where: str) -> int:
    """Bytes planned on the host, or on all devices."""
    parts = (part for part in worker.parts if (part.device == CPU_DEVICE) == (where == "host"))
    return sum(part.bytes for part in parts)


def test_a_worker_on_the_cpu_gives_up_what_costs_least_first() -> None:
    host = machine(32 * GIB)
    worker = first_worker(host, LLAMA_8B)
    assert (worker.slots, worker.lanes, worker.ctx) == (4, 1, 16384)
    steps = list(walk(replace(worker, cache_ram_mib=1024), LLAMA_8B, "host", host))
    assert said(steps) == [
        "half of the prompt cache (512.0 MiB)",
        "half of the prompt cache (256.0 MiB)",
        "the prompt cache (256.0 MiB)",
        "one of 4 slots",
        "one of 3 slots and the lane for unvoted requests",
        "the exact values of the cache (q8_0, not f16)",
        "one of 2 slots",
        "8192 of 16384 tokens of context per slot",
        "4096 of 8192 tokens of context per slot",
    ]
    last = steps[-1].plan
    assert (last.slots, last.lanes, last.ctx, last.cache_ram_mib) == (1, 0, 4096, 0)
    assert (last.cache_type_k, last.cache_type_v) == ("q8_0", "q8_0")
    assert last.threads == worker.threads


def test_a_worker_on_a_gpu_keeps_its_ram_and_gives_up_layers_last() -> None:
    host = with_gpus(gpu(0, 24), gpu(1, 24))
    worker = first_worker(host, QWEN_32B)
    assert len(worker.devices) == 2
    steps = list(walk(worker, QWEN_32B, "device", host, room_bytes=64 * GIB))
    heads = [text.partition(" tokens")[0].partition(" (")[0] for text in said(steps)]
    assert heads[0] == "256 of 512"
    assert heads.index("the exact values of the cache") < heads.index("one of 2 slots")
    layers = [at for at, text in enumerate(heads) if text.endswith("layers on the accelerator")]
    assert layers[0] > heads.index("4096 of 8192")
    whole, *moved = [steps[at].plan for at in (layers[0] - 1, *layers)]
    assert all(before.cache_ram_mib == worker.cache_ram_mib for before in (whole, *moved))
    assert whole.flash_attention == "auto"
    assert {step.flash_attention for step in moved} == {"on"}
    assert {step.threads for step in moved} == {8}, "the CPU computes now"
    assert min(step.gpu_layers for step in moved) == 65 // 4 + 1
    assert {(step.devices, step.tensor_split) for step in moved} == {
        (worker.devices, worker.tensor_split)
    }


def test_experts_go_to_ram_before_layers() -> None:
    host = with_gpus(gpu(0, 24))
    worker = first_worker(host, EXPERTS)
    steps = list(walk(worker, EXPERTS, "device", host, room_bytes=64 * GIB))
    experts = [step for step in steps if "experts" in step.given_up]
    assert [step.plan.cpu_moe_layers for step in experts] == [6, 12, 18, 24, 30, 36, 42, 48]
    assert {step.plan.gpu_layers for step in experts} == {49}
    after = [step for step in steps if step.plan.gpu_layers < 49]
    assert all(step.plan.cpu_moe_layers == 48 for step in after)


def test_an_engine_that_keeps_no_experts_in_ram_moves_layers() -> None:
    host = with_gpus(gpu(0, 24))
    can = replace(Wishes().can, experts_in_ram=False)
    worker = first_worker(host, EXPERTS, can=can)
    steps = walk(worker, EXPERTS, "device", host, Wishes(can=can), room_bytes=64 * GIB)
    assert not [text for text in said(list(steps)) if "experts" in text]


@pytest.mark.parametrize("room", [0, 100 * MIB])
def test_nothing_moves_to_ram_that_has_no_room_for_it(room: int) -> None:
    host = with_gpus(gpu(0, 24))
    worker = first_worker(host, QWEN_7B)
    steps = list(walk(worker, QWEN_7B, "device", host, room_bytes=room))
    assert steps
    assert steps[-1].plan.gpu_layers == worker.gpu_layers
    assert max(on(step.plan, "host") for step in steps) <= on(worker, "host") + room


@pytest.mark.parametrize("asked", [{"gpu_layers": 20}, {"tensor_split": (1.0,)}])
def test_layers_stay_where_they_were_put_by_hand(asked: dict[str, Any]) -> None:
    host = with_gpus(gpu(0, 24))
    worker = first_worker(host, QWEN_7B, **asked)
    steps = list(walk(worker, QWEN_7B, "device", host, Wishes(**asked), room_bytes=64 * GIB))
    assert {step.plan.gpu_layers for step in steps} == {worker.gpu_layers}
    assert {step.plan.tensor_split for step in steps} == {worker.tensor_split}


def test_nothing_moves_to_ram_where_ram_is_what_the_device_has() -> None:
    apple = gpu(0, 48, backend="Metal", integrated=True)
    host = replace(with_gpus(apple), unified=True)
    worker = first_worker(host, QWEN_7B)
    assert worker.devices == ("Metal0",)
    steps = list(walk(worker, QWEN_7B, "device", host, room_bytes=64 * GIB))
    assert {step.plan.gpu_layers for step in steps} == {worker.gpu_layers}


def test_slots_on_a_device_that_works_in_ram_are_given_up_for_ram() -> None:
    apple = gpu(0, 48, backend="Metal", integrated=True)
    host = replace(with_gpus(apple), unified=True)
    worker = first_worker(host, QWEN_7B, cache_ram_mib=0)
    (step, *_) = walk(worker, QWEN_7B, "host", host, Wishes(cache_ram_mib=0))
    assert step.given_up == "one of 6 slots"


def test_ram_is_no_reason_to_give_up_what_lies_on_an_accelerator() -> None:
    host = with_gpus(gpu(0, 24))
    worker = first_worker(host, QWEN_7B)
    steps = list(walk(worker, QWEN_7B, "host", host))
    assert all("prompt cache" in text for text in said(steps))
    last = steps[-1].plan
    assert (last.slots, last.ctx, last.cache_ram_mib) == (worker.slots, worker.ctx, 0)


def test_a_worker_on_the_cpu_has_no_device_to_free() -> None:
    host = machine()
    worker = first_worker(host, LLAMA_8B)
    assert list(walk(worker, LLAMA_8B, "device", host)) == []


def test_a_pool_shrinks_to_the_least_before_slots_go_and_follows_them() -> None:
    host = machine(16 * GIB)
    asked = Wishes(cache_ram_mib=0)
    worker = first_worker(host, LLAMA_8B, cache_ram_mib=0)
    assert worker.pool > least_pool(worker.ctx, worker.slots)
    first, *rest = walk(worker, LLAMA_8B, "host", host, asked)
    assert first.given_up.endswith(f"of {worker.pool} tokens of context that the slots share")
    assert first.plan.slots == worker.slots
    for step in (first, *rest):
        wanted = least_pool(step.plan.ctx, step.plan.slots) if step.plan.slots > 1 else 0
        assert step.plan.pool == wanted


def test_what_was_set_by_hand_may_go_and_is_named() -> None:
    host = machine()
    asked: dict[str, Any] = {"slots": 3, "ctx": 8192, "cache_ram_mib": 0}
    worker = first_worker(host, LLAMA_8B, **asked)
    steps = said(list(walk(worker, LLAMA_8B, "host", host, Wishes(**asked))))
    assert steps[0].endswith("(swarm.slots was set by hand)")
    assert steps[-1] == "4096 of 8192 tokens of context per slot (swarm.ctx was set by hand)"
    by_voters = first_worker(host, LLAMA_8B, voters=4, cache_ram_mib=0)
    wanted = Wishes(voters=4, cache_ram_mib=0)
    (step, *_) = walk(by_voters, LLAMA_8B, "host", host, wanted)
    assert step.given_up == "one of 5 slots (swarm.voters was set by hand)"


def test_heads_that_q8_0_cannot_hold_stay_exact() -> None:
    odd = dense(layers=8, embedding=1536, heads=32, head_length=48)
    assert not can_hold(odd, "q8_0")
    host = machine()
    steps = list(walk(first_worker(host, odd), odd, "host", host))
    assert {step.plan.cache_type_k for step in steps} == {"f16"}
    draft = Beside(draft=replace(odd, vocab_size=LLAMA_8B.vocab_size))
    asked = Wishes()
    worker = plan(host, LLAMA_8B, asked, model_id="m", beside=draft).workers[0]
    steps = list(walk(worker, LLAMA_8B, "host", host, asked, beside=draft))
    assert {step.plan.cache_type_k for step in steps} == {"f16"}


def test_without_flash_attention_the_cache_stays_exact() -> None:
    host = machine()
    worker = replace(first_worker(host, LLAMA_8B), flash_attention="off")
    steps = list(walk(worker, LLAMA_8B, "host", host))
    assert {step.plan.cache_type_k for step in steps} == {"f16"}


def test_checkpoints_go_after_the_prompt_cache_where_there_are_any() -> None:
    windows = dense("gemma3", layers=6, context_train=32768, weights=GIB // 4)
    windows = replace(windows, window=Window(size=1024))
    host = machine()
    worker = first_worker(host, windows)
    steps = list(walk(worker, windows, "host", host))
    at = said(steps).index("the context checkpoints")
    assert said(steps)[at - 1].startswith("the prompt cache")
    assert steps[at].plan.ctx_checkpoints == 0
    assert "checkpoints" not in {part.kind for part in steps[at].plan.parts}


def test_a_phone_goes_down_to_its_own_context() -> None:
    phone = replace(machine(16 * GIB), os="android")
    worker = first_worker(phone, SMALL, ctx=8192)
    steps = list(walk(worker, SMALL, "host", phone, Wishes(ctx=8192)))
    assert steps[-1].plan.ctx == 2048


def test_a_model_for_vectors_reads_shorter_texts() -> None:
    model = replace(SMALL, purpose="embedding", pooling="mean", context_train=16384)
    host = machine()
    worker = first_worker(host, model)
    (*_, last) = walk(worker, model, "host", host)
    assert (last.plan.ctx, last.plan.batch, last.plan.ubatch) == (4096, 4096, 4096)
    assert last.plan.cache_type_k == "f16"
    cards = with_gpus(gpu(0, 8))
    steps = walk(first_worker(cards, model), model, "device", cards)
    assert all(step.plan.ubatch >= step.plan.ctx for step in steps)


def test_what_the_engine_said_of_a_worker_stays_said() -> None:
    host = machine()
    worker = first_worker(host, LLAMA_8B, cache_ram_mib=0)
    told = tuple(
        replace(part, bytes=part.bytes + 7 * MIB) if part.kind == "compute" else part
        for part in worker.parts
    )
    asked = Wishes(cache_ram_mib=0)
    ours = list(walk(worker, LLAMA_8B, "host", host, asked))
    theirs = list(walk(replace(worker, parts=told), LLAMA_8B, "host", host, asked))
    assert said(ours) == said(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert other.plan.planned_bytes - one.plan.planned_bytes == 7 * MIB


def test_what_workers_share_stays_with_the_one_that_has_it() -> None:
    host = with_gpus(gpu(0, 24), gpu(1, 24))
    made = plan(host, QWEN_7B, Wishes(), model_id="sample")
    second = made.workers[1]

    def host_weights(worker: WorkerPlan) -> int:
        return sum(p.bytes for p in worker.parts if (p.device, p.kind) == ("cpu", "weights"))

    assert host_weights(made.workers[0]) > host_weights(second) == 0
    steps = list(walk(second, QWEN_7B, "device", host, room_bytes=64 * GIB, workers=2))
    whole = [step.plan for step in steps if step.plan.gpu_layers == second.gpu_layers]
    assert {host_weights(worker) for worker in whole} == {0}
    moved = [step.plan for step in steps if step.plan.gpu_layers < second.gpu_layers]
    assert host_weights(moved[0]) > 0, "its own layers are nobody else's"
    assert {worker.threads for worker in moved} == {4}, "two workers share eight cores"


def test_an_engine_of_single_slots_gives_up_context() -> None:
    host = machine()
    can = replace(Wishes().can, parallel=False, prompt_cache=False)
    asked = Wishes(can=can, cache_ram_mib=0, ctx_checkpoints=0)
    worker = plan(host, LLAMA_8B, asked, model_id="m").workers[0]
    steps = list(walk(worker, LLAMA_8B, "host", host, asked))
    assert {step.plan.slots for step in steps} == {1}
    assert steps[-1].plan.ctx == 4096


def test_of_many_slots_that_hold_little_several_are_given_up_at_once() -> None:
    """One of 16 frees too little to restart the worker for; the context is not taken instead."""
    host = machine()
    asked = Wishes(slots=16, ctx=4352, cache_ram_mib=0, ctx_checkpoints=0)
    one_head = (1,) * LLAMA_8B.layers
    model = replace(LLAMA_8B, heads_kv=one_head, key_length=32, value_length=32)
    worker = first_worker(host, model, slots=16, ctx=4352, cache_ram_mib=0, ctx_checkpoints=0)
    first = next(walk(worker, model, "host", host, asked))
    assert first.plan.ctx == worker.ctx
    assert first.plan.slots < worker.slots - 1
    assert first.given_up.startswith(f"{worker.slots - first.plan.slots} of {worker.slots} slots")


def test_a_model_that_keeps_state_alone_gives_up_slots() -> None:
    state = Recurrence(conv_kernel=4, inner=8192, state=128, groups=8)
    mamba = replace(dense("mamba2", layers=16), recurrence=state)
    host = machine()
    worker = first_worker(host, mamba, cache_ram_mib=0)
    steps = list(walk(worker, mamba, "host", host, Wishes(cache_ram_mib=0)))
    assert steps[-1].plan.slots == 1


places = st.sampled_from(["host", "device"])
rooms = st.sampled_from([0, 64 * GIB])
windowed = models.map(lambda model: replace(model, arch="gemma3", window=Window(size=1024)))


@st.composite
def shrinkings(draw):
    """A worker of any plan, with all the steps it can take."""
    host, model, asked = draw(hosts), draw(models | windowed), draw(wishes)
    made = attempt(host, model, asked)
    assume(made is not None)
    number = draw(st.integers(0, len(made.workers) - 1))
    worker, where, room = made.workers[number], draw(places), draw(rooms)
    terms = {
        "where": where,
        "host": host,
        "asked": asked,
        "room_bytes": room,
        "workers": len(made.workers),
    }
    steps = list(walk(worker, model, **terms))
    return worker, model, terms, (worker, *(step.plan for step in steps)), number == 0, steps


def short(worker: WorkerPlan, where: str, host: HostSnapshot, asked: Wishes) -> int:
    """Bytes where memory is short; what lies on an integrated device lies in RAM."""
    integrated = {p.device for p in case_of(host, asked).limits.gpus if p.integrated}
    in_ram = {CPU_DEVICE, *integrated}
    return sum(
        p.bytes
        for p in worker.parts
        if (p.device in in_ram if where == "host" else p.device != CPU_DEVICE)
    )


@law
@given(shrinkings())
def test_every_step_frees_memory_where_it_is_short(shrinking) -> None:
    _, _, terms, plans, _, _ = shrinking
    held = [short(each, terms["where"], terms["host"], terms["asked"]) for each in plans]
    assert held == sorted(set(held), reverse=True)
    for before, after in pairwise(plans):
        other = "host" if terms["where"] == "device" else "device"
        assert on(after, other) <= on(before, other) + terms["room_bytes"]


@law
@given(shrinkings())
def test_nothing_falls_below_its_floor(shrinking) -> None:
    worker, model, _, plans, _, _ = shrinking
    least_ctx = min(4096, worker.ctx)
    for each in plans:
        assert 1 <= each.slots <= worker.slots
        assert 0 <= each.lanes <= worker.lanes
        assert each.slots - each.lanes >= min(2, each.slots, worker.slots - worker.lanes)
        assert least_ctx <= each.ctx <= worker.ctx
        assert each.ctx == worker.ctx or each.ctx % 256 == 0
        assert each.ubatch >= min(128, worker.ubatch)
        assert each.cache_ram_mib >= 0
        assert each.cells >= each.ctx
        assert not each.pool or each.slots > 1
        assert each.gpu_layers >= min(worker.gpu_layers, model.layers // 4)
        assert each.cache_type_k == "f16" or can_hold(model, each.cache_type_k)
        assert (each.devices, each.pins, each.id) == (worker.devices, worker.pins, worker.id)


@law
@given(shrinkings())
def test_the_promised_context_is_kept_while_a_slot_is_worth_giving_up(shrinking) -> None:
    worker, _, terms, plans, _, _ = shrinking
    shorter = [each for each in plans if each.ctx < worker.ctx]
    if terms["where"] == "host" and worker.devices == (CPU_DEVICE,):
        assert all(each.slots == 1 or are_worth_nothing(each) for each in shorter)
        assert all(each.cache_ram_mib == 0 for each in shorter)
    assert all(each.gpu_layers == worker.gpu_layers for each in shorter[:1])


def are_worth_nothing(worker: WorkerPlan) -> bool:
    """Whether all slots but one hold next to nothing."""
    cells = sum(part.bytes for part in worker.parts if part.kind == "kv")
    return cells * (worker.slots - 1) / worker.slots < LEAST_SHARE * worker.planned_bytes


@law
@given(shrinkings())
def test_a_smaller_worker_is_priced_as_the_planner_would(shrinking) -> None:
    _, model, terms, plans, is_first, _ = shrinking
    case = case_of(terms["host"], terms["asked"].of(model))
    pools = {pool.device: pool for pool in case.limits.pools}
    for each in plans:
        group = () if each.devices == (CPU_DEVICE,) else tuple(pools[d] for d in each.devices)
        pricer = Pricer(model, process_bytes=terms["asked"].can.process_bytes)
        wanted = pricer.parts(each, group, with_weights=is_first)
        assert sum_of(without_mapped(each.parts)) == sum_of(without_mapped(wanted))
        if is_first:
            assert sum_of(each.parts) == sum_of(wanted)


def without_mapped(parts: tuple[MemoryPart, ...]) -> tuple[MemoryPart, ...]:
    return tuple(p for p in parts if (p.device, p.kind) != (CPU_DEVICE, "weights"))


def sum_of(parts: tuple[MemoryPart, ...]) -> dict[tuple[str, str], int]:
    sizes: dict[tuple[str, str], int] = {}
    for part in parts:
        sizes[part.device, part.kind] = sizes.get((part.device, part.kind), 0) + part.bytes
    return sizes


@law
@given(shrinkings())
def test_the_same_worker_is_made_smaller_in_the_same_way(shrinking) -> None:
    worker, model, terms, _, _, steps = shrinking
    assert list(walk(worker, model, **terms)) == steps
    assert all(text and not text.endswith(".") for text in said(steps))
