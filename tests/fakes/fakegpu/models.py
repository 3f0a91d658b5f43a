"""Small models that llama.cpp loads, one of each way to keep a context; their weights are zeros.

`write(folder, "dense")` writes one and gives its path. Dimensions are chosen so that quantised rows
are no multiple of 512, which is what devices pad.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.models.gguf_files import (
    ARRAY,
    F32_TENSOR,
    I32,
    Q8_0_TENSOR,
    GgufFile,
    TensorSpec,
    Typed,
)

LAYERS, EMBEDDING, HEADS, HEADS_KV, HEAD, FEED, VOCAB = 6, 320, 5, 1, 64, 1056, 512
EXPERTS, USED, EXPERT = 8, 2, 352
ATTENDING = (2, 5)  # layers of the hybrid that are not recurrent
CONV, INNER, STATE, STEPS = 4, 640, 64, 10
RANK, ROPE, PLAIN = 128, 32, 64  # latent attention: compressed, turned, and other values

Tensors = list[TensorSpec]


def write(folder: Path, name: str) -> Path:
    path = folder / f"{name}.gguf"
    path.write_bytes(MODELS[name]().encode())
    return path


def dense() -> GgufFile:
    return _file("llama", lambda n: [*_attention(n), *_gated(n)])


def experts() -> GgufFile:
    keys = {"expert_feed_forward_length": EXPERT, "attention.key_length": HEAD}
    return _file("qwen3moe", lambda n: [*_attention(n, normed=True), *_mixture(n)], keys, _EXPERTS)


def window() -> GgufFile:
    keys = {
        "attention.sliding_window": 512,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
    }
    return _file("gemma3", _sliding, keys, tied=True)


def latent() -> GgufFile:
    keys = {
        "attention.head_count_kv": 1,
        "attention.key_length": RANK + ROPE,
        "attention.value_length": RANK,
        "attention.q_lora_rank": RANK,
        "attention.kv_lora_rank": RANK,
        "attention.key_length_mla": PLAIN + ROPE,
        "attention.value_length_mla": PLAIN,
        "rope.dimension_count": ROPE,
        "leading_dense_block_count": 1,
        "expert_feed_forward_length": EXPERT,
        "expert_shared_count": 1,
        "expert_weights_scale": 1.0,
    }
    return _file("deepseek2", _latent, keys, _EXPERTS)


def hybrid() -> GgufFile:
    heads = [HEADS_KV if n in ATTENDING else 0 for n in range(LAYERS)]
    keys = {
        "attention.head_count_kv": Typed(ARRAY, heads, I32),
        "ssm.conv_kernel": CONV,
        "ssm.inner_size": INNER,
        "ssm.state_size": STATE,
        "ssm.time_step_rank": STEPS,
        "ssm.group_count": 1,
    }
    return _file("granitehybrid", _hybrid, keys)


MODELS: dict[str, Callable[[], GgufFile]] = {
    one.__name__: one for one in (dense, experts, window, latent, hybrid)
}
_EXPERTS = {"expert_count": EXPERTS, "expert_used_count": USED}


def _file(
    arch: str,
    layer: Callable[[int], Tensors],
    keys: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
    *,
    tied: bool = False,
) -> GgufFile:
    own = {
        "block_count": LAYERS,
        "context_length": 32768,
        "embedding_length": EMBEDDING,
        "feed_forward_length": FEED,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS_KV,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "vocab_size": VOCAB,
    }
    own |= (keys or {}) | (more or {})
    listed = {"general.architecture": arch} | {f"{arch}.{name}": own[name] for name in own}
    tensors = [_matrix("token_embd.weight", EMBEDDING, VOCAB), _row("output_norm.weight")]
    tensors += [] if tied else [_matrix("output.weight", EMBEDDING, VOCAB)]
    tensors += [tensor for number in range(LAYERS) for tensor in layer(number)]
    return GgufFile(listed | _vocabulary(), tensors)


def _vocabulary() -> dict[str, Any]:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [256 + n for n in range(256 - len(printable))]
    tokens = [chr(code) for code in (*printable, *others)]
    tokens += [f"token{n}" for n in range(VOCAB - len(tokens))]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": Typed(ARRAY, [1] * VOCAB, I32),
        "tokenizer.ggml.merges": [f"{tokens[0]} {tokens[1]}"],
        "tokenizer.ggml.eos_token_id": VOCAB - 1,
        "tokenizer.chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",
    }


def _matrix(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, shape, Q8_0_TENSOR)


def _row(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, shape or (EMBEDDING,), F32_TENSOR)


def _attention(n: int, *, normed: bool = False) -> Tensors:
    b = f"blk.{n}."
    found = [
        _row(b + "attn_norm.weight"),
        _matrix(b + "attn_q.weight", EMBEDDING, HEADS * HEAD),
        _matrix(b + "attn_k.weight", EMBEDDING, HEADS_KV * HEAD),
        _matrix(b + "attn_v.weight", EMBEDDING, HEADS_KV * HEAD),
        _matrix(b + "attn_output.weight", HEADS * HEAD, EMBEDDING),
    ]
    if normed:
        found += [_row(b + "attn_q_norm.weight", HEAD), _row(b + "attn_k_norm.weight", HEAD)]
    return found


def _gated(n: int) -> Tensors:
    b = f"blk.{n}."
    return [
        _row(b + "ffn_norm.weight"),
        _matrix(b + "ffn_gate.weight", EMBEDDING, FEED),
        _matrix(b + "ffn_up.weight", EMBEDDING, FEED),
        _matrix(b + "ffn_down.weight", FEED, EMBEDDING),
    ]


def _mixture(n: int) -> Tensors:
    b = f"blk.{n}."
    return [
        _row(b + "ffn_norm.weight"),
        _row(b + "ffn_gate_inp.weight", EMBEDDING, EXPERTS),
        _matrix(b + "ffn_gate_exps.weight", EMBEDDING, EXPERT, EXPERTS),
        _matrix(b + "ffn_up_exps.weight", EMBEDDING, EXPERT, EXPERTS),
        _matrix(b + "ffn_down_exps.weight", EXPERT, EMBEDDING, EXPERTS),
    ]


def _sliding(n: int) -> Tensors:
    b = f"blk.{n}."
    after = [_row(b + "post_attention_norm.weight"), _row(b + "post_ffw_norm.weight")]
    return [*_attention(n, normed=True), *_gated(n), *after]


def _latent(n: int) -> Tensors:
    b = f"blk.{n}."
    found = [
        _row(b + "attn_norm.weight"),
        _matrix(b + "attn_q_a.weight", EMBEDDING, RANK),
        _row(b + "attn_q_a_norm.weight", RANK),
        _matrix(b + "attn_q_b.weight", RANK, HEADS * (PLAIN + ROPE)),
        _matrix(b + "attn_kv_a_mqa.weight", EMBEDDING, RANK + ROPE),
        _row(b + "attn_kv_a_norm.weight", RANK),
        _matrix(b + "attn_k_b.weight", PLAIN, RANK, HEADS),
        _matrix(b + "attn_v_b.weight", RANK, PLAIN, HEADS),
        _matrix(b + "attn_output.weight", HEADS * PLAIN, EMBEDDING),
    ]
    shared = [
        _matrix(b + "ffn_gate_shexp.weight", EMBEDDING, EXPERT),
        _matrix(b + "ffn_up_shexp.weight", EMBEDDING, EXPERT),
        _matrix(b + "ffn_down_shexp.weight", EXPERT, EMBEDDING),
    ]
    return [*found, *(_gated(n) if n == 0 else [*_mixture(n), *shared])]


def _hybrid(n: int) -> Tensors:
    if n in ATTENDING:
        return [*_attention(n), *_gated(n)]
    b, wide = f"blk.{n}.", INNER + 2 * STATE
    return [
        _row(b + "attn_norm.weight"),
        _matrix(b + "ssm_in.weight", EMBEDDING, INNER + wide + STEPS),
        _row(b + "ssm_conv1d.weight", CONV, wide),
        _row(b + "ssm_conv1d.bias", wide),
        _row(b + "ssm_dt.bias", STEPS),
        _row(b + "ssm_a", 1, STEPS),
        _row(b + "ssm_d", 1, STEPS),
        _row(b + "ssm_norm.weight", INNER, 1),
        _matrix(b + "ssm_out.weight", INNER, EMBEDDING),
        *_gated(n),
    ]
