"""Small members of families that make vectors: real widths, few layers, an engine loads them."""

from __future__ import annotations

from collections.abc import Callable

from tests.engines.headers import Sketch

LENGTH = 1024
MEAN, LAST = 1, 3


def encoder(arch: str, layers: int, embedding: int, heads: int, width: int) -> Sketch:
    sketch = Sketch(arch, layers, embedding)
    sketch.set(context_length=LENGTH, pooling_type=MEAN, feed_forward_length=width)
    sketch.set(attention__head_count=heads, attention__causal=False)
    return sketch


def bert() -> Sketch:
    wide, width = 768, 3072
    sketch = encoder("bert", 2, wide, 12, width)
    sketch.keys["tokenizer.ggml.token_type_count"] = 2
    sketch.add("token_types.weight", wide, 2)
    sketch.add("position_embd.weight", wide, LENGTH)
    sketch.add("token_embd_norm.weight", wide)
    sketch.add("token_embd_norm.bias", wide)
    for number in range(2):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            sketch.block(number, **{name: (wide, wide), f"{name}__bias": wide})
        sketch.block(number, ffn_up=(wide, width), ffn_up__bias=width)
        sketch.block(number, ffn_down=(width, wide), ffn_down__bias=wide)
        for name in ("attn_output_norm", "layer_output_norm"):
            sketch.block(number, **{name: wide, f"{name}__bias": wide})
    return sketch


def modern_bert() -> Sketch:
    wide, width = 768, 1152
    sketch = encoder("modern-bert", 4, wide, 12, width)
    sketch.set(attention__sliding_window=128)
    sketch.add("token_embd_norm.weight", wide)
    sketch.add("output_norm.weight", wide)
    for number in range(4):
        sketch.block(number, attn_norm=wide, ffn_norm=wide, attn_qkv=(wide, 3 * wide))
        sketch.block(number, attn_output=(wide, wide))
        sketch.block(number, ffn_up=(wide, 2 * width), ffn_down=(width, wide))
    return sketch


def gemma() -> Sketch:
    wide, width, head = 768, 1152, 256
    sketch = encoder("gemma-embedding", 6, wide, 3, width)
    sketch.set(attention__head_count_kv=1, attention__key_length=head)
    sketch.set(attention__value_length=head, attention__sliding_window=512)
    sketch.add("output_norm.weight", wide)
    for number in range(6):
        sketch.block(number, attn_q=(wide, 3 * head), attn_k=(wide, head), attn_v=(wide, head))
        sketch.block(number, attn_output=(3 * head, wide), attn_q_norm=head, attn_k_norm=head)
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            sketch.block(number, **{name: wide})
        sketch.block(number, ffn_gate=(wide, width), ffn_up=(wide, width), ffn_down=(width, wide))
    return sketch


def qwen3() -> Sketch:
    """A decoder that embeds by its last token, as Qwen3 Embedding does."""
    wide, width, head = 1024, 3072, 128
    sketch = Sketch("qwen3", 2, wide)
    sketch.set(context_length=8 * LENGTH, pooling_type=LAST, feed_forward_length=width)
    sketch.set(attention__head_count=16, attention__head_count_kv=8)
    sketch.set(attention__key_length=head, attention__value_length=head)
    sketch.add("output_norm.weight", wide)
    for number in range(2):
        sketch.block(number, attn_q=(wide, 16 * head), attn_k=(wide, 8 * head))
        sketch.block(number, attn_v=(wide, 8 * head), attn_output=(16 * head, wide))
        sketch.block(number, attn_norm=wide, ffn_norm=wide, attn_q_norm=head, attn_k_norm=head)
        sketch.block(number, ffn_gate=(wide, width), ffn_up=(wide, width), ffn_down=(width, wide))
    return sketch


ENCODERS: dict[str, Callable[[], Sketch]] = {
    "bert": bert, "modern bert": modern_bert, "embedding gemma": gemma, "qwen3 embedding": qwen3,
}  # fmt: skip
