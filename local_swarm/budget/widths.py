"""How wide the intermediate results of a model are, in values per token, from its tensors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from local_swarm.domain.model import ModelFacts

_DENSE = re.compile(r"blk\.\d+\.ffn_(gate|up)\.weight")
_DENSE_DOWN = re.compile(r"blk\.\d+\.ffn_down\.weight")
_SHARED = re.compile(r"blk\.\d+\.ffn_(gate|up)_shexp\.weight")
_EXPERTS = re.compile(r"blk\.\d+\.ffn_(gate|up)_exps\.weight")
_EXPERTS_FUSED = re.compile(r"blk\.\d+\.ffn_gate_up_exps\.weight")
_ROUTER = re.compile(r"blk\.\d+\.ffn_gate_inp\.weight")
_STATE_IN = re.compile(r"blk\.\d+\.(ssm_in|shortconv\.in_proj|attn_gate|ssm_ba)\.weight")
_STATE_CONV = re.compile(r"blk\.\d+\.ssm_conv1d(_[qkv])?\.weight")
_QUERY = re.compile(r"blk\.\d+\.(attn_q|attn_q_b)\.weight")
_FUSED_QKV = re.compile(r"blk\.\d+\.attn_qkv\.weight")


@dataclass(frozen=True, slots=True)
class Widths:
    """Values per token, the widest of all layers; 0 where a model has none of the kind.

    `heads` is that of all query heads as the cache sees them, `query` of the query's projection
    (wider where a gate or latent heads are in it). `experts` is one expert's. `beside` lives all
    along: per-layer embeddings, and the streams of alternating updates (gemma3n, gemma4).
    """

    embedding: int
    heads: int
    query: int
    dense: int
    fused: bool
    experts: int
    experts_used: int
    router: int
    shared: int
    state_in: int
    state_conv: int
    vocab: int
    beside: int


@lru_cache(maxsize=64)
def widths_of(model: ModelFacts) -> Widths:
    dense, down = _out(model, _DENSE), _in(model, _DENSE_DOWN)
    return Widths(
        embedding=model.embedding_length,
        heads=model.heads * max(model.key_length, model.window.key_length),
        query=max(_out(model, _QUERY), _out(model, _FUSED_QKV)),
        dense=down or dense,
        fused=bool(down) and dense == 2 * down,
        experts=max(_out(model, _EXPERTS), _out(model, _EXPERTS_FUSED) // 2),
        experts_used=model.experts_used,
        router=_out(model, _ROUTER),
        shared=_out(model, _SHARED),
        state_in=_out(model, _STATE_IN),
        state_conv=_out(model, _STATE_CONV),
        vocab=model.vocab_size,
        beside=_beside(model),
    )


def _beside(model: ModelFacts) -> int:
    shapes = {tensor.name: tensor.shape for tensor in model.tensors}
    each = shapes.get("per_layer_token_embd.weight", (0,))[0]
    streams = shapes.get("altup_proj.weight", ())
    return each + (3 * (streams[2] + 1) * streams[0] if len(streams) > 2 else 0)


def _out(model: ModelFacts, pattern: re.Pattern[str]) -> int:
    """The widest output of the matrices that `pattern` names."""
    shapes = (t.shape for t in model.tensors if len(t.shape) > 1 and pattern.match(t.name))
    return max((shape[1] for shape in shapes), default=0)


def _in(model: ModelFacts, pattern: re.Pattern[str]) -> int:
    shapes = (t.shape for t in model.tensors if len(t.shape) > 1 and pattern.match(t.name))
    return max((shape[0] for shape in shapes), default=0)
