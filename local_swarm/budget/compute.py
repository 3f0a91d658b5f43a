"""The compute buffer: scratch memory of the largest graph a worker may run, on the CPU.

The engine reserves it at start for `min(ctx, ubatch)` tokens. For gated dense models with an f16
cache and flash attention a closed form gives its size to the byte; for others only a dry run
does, and this is an upper bound, found over the measured models (llama.cpp as of the version in
llama-cpp-python 0.3.36, src/llama-context.cpp `sched_reserve`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from local_swarm.budget.kv import Cells, pad
from local_swarm.domain.model import ModelFacts

GATED_DENSE = frozenset({"llama", "qwen2"})

_DENSE = re.compile(r"blk\.\d+\.ffn_(gate|up)(_shexp)?\.weight")
_EXPERTS = re.compile(r"blk\.\d+\.ffn_(gate|up|gate_up)_exps\.weight")
_STATE = re.compile(r"blk\.\d+\.(ssm_|shortconv)")
_GATE = re.compile(r"blk\.\d+\.ffn_gate\.weight")


@dataclass(frozen=True, slots=True)
class Compute:
    """`exact`, or an upper bound."""

    bytes: int
    exact: bool


def compute_size(
    model: ModelFacts, held: Cells, *, ctx_total: int, slots: int, ubatch: int, cache_type: str
) -> Compute:
    """For `-c ctx_total -np slots -ub ubatch`; `cache_type` is that of K and V."""
    tokens = pad(min(ctx_total, ubatch), slots)
    inputs = 2 * pad(4 * tokens, 32) + 2 * pad(8 * tokens, 32) + pad(4 * slots, 32)
    mask = 2 * tokens * held.per_stream
    logits = 4 * slots * (model.vocab_size + 2 * model.embedding_length) + pad(4 * slots, 32)
    if _is_gated_dense(model):
        floats = 3 * _width(model, _DENSE) + 4 * model.embedding_length
        exact = cache_type == "f16"
        return Compute(max(4 * tokens * floats + mask + inputs, logits), exact)
    return Compute(max(5 * tokens * _floats_bound(model) + 2 * mask + inputs, logits), False)


def has_state(model: ModelFacts) -> bool:
    """Whether the model keeps recurrent state, which is no part of the attention cache."""
    return any(_STATE.match(tensor.name) for tensor in model.tensors)


def _is_gated_dense(model: ModelFacts) -> bool:
    return (
        model.arch in GATED_DENSE
        and not model.experts_used
        and model.heads * model.key_length == model.embedding_length
        and any(_GATE.match(tensor.name) for tensor in model.tensors)
    )


def _floats_bound(model: ModelFacts) -> int:
    """Values alive for one token; the caller adds a quarter (5 bytes for each 4-byte value)."""
    embedding = model.embedding_length
    attention = 4 * max(embedding, model.heads * model.key_length)
    experts = model.experts_used * (3 * _width(model, _EXPERTS) + 2 * embedding)
    return 3 * _width(model, _DENSE) + attention + experts + 4 * _width(model, _STATE)


def _width(model: ModelFacts, pattern: re.Pattern[str]) -> int:
    """The widest output of the matrices that `pattern` names."""
    shapes = (t.shape for t in model.tensors if len(t.shape) > 1 and pattern.match(t.name))
    return max((shape[1] for shape in shapes), default=0)
