"""Sizes against what llama.cpp itself reserves.

The expected bytes are measured: no-allocation dry runs of the llama.cpp vendored in
llama-cpp-python 0.3.36, on the CPU, without repacking, with one output per slot.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.budget import Load, worker_parts
from local_swarm.budget.compute import compute_size, has_state
from local_swarm.budget.kv import CACHE_TYPES, Cells, can_hold, cells, kv_bytes
from local_swarm.budget.weights import output_bytes, weights_bytes
from local_swarm.domain.memory import MIB
from local_swarm.domain.model import Tensor
from tests.budget.samples import LLAMA_8B, QWEN_7B, SMALL, dense

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
    held = cells(ctx_total, slots, unified=unified)
    assert kv_bytes(model, held, *types) == expected


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
    held = cells(ctx_total, slots, unified=unified)
    size = compute_size(
        model, held, ctx_total=ctx_total, slots=slots, ubatch=ubatch, cache_type="f16"
    )
    assert (size.bytes, size.exact) == (expected, True)


def test_a_quantised_cache_makes_the_compute_buffer_a_bound():
    size = compute_size(
        QWEN_7B, cells(4096, 1), ctx_total=4096, slots=1, ubatch=512, cache_type="q8_0"
    )
    assert not size.exact
    assert 142_700_576 <= size.bytes < 1.1 * 142_700_576


def test_the_compute_buffer_of_experts_is_a_bound():
    """Qwen3-Coder-30B-A3B at 4096 tokens; measured 96,485,408 bytes."""
    model = dense(
        "qwen3moe",
        layers=48,
        embedding=2048,
        heads=32,
        heads_kv=4,
        head_length=128,
        feed_forward=768,
        vocab=151936,
        experts_used=8,
    )
    size = compute_size(
        model, cells(4096, 1), ctx_total=4096, slots=1, ubatch=512, cache_type="f16"
    )
    assert not size.exact
    assert 96_485_408 <= size.bytes < 3 * 96_485_408


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


def test_layers_without_attention_keep_no_cache():
    model = dense(layers=2)
    one = replace(model, heads_kv=(8, 0))
    held = Cells(256, 1)
    assert kv_bytes(one, held, "f16", "f16") * 2 == kv_bytes(model, held, "f16", "f16")


def test_a_worker_s_parts_by_kind():
    parts = {part.kind: part.bytes for part in worker_parts(QWEN_7B, Load(slots=4, ctx=8192))}
    assert parts == {
        "weights": 4_677_120_000,
        "kv": 1_879_048_192,
        "output": 2_433_024,
        "compute": 154_152_992,
        "prompt_cache": 256 * MIB,
    }


def test_a_second_worker_shares_the_weights_of_the_first():
    parts = worker_parts(QWEN_7B, Load(slots=1, ctx=4096), with_weights=False)
    assert "weights" not in {part.kind for part in parts}


def total(model, **load):
    return sum(part.bytes for part in worker_parts(model, Load(**load)))


@settings(deadline=None)
@given(
    ctx=st.integers(1, 200_000),
    more=st.integers(0, 5000),
    slots=st.integers(1, 33),
    kv=st.sampled_from(sorted(CACHE_TYPES)),
    unified=st.booleans(),
)
def test_more_context_never_costs_less(ctx, more, slots, kv, unified):
    load = {"slots": slots, "cache_type_k": kv, "cache_type_v": kv, "kv_unified": unified}
    assert total(SMALL, ctx=ctx, **load) <= total(SMALL, ctx=ctx + more, **load)


@settings(deadline=None)
@given(ctx=st.integers(1, 100_000), slots=st.integers(1, 64))
def test_there_are_cells_for_every_token_of_every_slot(ctx, slots):
    held = cells(ctx * slots, slots)
    assert held.per_stream >= ctx
    assert held.streams == slots
    assert held.per_stream % 256 == 0


def test_recurrent_tensors_are_seen():
    state = Tensor("blk.0.ssm_in.weight", (8, 8), 1, 128)
    model = dense(layers=1)
    assert has_state(replace(model, tensors=(state,)))
    assert not has_state(model)
