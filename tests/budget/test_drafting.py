"""What a draft model takes, by the rules of its context."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local_swarm.budget.context import Setting, context_size
from local_swarm.budget.drafting import draft_parts, draft_setting, verify_parts, why_no_draft
from local_swarm.budget.groups import CPU_GROUP
from local_swarm.budget.placement import Target
from local_swarm.budget.pricing import Pricer
from local_swarm.budget.weights import weights_bytes
from local_swarm.domain.memory import MIB
from local_swarm.domain.plan import DRAFT_TOKENS, MemoryPart
from tests.budget.samples import LLAMA_8B, SMALL, cpu_worker

SETTING = Setting(ctx=3 * 1300, slots=3)
ONE = (Target("CUDA0", "cuda"),)
TWO = (*ONE, Target("CUDA1", "cuda"))


def sizes(parts: tuple[MemoryPart, ...], device: str = "cpu") -> dict[str, int]:
    return {part.kind: part.bytes for part in parts if part.device == device}


@pytest.mark.parametrize("unified", [False, True])
def test_the_draft_s_context_is_the_model_s_after_rounding(unified: bool) -> None:
    setting = replace(SETTING, kv_unified=unified)
    held = context_size(SMALL, setting)
    drafted = context_size(SMALL, draft_setting(setting))
    assert (drafted.cells, drafted.bytes) == (held.cells, held.bytes)


def test_on_the_host_a_model_as_its_own_draft_takes_what_it_takes_itself() -> None:
    own = sizes(Pricer(SMALL).parts(cpu_worker(SMALL, slots=3, ctx=1300), CPU_GROUP))
    drafted = sizes(draft_parts(SMALL, SETTING))
    assert set(drafted) == {"draft_weights", "draft_kv", "draft_output", "draft_compute"}
    assert all(drafted[f"draft_{kind}"] == own[kind] for kind in ("weights", "kv", "output"))


def test_another_worker_on_the_host_shares_the_file_s_pages() -> None:
    shared = sizes(draft_parts(SMALL, SETTING, with_weights=False))
    assert "draft_weights" not in shared
    assert shared["draft_kv"] == sizes(draft_parts(SMALL, SETTING))["draft_kv"]


def test_on_a_gpu_all_layers_are_there_and_inputs_stay() -> None:
    parts = draft_parts(SMALL, SETTING, devices=ONE, with_weights=False)
    assert sizes(parts, "CUDA0")["draft_kv"] == context_size(SMALL, draft_setting(SETTING)).bytes
    assert "draft_kv" not in sizes(parts)
    assert sizes(parts)["draft_output"] == 3 * 4 * SMALL.vocab_size


def test_on_two_gpus_the_cache_is_split_as_the_model_is() -> None:
    parts = draft_parts(SMALL, SETTING, devices=TWO, tensor_split=(1, 1))
    first, second = (sizes(parts, device.id)["draft_kv"] for device in TWO)
    assert first + second == context_size(SMALL, draft_setting(SETTING)).bytes
    assert draft_parts(SMALL, SETTING, devices=TWO, tensor_split=(1, 0)) != parts


def test_each_slot_s_drafted_tokens_have_logits_of_their_own() -> None:
    logits = 3 * DRAFT_TOKENS * 4 * SMALL.vocab_size
    on_host = sizes(verify_parts(SMALL, SETTING))
    assert on_host["draft_logits"] == logits
    assert on_host["draft_verify"] >= logits
    on_gpu = verify_parts(SMALL, SETTING, device="CUDA0")
    assert sizes(on_gpu) == {"draft_logits": logits}
    assert sizes(on_gpu, "CUDA0") == {"draft_verify": on_host["draft_verify"]}


def test_the_compute_buffer_grew_by_no_more_when_logits_were_most_of_it() -> None:
    """Printed with 151936 tokens, width 64, 4 slots: 2.45 MiB, and 9.40 with a draft."""
    wide = replace(SMALL, vocab_size=151936, embedding_length=64)
    bound = sizes(verify_parts(wide, Setting(ctx=4 * 1300, slots=4)))["draft_verify"]
    assert (9.40 - 2.45) * MIB <= bound <= 1.01 * (9.40 - 2.45) * MIB


def test_no_more_tokens_are_answered_for_than_a_batch_has() -> None:
    assert verify_parts(SMALL, replace(SETTING, batch=3)) == ()


def test_a_draft_must_share_the_vocabulary_and_the_cache_type() -> None:
    assert why_no_draft(SMALL, SMALL, SETTING) is None
    near = replace(SMALL, vocab_size=SMALL.vocab_size + 128)
    assert why_no_draft(SMALL, near, SETTING) is None
    assert "share a vocabulary" in (why_no_draft(LLAMA_8B, SMALL, SETTING) or "")
    odd = replace(SMALL, key_length=24)
    q8 = replace(SETTING, cache_type_k="q8_0")
    assert why_no_draft(SMALL, odd, SETTING) is None
    assert "q8_0" in (why_no_draft(SMALL, odd, q8) or "")


@pytest.mark.parametrize("arch", ["eagle3", "dflash", "gemma4-assistant"])
def test_files_for_other_ways_of_drafting_are_refused(arch: str) -> None:
    assert arch in (why_no_draft(SMALL, replace(SMALL, arch=arch), SETTING) or "")


def test_weights_are_those_of_the_file() -> None:
    assert sizes(draft_parts(SMALL, SETTING))["draft_weights"] == weights_bytes(SMALL, mapped=True)
