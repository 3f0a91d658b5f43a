"""What a second, smaller model takes that drafts for the first (speculative decoding).

The draft's context holds what the model's does: as many cells and slots, split or not, the same
batches and cache types. While it drafts, the model answers for `1 + DRAFT_TOKENS` tokens per slot
at once instead of one.

Source: llama.cpp common/speculative.cpp `common_base_params_to_speculative`,
`common_speculative_init_result`, `common_speculative_get_output_limits` and
`common_speculative_are_compatible`, src/llama-context.cpp `output_reserve`, as of the version in
llama-cpp-python 0.3.36.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from local_swarm.budget.compute import compute_size
from local_swarm.budget.context import Setting
from local_swarm.budget.kv import can_hold
from local_swarm.budget.placement import Target, place
from local_swarm.budget.weights import output_bytes
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, DRAFT_TOKENS, MemoryPart

FLOAT = 4
MOST_VOCAB_DIFFERENCE = 128  # SPEC_VOCAB_MAX_SIZE_DIFFERENCE
# Files that are no language model of their own: they read the other model's inner state.
TIED_ARCHITECTURES = frozenset({"eagle3", "dflash", "gemma4-assistant"})


def draft_setting(setting: Setting) -> Setting:
    """How the draft's context is made, from how the model's is.

    Its size is the model's after rounding; everything else is said the same for both.
    """
    return replace(setting, ctx=setting.cells.total)


def draft_parts(
    draft: ModelFacts,
    setting: Setting,
    *,
    build: str | None = None,
    devices: Sequence[Target] = (),
    tensor_split: Sequence[float] = (),
    with_weights: bool = True,
) -> tuple[MemoryPart, ...]:
    """Everything a draft model takes in one worker, by device and kind.

    `setting` is the model's. All of it is on the `devices` of the worker, split as the model is, or
    on the host where there are none. Weights, KV, state and output are exact; compute is what the
    CPU needs, taken for each device, and exact only on the CPU where `compute_size` is. Workers of
    one machine share the weights of one file on the host: only the first is given `with_weights`,
    as for the model.
    """
    drafted = draft_setting(setting)
    shares = place(
        draft, drafted, gpu_layers=-1, devices=devices, tensor_split=tensor_split, mapped=True
    )
    compute = compute_size(draft, drafted, build=build).bytes
    parts = []
    for share in shares:
        at_home = share.device == CPU_DEVICE
        counted = with_weights or not at_home
        parts += [
            MemoryPart(share.device, "draft_weights", share.weights_bytes if counted else 0),
            MemoryPart(share.device, "draft_kv", share.kv_bytes),
            MemoryPart(share.device, "draft_recurrent", share.recurrent_bytes),
            MemoryPart(share.device, "draft_compute", compute if at_home or share.layers else 0),
        ]
    parts.append(MemoryPart(CPU_DEVICE, "draft_output", output_bytes(draft, setting.slots)))
    return tuple(part for part in parts if part.bytes)


def verify_parts(
    model: ModelFacts, setting: Setting, *, device: str = CPU_DEVICE
) -> tuple[MemoryPart, ...]:
    """What the model itself takes more because several tokens per slot are answered for at once.

    The logits of the drafted tokens, twice: in the output buffer, which grows by them with the
    first draft and not before ("draft_logits", on the host, exact and never printed), and in the
    compute buffer of the `device` that has the output layer ("draft_verify", a bound: that buffer
    grows, as printed, only where all logits are more than its peak elsewhere).
    """
    drafted = min(setting.batch, setting.slots * (1 + DRAFT_TOKENS)) - setting.slots
    if drafted <= 0:
        return ()
    computed = FLOAT * drafted * (model.vocab_size + 3 * model.embedding_length + 2)
    return (
        MemoryPart(CPU_DEVICE, "draft_logits", output_bytes(model, drafted)),
        MemoryPart(device, "draft_verify", computed),
    )


def why_no_draft(model: ModelFacts, draft: ModelFacts, setting: Setting) -> str | None:
    """Why this draft cannot serve this model, as a sentence; None when nothing is known against it.

    The engine also compares the vocabularies token by token, and answers without drafts when they
    differ.
    """
    if draft.arch in TIED_ARCHITECTURES:
        return f"A {draft.arch} model cannot draft by itself; only ordinary language models can."
    if abs(model.vocab_size - draft.vocab_size) > MOST_VOCAB_DIFFERENCE:
        return (
            f"The draft knows {draft.vocab_size} tokens and the model {model.vocab_size}: they must"
            " share a vocabulary."
        )
    kinds = (setting.cache_type_k, setting.cache_type_v)
    if wrong := next((kind for kind in kinds if not can_hold(draft, kind)), None):
        return f"The draft's heads cannot be kept in a cache of type {wrong}."
    return None
