"""Plans for known machines: what is chosen, what is traded, and what is said about it."""

from dataclasses import replace

import pytest

from local_swarm.budget import Wishes, plan
from local_swarm.budget.case import least_pool
from local_swarm.domain.memory import GIB, MIB
from local_swarm.errors import FitError, ModelError, UsageError
from tests.budget.samples import LLAMA_8B, MEASURED_BUILD, QWEN_7B, SMALL, dense, machine


def planned(host=None, model=QWEN_7B, **wishes):
    return plan(host or machine(), model, Wishes(**wishes), model_id="sample")


def said(made, words):
    return any(words in reason for reason in made.reasons)


def test_a_roomy_machine_gets_all_defaults():
    made = planned()
    (worker,) = made.workers
    assert (made.voters, worker.slots, worker.lanes, worker.ctx) == (3, 4, 1, 16384)
    assert (worker.cache_type_k, worker.cache_type_v) == ("f16", "f16")
    assert (worker.id, worker.devices, worker.gpu_layers) == ("w0", ("cpu",), 0)
    assert worker.threads == 8
    assert worker.model_path == QWEN_7B.path
    assert made.model_id == worker.model_id == "sample"
    assert made.rejected == ()


def test_the_budget_is_the_sum_of_all_parts():
    for layout in ("auto", "processes"):
        made = planned(layout=layout)
        (cpu,) = made.budget
        assert cpu.device == "cpu"
        assert cpu.planned_bytes == sum(worker.planned_bytes for worker in made.workers)


def test_half_of_ram_is_used_by_default():
    (cpu,) = planned(machine(64 * GIB)).budget
    assert (cpu.total_bytes, cpu.usable_bytes) == (64 * GIB, 32 * GIB)


@pytest.mark.parametrize(
    ("host", "wishes", "usable", "why"),
    [
        (machine(64 * GIB, available=9 * GIB), {}, 9 * GIB, "available now"),
        (machine(64 * GIB, limit=18 * GIB), {}, 9 * GIB, "container"),
        (machine(64 * GIB, limit=96 * GIB), {}, 32 * GIB, "50%"),
        (machine(64 * GIB), {"ram_fraction": 0.25}, 16 * GIB, "25%"),
        (machine(64 * GIB), {"reserve_bytes": GIB}, 31 * GIB, "reserve of 1.0 GiB"),
    ],
)
def test_usable_memory_is_the_smallest_ceiling(host, wishes, usable, why):
    made = planned(host, **wishes)
    assert made.budget[0].usable_bytes == usable
    assert said(made, why)


def shape(made):
    worker = made.workers[0]
    return (made.voters, worker.lanes, worker.cache_type_k, worker.ctx)


def test_trades_come_in_order_as_memory_shrinks():
    seen = []
    for ram in range(64 * GIB, 0, -GIB // 8):
        try:
            found = shape(planned(machine(ram)))
        except FitError:
            break
        if found not in seen:
            seen.append(found)
    full = [step for step in seen if step[3] == 16384]
    assert full == [
        (3, 1, "f16", 16384),
        (3, 1, "q8_0", 16384),
        (2, 1, "q8_0", 16384),
        (2, 0, "q8_0", 16384),
    ]
    shorter = [step[3] for step in seen if step[3] < 16384]
    assert shorter == sorted(shorter, reverse=True)
    assert shorter[-1] >= 4096


def test_each_trade_is_told():
    made = planned(machine(14 * GIB))
    assert (*shape(made), bool(made.workers[0].pool)) == (3, 1, "f16", 16384, True)
    assert said(made, f"share {made.workers[0].pool} tokens of context")
    made = planned(machine(11 * GIB))
    assert shape(made) == (2, 0, "q8_0", 16384)
    assert said(made, "q8_0, not f16")
    assert said(made, "2 voters instead of 3")
    made = planned(machine(10 * GIB))
    assert 4096 <= made.workers[0].ctx < 16384
    assert said(made, "tokens of context per slot instead of 16384")


def test_a_pool_has_room_for_the_longest_prompt_and_a_fourth_of_it_for_each_other_slot():
    assert least_pool(16384, 4) == 16384 + 3 * 4096
    assert least_pool(1000, 3) == 1536


def test_a_pool_grows_into_the_memory_there_is_but_never_beyond_a_slot_each():
    pools = [
        planned(machine(quarters * GIB // 4)).workers[0].pool for quarters in range(72, 51, -1)
    ]
    split, shared = pools[: pools.count(0)], pools[pools.count(0) :]
    assert split
    assert all(pool == 0 for pool in split)
    assert shared == sorted(shared, reverse=True)
    assert 28672 <= shared[-1] < shared[0] <= 4 * 16384


def test_one_slot_needs_no_pool():
    made = planned(machine(14 * GIB), layout="processes", workers=2)
    assert all(not worker.kv_unified for worker in made.workers)


def test_a_lost_lane_is_told():
    roomy, tight = planned(voters=2), planned(machine(11 * GIB), voters=2)
    assert (roomy.workers[0].lanes, tight.workers[0].lanes) == (1, 0)
    assert said(tight, "No lane for unvoted requests")


def test_what_does_not_fit_says_what_it_lacks_and_what_to_do():
    with pytest.raises(FitError, match=r"sample does not fit.*\d+ bytes\) more") as caught:
        planned(machine(8 * GIB), voters=6)
    assert "smaller model" in caught.value.hint
    assert "voters" in caught.value.hint


def test_the_lack_is_exact():
    with pytest.raises(FitError) as caught:
        planned(machine(8 * GIB))
    lacking = int(caught.value.message.split("(")[1].split(" ")[0])
    usable = 4 * GIB
    made = planned(machine(64 * GIB, available=usable + lacking))
    assert made.budget[0].planned_bytes == usable + lacking
    with pytest.raises(FitError, match=r"\(1 bytes\)"):
        planned(machine(64 * GIB, available=usable + lacking - 1))


def test_what_is_set_by_hand_is_never_traded():
    with pytest.raises(FitError):
        planned(machine(11 * GIB), voters=3, ctx=16384, slots=4)
    made = planned(machine(11 * GIB), slots=4, voters=3)
    assert (made.voters, made.workers[0].slots) == (3, 4)
    assert made.workers[0].ctx < 16384


@pytest.mark.parametrize(
    ("asked", "trained", "ctx", "why"),
    [
        ("auto", 131072, 16384, "the default"),
        ("auto", 8192, 8192, "trained on 8192"),
        ("auto", 1000, 1000, "trained on 1000"),
        (2048, 131072, 2048, "as asked"),
        (5000, 131072, 5120, "rounds 5000 up"),
        (32768, 8192, 8192, "32768 would be cut"),
        (100, 131072, 256, "rounds 100 up"),
    ],
)
def test_context_per_slot(asked, trained, ctx, why):
    made = planned(model=dense(context_train=trained), ctx=asked)
    assert made.workers[0].ctx == ctx
    assert said(made, why)


def test_processes_split_the_machine_equally():
    made = planned(layout="processes", model=SMALL)
    assert [(w.id, w.slots, w.lanes, w.threads) for w in made.workers] == [
        ("w0", 1, 0, 2),
        ("w1", 1, 0, 2),
        ("w2", 1, 0, 2),
    ]
    assert made.voters == 3


def test_only_the_first_of_several_workers_carries_the_weights():
    made = planned(layout="processes")
    carried = [any(part.kind == "weights" for part in worker.parts) for worker in made.workers]
    assert carried == [True, False, False]


def test_fewer_processes_where_memory_is_short():
    made = planned(machine(12 * GIB), layout="processes")
    assert len(made.workers) == made.voters == 2
    assert said(made, "2 voters instead of 3")


def test_fewer_processes_where_cores_are_few():
    made = planned(machine(physical=2), layout="processes")
    assert len(made.workers) == 2
    assert said(made, "there are 2 cores")


@pytest.mark.parametrize(
    ("physical", "logical", "workers", "threads"),
    [(8, 16, 1, 8), (None, 6, 1, 6), (8, 16, 3, 2), (1, 1, 1, 1), (4, 2, 1, 2)],
)
def test_threads_share_the_physical_cores(physical, logical, workers, threads):
    host = machine(physical=physical, logical=logical)
    made = planned(host, model=SMALL, workers=workers)
    assert {worker.threads for worker in made.workers} == {threads}


def test_threads_by_hand():
    assert planned(threads=3).workers[0].threads == 3
    with pytest.raises(UsageError, match="9 threads"):
        planned(threads=9)


def test_a_model_whose_heads_cannot_be_quantised_keeps_f16():
    odd = dense(heads=32, embedding=48 * 32, head_length=48)
    made = planned(machine(12 * GIB + GIB // 2), model=odd)
    assert made.workers[0].cache_type_k == "f16"
    assert made.voters == 2


def test_settings_of_the_engine_reach_the_workers():
    (worker,) = planned(cache_ram_mib=100, ctx_checkpoints=7).workers
    assert (worker.cache_ram_mib, worker.ctx_checkpoints) == (100, 7)
    assert {p.bytes for p in worker.parts if p.kind == "prompt_cache"} == {100 * MIB}
    (worker,) = planned(cache_ram_mib=0).workers
    assert "prompt_cache" not in {part.kind for part in worker.parts}


def test_bounds_are_told_from_exact_figures():
    known = plan(machine(), LLAMA_8B, Wishes(), model_id="m", engine_build=MEASURED_BUILD)
    assert not said(known, "bound")
    assert said(planned(model=LLAMA_8B), "bound")
    assert not said(planned(model=dense("gemma3")), "whole context")
    unknown = planned(model=dense("some-arch"))
    assert said(unknown, "compute buffer is an upper bound")
    assert said(unknown, "'some-arch' is unknown")


def test_a_file_of_the_other_byte_order_is_refused():
    with pytest.raises(ModelError, match="is a big-endian file, which an engine on x86_64 refuses"):
        planned(model=replace(LLAMA_8B, big_endian=True))
    mainframe = replace(machine(), arch="s390x")
    with pytest.raises(ModelError, match="is a little-endian file"):
        planned(mainframe)
    assert planned(mainframe, model=replace(LLAMA_8B, big_endian=True)).workers
