"""Sizes against what llama.cpp itself reserves.

The expected bytes are measured: no-allocation dry runs of the llama.cpp vendored in
llama-cpp-python 0.3.36, on the CPU, without repacking, with one output per slot.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.budget.beside import partial_bytes
from local_swarm.budget.compute import Compute, compute_size
from local_swarm.budget.context import Setting, context_size
from local_swarm.budget.groups import CPU_GROUP
from local_swarm.budget.kv import CACHE_TYPES, Cells, can_hold, cells
from local_swarm.budget.pricing import Pricer
from local_swarm.budget.weights import output_bytes, weights_bytes
from local_swarm.domain.memory import MIB
from local_swarm.domain.model import Recurrence
from tests.budget.samples import LLAMA_8B, MEASURED_BUILD, QWEN_7B, SMALL, cpu_worker, dense

SPLIT, UNIFIED = False, True


@pytest.mark.parametrize(
    ("ctx_total", "slots", "unified", "held"),
    [
        (4096, 1, SPLIT, Cells(4096, 1)),
        (4096, 4, SPLIT, Cells(1024, 4)),
        (4096, 4, UNIFIED, Cells(4096, 1)),
        (300, 1, SPLIT, Cells(512, 1)),
        (2100, 8, SPLIT, Cells(512, 8)),  # twice what was asked
        (10000, 3, SPLIT, Cells(3584, 3)),
        (10000, 3, UNIFIED, Cells(10240, 1)),
    ],
)
def test_the_engine_rounds_contexts_up(ctx_total, slots, unified, held):
    assert cells(ctx_total, slots, unified=unified) == held


@pytest.mark.parametrize(
    ("model", "ctx_total", "slots", "unified", "types", "expected"),
    [
        (QWEN_7B, 4096, 1, SPLIT, ("f16", "f16"), 234_881_024),
        (QWEN_7B, 4096, 4, UNIFIED, ("q8_0", "q8_0"), 124_780_544),
        (QWEN_7B, 16384, 1, SPLIT, ("q8_0", "q4_0"), 381_681_664),
        (QWEN_7B, 10000, 3, SPLIT, ("f16", "f16"), 616_562_688),
        (QWEN_7B, 2100, 8, SPLIT, ("f16", "f16"), 234_881_024),
        (LLAMA_8B, 131072, 4, SPLIT, ("f16", "f16"), 17_179_869_184),
        (LLAMA_8B, 32768, 1, SPLIT, ("q8_0", "q8_0"), 2_281_701_376),
        (LLAMA_8B, 16384, 1, SPLIT, ("q8_0", "q4_0"), 872_415_232),
        (LLAMA_8B, 300, 1, SPLIT, ("f16", "f16"), 67_108_864),
    ],
)
def test_the_cache_is_met_to_the_byte(model, ctx_total, slots, unified, types, expected):
    setting = Setting(ctx_total, slots, unified, cache_type_k=types[0], cache_type_v=types[1])
    assert context_size(model, setting).bytes == expected


@pytest.mark.parametrize(
    ("model", "ctx_total", "slots", "unified", "ubatch", "expected"),
    [
        (QWEN_7B, 4096, 1, SPLIT, 512, 149_958_688),
        (QWEN_7B, 32768, 4, SPLIT, 512, 154_152_992),
        (QWEN_7B, 32768, 4, UNIFIED, 512, 179_318_816),
        (QWEN_7B, 32768, 4, UNIFIED, 64, 22_414_880),
        (QWEN_7B, 32768, 4, SPLIT, 2048, 616_611_872),
        (QWEN_7B, 10000, 3, SPLIT, 512, 149_726_368),
        (QWEN_7B, 10000, 3, UNIFIED, 512, 156_555_424),
        (QWEN_7B, 300, 1, SPLIT, 512, 85_716_064),
        (QWEN_7B, 2100, 8, SPLIT, 512, 146_288_672),
        (LLAMA_8B, 131072, 1, SPLIT, 512, 255_864_864),
        (LLAMA_8B, 300, 1, SPLIT, 512, 71_584_864),
    ],
)
def test_the_compute_buffer_of_gated_dense_models_is_met_to_the_byte(
    model, ctx_total, slots, unified, ubatch, expected
):
    size = compute_size(
        model, Setting(ctx_total, slots, unified, ubatch=ubatch), build=MEASURED_BUILD
    )
    assert (size.bytes, size.method) == (expected, "formula")


def test_a_quantised_cache_changes_the_compute_buffer():
    setting = Setting(4096, cache_type_k="q8_0", cache_type_v="q8_0")
    made = compute_size(QWEN_7B, setting, build=MEASURED_BUILD)
    assert made == Compute(142_700_576, "formula")


def test_a_build_that_was_not_measured_gets_the_larger_of_those_that_were():
    other = compute_size(QWEN_7B, Setting(4096), build="xllamacpp 2026.10.11549")
    measured = compute_size(QWEN_7B, Setting(4096), build=MEASURED_BUILD)
    assert other.bytes - measured.bytes == 4 * 512 * (3584 + 5)
    for build in (None, "xllamacpp 3000.1"):
        assert compute_size(QWEN_7B, Setting(4096), build=build) == Compute(other.bytes, "bound")


@pytest.mark.parametrize(
    ("heads", "values"),
    [(8, 5 * 1024), (4, 3 * 1024 + 2 * 512), (12, 3 * 1024 + 1536)],
)
def test_turned_queries_take_what_holes_they_find(heads, values):
    """Measured on small models in llama-server of that build; heads are 128 long."""
    model = dense(
        layers=2,
        embedding=1024,
        heads=heads,
        heads_kv=4,
        head_length=128,
        feed_forward=4096,
        vocab=1000,
    )
    plain, turned = Setting(4096), Setting(4096, cache_type_k="q8_0", cache_type_v="q8_0")
    rotations = 4 * (128 * 128 + 64 * 64)
    made = compute_size(model, turned, build=MEASURED_BUILD)
    kept = values - (2 * 1024 if heads == 8 else 0)
    base = compute_size(model, plain, build=MEASURED_BUILD).bytes
    base -= 4 * 512 * (3 * 1024 + heads * 128)
    assert (made.bytes - rotations - base, made.method) == (4 * 512 * kept, "formula")


def test_experts_are_exact_only_where_their_output_surely_finds_room():
    small = {"layers": 2, "embedding": 1024, "heads": 12, "heads_kv": 2, "head_length": 128}
    wide = dense("qwen3moe", feed_forward=1536, experts_used=2, **small)
    narrow = dense("qwen3moe", feed_forward=256, experts_used=4, **small)
    assert compute_size(wide, Setting(4096), build=MEASURED_BUILD).method == "formula"
    assert compute_size(narrow, Setting(4096), build=MEASURED_BUILD).method == "bound"


def test_scores_are_counted_without_flash_attention():
    """Qwen2.5-Coder-7B at 16384 tokens: measured 1,011,884,064 bytes."""
    off = Setting(16384, flash_attention="off")
    assert compute_size(QWEN_7B, off, build=MEASURED_BUILD) == Compute(1_011_884_064, "formula")


def test_what_the_engine_says_of_compute_is_taken():
    assert compute_size(QWEN_7B, Setting(4096), dry_run_bytes=7) == Compute(7, "dry-run")


def test_a_head_that_is_no_whole_block_cannot_be_quantised():
    odd = dense(embedding=48 * 32, head_length=48)
    assert can_hold(odd, "f16")
    assert not can_hold(odd, "q8_0")
    assert can_hold(QWEN_7B, "q8_0")


def test_each_tensor_is_padded():
    model = dense(layers=0, weights=33)
    assert weights_bytes(model) == 64
    assert weights_bytes(QWEN_7B) == 4_677_120_000


def test_the_output_buffer_holds_a_row_of_logits_per_slot():
    assert output_bytes(QWEN_7B, 4) == 152064 * 4 * 4


def test_layers_without_heads_keep_no_cache():
    model = dense(layers=2)
    one = replace(model, heads_kv=(8, 0))
    assert context_size(one, Setting(256)).bytes * 2 == context_size(model, Setting(256)).bytes


def sizes(model, *, build=None, with_weights=True, **worker):
    """All parts of a worker without accelerators, by kind."""
    parts = Pricer(model, build).parts(
        cpu_worker(model, **worker), CPU_GROUP, with_weights=with_weights
    )
    assert {part.device for part in parts} == {"cpu"}
    assert len({part.kind for part in parts}) == len(parts)
    return {part.kind: part.bytes for part in parts}


def test_a_worker_s_parts_by_kind():
    assert sizes(QWEN_7B, slots=4, ctx=8192, build=MEASURED_BUILD) == {
        "weights": 4_677_120_000,
        "kv": 1_879_048_192,
        "output": 2_433_024,
        "compute": 154_152_992,
        "prompt_cache": 256 * MIB,
        "process": 24 * MIB + 420 * 152_064,
    }


def test_recurrent_state_is_a_part_of_its_own():
    recurrence = Recurrence(conv_kernel=4, inner=1536, state=16)
    mamba = replace(dense("mamba", layers=4, embedding=768), recurrence=recurrence)
    parts = sizes(mamba, slots=2, ctx=4096, ctx_checkpoints=3)
    assert parts["recurrent"] == 2 * 4 * 4 * (3 * 1536 + 16 * 1536)
    assert parts["checkpoints"] == 2 * 3 * partial_bytes(mamba, Setting(2 * 4096, slots=2))
    assert "kv" not in parts


def test_a_second_worker_shares_the_weights_of_the_first():
    alone, second = sizes(QWEN_7B), sizes(QWEN_7B, with_weights=False)
    assert alone == second | {"weights": weights_bytes(QWEN_7B, mapped=True)}
    assert "weights" not in second


def total(model, **worker):
    return sum(sizes(model, **worker).values())


@settings(deadline=None)
@given(
    ctx=st.integers(1, 200_000),
    more=st.integers(0, 5000),
    slots=st.integers(1, 33),
    kv=st.sampled_from(sorted(CACHE_TYPES)),
    unified=st.booleans(),
)
def test_more_context_never_costs_less(ctx, more, slots, kv, unified):
    worker = {"slots": slots, "cache_type_k": kv, "cache_type_v": kv, "kv_unified": unified}
    assert total(SMALL, ctx=ctx, **worker) <= total(SMALL, ctx=ctx + more, **worker)


@settings(deadline=None)
@given(ctx=st.integers(1, 100_000), slots=st.integers(1, 64))
def test_there_are_cells_for_every_token_of_every_slot(ctx, slots):
    held = cells(ctx * slots, slots)
    assert held.per_stream >= ctx
    assert held.streams == slots
    assert held.per_stream % 256 == 0
