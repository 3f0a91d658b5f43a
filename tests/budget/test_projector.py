"""Projectors, against what llama-server printed: two to four layers of real widths."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local_swarm.budget.placement import Target
from local_swarm.budget.projector import compute_bound, projector_parts, warmup_patches
from local_swarm.domain.memory import MIB
from local_swarm.domain.model import Tensor
from local_swarm.domain.projector import Encoder, ProjectorFacts

GEMMA = Encoder("vision", "gemma3", 1152, 4304, 16, 128, 896, 14)
MLP = Encoder("vision", "mlp", 1024, 4096, 16, 128, 336, 14)
QWEN2 = Encoder("vision", "qwen2vl_merger", 1280, 5120, 16, 128, 560, 14)
QWEN25 = Encoder("vision", "qwen2.5vl_merger", 1280, 3420, 16, 128, 560, 14, windowed=True)
QWEN3 = Encoder("vision", "qwen3vl_merger", 1024, 4096, 16, 128, 768, 16)
SMALL = Encoder("vision", "gemma3", 64, 128, 2, 128, 112, 14)
# compute buffer in MiB: with flash attention, and without where it was asked
PRINTED = [
    (GEMMA, 121.25, 1132.0),
    (MLP, 17.05, None),
    (QWEN2, 267.08, 4598.27),
    (QWEN25, 704.79, 4871.57),
    (QWEN3, 223.3, 4628.88),
    (SMALL, 0.22, None),
]
F16, Q8 = 1, 8


def facts(*encoders: Encoder, gated: bool = False) -> ProjectorFacts:
    tensors = (
        Tensor("v.blk.0.ffn_up.weight", (1152, 4304), F16, 2 * 1152 * 4304),
        Tensor("v.blk.0.ln1.bias", (5,), 0, 20),
        *((Tensor("v.blk.0.ffn_gate.weight", (64, 2), F16, 256),) if gated else ()),
    )
    return ProjectorFacts("/models/mmproj.gguf", None, 10**7, encoders, tensors)


@pytest.mark.parametrize(("encoder", "flash_mib", "plain_mib"), PRINTED)
def test_compute_is_bounded_and_not_by_much(
    encoder: Encoder, flash_mib: float, plain_mib: float | None
) -> None:
    gated = encoder is QWEN25
    bound = compute_bound(encoder, gated=gated, flash=True)
    assert flash_mib * MIB <= bound <= 1.4 * flash_mib * MIB
    if plain_mib:
        bound = compute_bound(encoder, gated=gated, flash=False)
        assert plain_mib * MIB <= bound <= 1.1 * plain_mib * MIB


def test_weights_lie_on_the_host_without_a_device() -> None:
    weights, compute = projector_parts(facts(GEMMA))
    assert (weights.device, weights.kind, weights.bytes) == ("cpu", "mmproj", 9916416 + 32)
    assert (compute.device, compute.kind) == ("cpu", "mmproj_compute")


def test_all_of_it_is_on_one_device_with_its_alignment() -> None:
    weights, compute = projector_parts(facts(GEMMA), Target("CUDA0", "cuda"))
    assert (weights.device, compute.device) == ("CUDA0", "CUDA0")
    assert weights.bytes == -(-9916416 // 128) * 128 + 128


def test_quantised_rows_are_filled_up_on_a_device() -> None:
    narrow = Tensor("v.blk.0.ffn_up.weight", (64, 100), Q8, 6800)
    projector = replace(facts(GEMMA), tensors=(narrow,))
    [weights, _] = projector_parts(projector, Target("CUDA0", "cuda"))
    assert weights.bytes >= 6800 + (512 - 64) // 32 * 34
    assert projector_parts(projector)[0].bytes == 6816


def test_every_encoder_has_its_scratch_memory() -> None:
    sound = Encoder("audio", "qwen2a", 1280, 5120, 20, 128)
    both = projector_parts(facts(GEMMA, sound))[1].bytes
    assert both == sum(compute_bound(one, gated=False, flash=True) for one in (GEMMA, sound))
    assert warmup_patches(sound) == 3000


def test_a_gate_and_missing_flash_attention_take_more() -> None:
    least = projector_parts(facts(GEMMA))[1].bytes
    assert projector_parts(facts(GEMMA, gated=True))[1].bytes > least
    assert projector_parts(facts(GEMMA), flash_attention="off")[1].bytes > least + 2**30


def test_models_of_any_resolution_are_warmed_up_by_tokens() -> None:
    assert warmup_patches(QWEN2) == (46 * 2) ** 2 + 1
    assert warmup_patches(replace(QWEN2, merge=4)) == (46 * 4) ** 2 + 1
    assert warmup_patches(GEMMA) == 64**2 + 1
