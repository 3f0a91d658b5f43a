"""Small members of many families: real heads and widths, and few layers.

There are so many that another period of sliding and full layers, one more or one less, would give
another number of full ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.engines.headers import VOCAB, Sketch

Heads = tuple[int, int, int]  # query heads, key and value heads, values in each


def started(arch: str, layers: int, embedding: int, *, tied: bool = False, **keys: Any) -> Sketch:
    sketch = Sketch(arch, layers, embedding)
    sketch.set(**keys)
    sketch.add("output_norm.weight", embedding)
    if not tied:
        sketch.add("output.weight", embedding, VOCAB)
    return sketch


def headed(
    arch: str, layers: int, embedding: int, heads: Heads, *, per_layer: Any = None, **keys: Any
) -> Sketch:
    """A model with attention; `per_layer` are the key and value heads of each where they differ."""
    query, shared, length = heads
    keys["attention__head_count"] = query
    keys["attention__head_count_kv"] = per_layer or shared
    keys["attention__key_length"] = keys["attention__value_length"] = length
    return started(arch, layers, embedding, **keys)


def attention(sketch: Sketch, number: int, heads: Heads, *, query: int = 1) -> None:
    wide, (count, shared, length) = sketch.embedding, heads
    sketch.block(
        number,
        attn_q=(wide, query * count * length),
        attn_k=(wide, shared * length),
        attn_v=(wide, shared * length),
        attn_output=(count * length, wide),
    )


def norms(sketch: Sketch, number: int, names: str) -> None:
    sketch.block(number, **dict.fromkeys(names.split(), sketch.embedding))


def feed(sketch: Sketch, number: int, width: int) -> None:
    wide = sketch.embedding
    sketch.block(number, ffn_gate=(wide, width), ffn_up=(wide, width), ffn_down=(width, wide))


def experts(sketch: Sketch, number: int, count: int, width: int, shared: int = 0) -> None:
    wide = sketch.embedding
    sketch.block(number, ffn_gate_inp=(wide, count))
    sketch.block(number, ffn_gate_exps=(wide, width, count), ffn_up_exps=(wide, width, count))
    sketch.block(number, ffn_down_exps=(width, wide, count))
    if shared:
        sketch.block(number, ffn_gate_shexp=(wide, shared), ffn_up_shexp=(wide, shared))
        sketch.block(number, ffn_down_shexp=(shared, wide))


def expert_keys(count: int, used: int, width: int, shared: int = 0) -> dict[str, Any]:
    keys = {
        "expert_count": count, "expert_used_count": used, "expert_feed_forward_length": width,
    }  # fmt: skip
    return keys | ({"expert_shared_feed_forward_length": shared} if shared else {})


def plain(
    arch: str, layers: int, embedding: int, heads: Heads, width: int, *,
    norm: str = "attn_norm ffn_norm", bias: bool = False, head_norms: bool = False, **keys: Any,
) -> Sketch:  # fmt: skip
    """A gated dense model."""
    sketch = headed(arch, layers, embedding, heads, feed_forward_length=width, **keys)
    query, shared, length = heads
    for number in range(layers):
        norms(sketch, number, norm)
        attention(sketch, number, heads)
        if bias:
            sketch.block(number, attn_q__bias=query * length, attn_k__bias=shared * length)
            sketch.block(number, attn_v__bias=shared * length)
        if head_norms:
            sketch.block(number, attn_q_norm=length, attn_k_norm=length)
        feed(sketch, number, width)
    return sketch


def gemma(arch: str, layers: int, window: int, **keys: Any) -> Sketch:
    return plain(
        arch, layers, 1152, (4, 1, 256), 6912, tied=True, head_norms=arch != "gemma2",
        norm="attn_norm post_attention_norm ffn_norm post_ffw_norm",
        attention__sliding_window=window, **keys,
    )  # fmt: skip


def per_layer_inputs(sketch: Sketch) -> None:
    wide, layers = sketch.embedding, sketch.layers
    sketch.set(embedding_length_per_layer_input=256)
    sketch.add("per_layer_token_embd.weight", 256 * layers, VOCAB)
    sketch.add("per_layer_model_proj.weight", wide, 256 * layers)
    sketch.add("per_layer_proj_norm.weight", 256)
    for number in range(layers):
        sketch.block(number, inp_gate=(wide, 256), proj=(256, wide), post_norm=wide)


def gemma3n() -> Sketch:
    """With two layers (20 and 21) that read another's cache."""
    sketch = gemma("gemma3n", 22, 512)
    wide = sketch.embedding
    per_layer_inputs(sketch)
    sketch.add("altup_proj.weight", wide, wide, 3)
    sketch.add("altup_unembd_proj.weight", wide, wide, 3)
    for number in range(sketch.layers):
        sketch.block(number, altup_correct_coef=(4, 4), altup_predict_coef=(4, 16))
        sketch.block(number, altup_router=(wide, 4), laurel_l=(wide, 64), laurel_r=(64, wide))
        norms(sketch, number, "altup_correct_scale altup_router_norm laurel_post_norm")
    return sketch


def gemma4() -> Sketch:
    """Heads of two lengths, and two layers that read another's cache."""
    wide, layers, slides = 1536, 6, [True, True, True, False, True, False]
    sketch = headed(
        "gemma4", layers, wide, (8, 1, 512), tied=True, feed_forward_length=6144,
        attention__sliding_window=512, attention__sliding_window_pattern=slides,
        attention__shared_kv_layers=2, attention__key_length_swa=256,
        attention__value_length_swa=256, rope__dimension_count_swa=256,
    )  # fmt: skip
    per_layer_inputs(sketch)
    sketch.add("rope_freqs.weight", 256)
    for number in range(layers):
        length = 256 if slides[number] else 512
        norms(sketch, number, "attn_norm post_attention_norm ffn_norm post_ffw_norm")
        sketch.block(number, attn_q=(wide, 8 * length), attn_output=(8 * length, wide))
        sketch.block(number, attn_q_norm=length)
        if number < layers - 2:
            sketch.block(number, attn_k=(wide, length), attn_v=(wide, length), attn_k_norm=length)
        feed(sketch, number, 6144)
    return sketch


def gpt_oss() -> Sketch:
    wide, heads = 2880, (64, 8, 64)
    keys = expert_keys(8, 4, 2880)
    sketch = headed("gpt-oss", 4, wide, heads, attention__sliding_window=128, **keys)
    for number in range(4):
        norms(sketch, number, "attn_norm post_attention_norm attn_output__bias")
        attention(sketch, number, heads)
        sketch.block(number, attn_q__bias=4096, attn_k__bias=512, attn_v__bias=512, attn_sinks=64)
        experts(sketch, number, 8, 2880)
        sketch.block(number, ffn_gate_inp__bias=8, ffn_gate_exps__bias=(2880, 8))
        sketch.block(number, ffn_up_exps__bias=(2880, 8), ffn_down_exps__bias=(2880, 8))
    return sketch


def llama4() -> Sketch:
    wide, layers, heads = 1024, 9, (8, 2, 128)
    keys = expert_keys(4, 1, 1024) | {"interleave_moe_layer_step": 1, "feed_forward_length": 2048}
    sketch = headed("llama4", layers, wide, heads, attention__sliding_window=8192, **keys)
    for number in range(layers):
        norms(sketch, number, "attn_norm ffn_norm")
        attention(sketch, number, heads)
        experts(sketch, number, 4, 1024, 1024)
    return sketch


def qwen3moe() -> Sketch:
    wide, heads = 2048, (32, 4, 128)
    sketch = headed("qwen3moe", 2, wide, heads, feed_forward_length=6144, **expert_keys(16, 8, 768))
    for number in range(2):
        norms(sketch, number, "attn_norm ffn_norm")
        attention(sketch, number, heads)
        sketch.block(number, attn_q_norm=128, attn_k_norm=128)
        experts(sketch, number, 16, 768)
    return sketch


def olmo2(**keys: Any) -> Sketch:
    wide, layers = 1024, 9
    sketch = plain(
        "olmo2", layers, wide, (8, 8, 128), 4096, norm="post_attention_norm post_ffw_norm", **keys
    )
    for number in range(layers):
        sketch.block(number, attn_q_norm=wide, attn_k_norm=wide)
    return sketch


def phi3() -> Sketch:
    wide, width = 3072, 8192
    sketch = headed(
        "phi3", 2, wide, (32, 32, 96), feed_forward_length=width, attention__sliding_window=2047,
        rope__dimension_count=96, rope__scaling__original_context_length=4096,
    )  # fmt: skip
    sketch.add("rope_factors_long.weight", 48)
    sketch.add("rope_factors_short.weight", 48)
    for number in range(2):
        norms(sketch, number, "attn_norm ffn_norm")
        sketch.block(number, attn_qkv=(wide, 3 * wide), attn_output=(wide, wide))
        sketch.block(number, ffn_up=(wide, 2 * width), ffn_down=(width, wide))
    return sketch


def starcoder2() -> Sketch:
    wide, width, heads = 3072, 12288, (24, 2, 128)
    sketch = headed(
        "starcoder2", 2, wide, heads, feed_forward_length=width, attention__sliding_window=4096
    )
    sketch.add("output_norm.bias", wide)
    for number in range(2):
        norms(sketch, number, "attn_norm attn_norm__bias ffn_norm ffn_norm__bias ffn_down__bias")
        attention(sketch, number, heads)
        sketch.block(number, attn_q__bias=wide, attn_k__bias=256, attn_v__bias=256)
        sketch.block(number, attn_output__bias=wide, ffn_up__bias=width)
        sketch.block(number, ffn_up=(wide, width), ffn_down=(width, wide))
    return sketch


def deepseek2(*, latent: bool) -> Sketch:
    wide, count, rank, turned, straight, value = 2048, 16, 512, 64, 128, 128
    keys = expert_keys(8, 6, 1408) | {
        "feed_forward_length": 10944, "leading_dense_block_count": 1, "expert_shared_count": 2,
        "expert_weights_scale": 1.0, "attention__kv_lora_rank": rank, "attention__q_lora_rank": 768,
        "rope__dimension_count": turned,
    }  # fmt: skip
    each = straight + turned
    sketch = headed("deepseek2", 3, wide, (count, 1 if latent else count, each), **keys)
    sketch.set(attention__value_length=value)
    if latent:
        sketch.set(attention__key_length=rank + turned, attention__value_length=rank)
        sketch.set(attention__key_length_mla=each, attention__value_length_mla=value)
    for number in range(3):
        norms(sketch, number, "attn_norm ffn_norm")
        sketch.block(number, attn_q_a=(wide, 768), attn_q_a_norm=768)
        sketch.block(number, attn_q_b=(768, count * each), attn_output=(count * value, wide))
        sketch.block(number, attn_kv_a_mqa=(wide, rank + turned), attn_kv_a_norm=rank)
        if latent:
            sketch.block(number, attn_k_b=(straight, rank, count), attn_v_b=(rank, value, count))
        else:
            sketch.block(number, attn_kv_b=(rank, count * (straight + value)))
        if number:
            experts(sketch, number, 8, 1408, 2816)
        else:
            feed(sketch, number, 10944)
    return sketch


State = tuple[int, int, int, int, int]  # kernel, inner, state, time-step rank, groups


def state_keys(sizes: State) -> dict[str, int]:
    names = ("conv_kernel", "inner_size", "state_size", "time_step_rank", "group_count")
    return {f"ssm__{name}": size for name, size in zip(names, sizes, strict=True)}


def first_state(sketch: Sketch, number: int, sizes: State, *, normed: bool = False) -> None:
    """A layer of the first Mamba."""
    wide, (kernel, inner, state, rank, _) = sketch.embedding, sizes
    sketch.block(number, ssm_in=(wide, 2 * inner), ssm_conv1d=(kernel, inner))
    sketch.block(number, ssm_conv1d__bias=inner, ssm_x=(inner, rank + 2 * state))
    sketch.block(number, ssm_dt=(rank, inner), ssm_dt__bias=inner, ssm_out=(inner, wide))
    bare(sketch, number, ssm_a=(state, inner), ssm_d=(inner,))
    if normed:
        sketch.block(number, ssm_dt_norm=rank, ssm_b_norm=state, ssm_c_norm=state)


def second_state(sketch: Sketch, number: int, sizes: State) -> None:
    """A layer of Mamba 2."""
    wide, (kernel, inner, state, rank, groups) = sketch.embedding, sizes
    conv = inner + 2 * groups * state
    sketch.block(number, ssm_in=(wide, inner + conv + rank), ssm_conv1d=(kernel, conv))
    sketch.block(number, ssm_conv1d__bias=conv, ssm_dt__bias=rank, ssm_out=(inner, wide))
    sketch.block(number, ssm_norm=(inner // groups, groups))
    bare(sketch, number, ssm_a=(1, rank), ssm_d=(1, rank))


def delta_state(sketch: Sketch, number: int, sizes: State, **more: Any) -> None:
    """A layer of a gated delta net."""
    wide, (kernel, inner, state, rank, groups) = sketch.embedding, sizes
    conv = inner + 2 * groups * state
    sketch.block(number, attn_qkv=(wide, conv), attn_gate=(wide, inner), ssm_conv1d=(kernel, conv))
    sketch.block(number, ssm_dt__bias=rank, ssm_norm=state, ssm_out=(inner, wide), **more)
    bare(sketch, number, ssm_a=(rank,))


def bare(sketch: Sketch, number: int, **shapes: tuple[int, ...]) -> None:
    """Tensors without `.weight`."""
    for name, shape in shapes.items():
        sketch.add(f"blk.{number}.{name}", *shape)


def mamba(arch: str, sizes: State) -> Sketch:
    layer = first_state if arch == "mamba" else second_state
    sketch = started(arch, 3, 768, **state_keys(sizes), feed_forward_length=0)
    sketch.set(attention__head_count=0)
    for number in range(3):
        norms(sketch, number, "attn_norm")
        layer(sketch, number, sizes)
    return sketch


def jamba() -> Sketch:
    heads, sizes = (20, 1, 128), (4, 5120, 16, 160, 1)
    sketch = headed(
        "jamba", 4, 2560, heads, per_layer=[0, 0, 1, 0], feed_forward_length=8192,
        **state_keys(sizes),
    )  # fmt: skip
    for number in range(4):
        norms(sketch, number, "attn_norm ffn_norm")
        if number == 2:
            attention(sketch, number, heads)
        else:
            first_state(sketch, number, sizes, normed=True)
        feed(sketch, number, 8192)
    return sketch


def granite_hybrid() -> Sketch:
    heads, sizes = (12, 4, 128), (4, 3072, 128, 48, 1)
    sketch = headed(
        "granitehybrid", 4, 1536, heads, per_layer=[0, 0, 4, 0], tied=True,
        feed_forward_length=512, **state_keys(sizes), **expert_keys(8, 6, 512, 1024),
    )  # fmt: skip
    for number in range(4):
        norms(sketch, number, "attn_norm ffn_norm")
        if number == 2:
            attention(sketch, number, heads)
        else:
            second_state(sketch, number, sizes)
        experts(sketch, number, 8, 512, 1024)
    return sketch


def falcon_h1() -> Sketch:
    heads, sizes = (8, 2, 64), (4, 1536, 128, 24, 1)
    sketch = headed(
        "falcon-h1", 3, 1024, heads, feed_forward_length=2048, rope__dimension_count=64,
        **state_keys(sizes),
    )  # fmt: skip
    for number in range(3):
        norms(sketch, number, "attn_norm")
        second_state(sketch, number, sizes)
        attention(sketch, number, heads)
        bare(sketch, number, ffn_norm=(1024,))
        feed(sketch, number, 2048)
    return sketch


def nemotron_h() -> Sketch:
    """State, feed-forward, attention and state again: one thing in each layer."""
    heads, sizes = (40, 8, 128), (4, 10240, 128, 128, 8)
    sketch = headed("nemotron_h", 4, 4480, heads, per_layer=[0, 0, 8, 0], **state_keys(sizes))
    sketch.set(feed_forward_length=[0, 15680, 0, 0])
    for number in range(4):
        norms(sketch, number, "attn_norm")
        if number == 1:
            sketch.block(number, ffn_up=(4480, 15680), ffn_down=(15680, 4480))
        elif number == 2:
            attention(sketch, number, heads)
        else:
            second_state(sketch, number, sizes)
    return sketch


def lfm2(**keys: Any) -> Sketch:
    wide, heads = 2048, (32, 8, 64)
    sketch = headed(
        "lfm2", 4, wide, heads, per_layer=[0, 0, 8, 0], tied=True, feed_forward_length=8192,
        shortconv__l_cache=3, **keys,
    )  # fmt: skip
    sketch.weights = [each for each in sketch.weights if each.name != "output_norm.weight"]
    sketch.add("token_embd_norm.weight", wide)
    for number in range(4):
        norms(sketch, number, "attn_norm ffn_norm")
        if number == 2:
            attention(sketch, number, heads)
            sketch.block(number, attn_q_norm=64, attn_k_norm=64)
        else:
            sketch.block(number, shortconv__conv__weight=(3, wide))
            sketch.block(number, shortconv__in_proj__weight=(wide, 3 * wide))
            sketch.block(number, shortconv__out_proj__weight=(wide, wide))
        feed(sketch, number, 8192)
    return sketch


def qwen3next() -> Sketch:
    wide, heads, sizes = 2048, (16, 2, 256), (4, 4096, 128, 32, 16)
    sketch = headed(
        "qwen3next", 4, wide, heads, feed_forward_length=5120, rope__dimension_count=64,
        **state_keys(sizes), **expert_keys(16, 10, 512, 512),
    )  # fmt: skip
    for number in range(4):
        norms(sketch, number, "attn_norm post_attention_norm ffn_gate_inp_shexp")
        if number == 3:
            attention(sketch, number, heads, query=2)
            sketch.block(number, attn_q_norm=256, attn_k_norm=256)
        else:
            delta_state(sketch, number, sizes, ssm_ba=(wide, 64))
        experts(sketch, number, 16, 512, 512)
    return sketch


def qwen35() -> Sketch:
    wide, heads, sizes = 1024, (8, 2, 256), (4, 2048, 128, 16, 16)
    sketch = headed(
        "qwen35", 4, wide, heads, tied=True, feed_forward_length=3584, rope__dimension_count=64,
        rope__dimension_sections=[11, 11, 10, 0], **state_keys(sizes),
    )  # fmt: skip
    for number in range(4):
        norms(sketch, number, "attn_norm post_attention_norm")
        if number == 3:
            attention(sketch, number, heads, query=2)
            sketch.block(number, attn_q_norm=256, attn_k_norm=256)
        else:
            delta_state(sketch, number, sizes, ssm_beta=(wide, 16), ssm_alpha=(wide, 16))
        feed(sketch, number, 3584)
    return sketch


def rwkv7() -> Sketch:
    wide, width, rank = 768, 3072, 64
    names = ("decay", "iclr", "value_residual_mix", "gate")
    sketch = started("rwkv7", 3, wide, feed_forward_length=width, wkv__head_size=64)
    sketch.set(attention__head_count=0, **{f"attention__{each}_lora_rank": rank for each in names})
    sketch.add("token_embd_norm.weight", wide)
    sketch.add("token_embd_norm.bias", wide)
    sketch.add("output_norm.bias", wide)
    square = ("key", "value", "receptance", "output")
    for number in range(3):
        norms(sketch, number, "attn_norm attn_norm__bias attn_norm_2 attn_norm_2__bias")
        norms(sketch, number, "time_mix_w0 time_mix_a0 time_mix_v0 time_mix_ln time_mix_ln__bias")
        norms(sketch, number, "time_mix_k_k time_mix_k_a time_mix_r_k")
        for each in "wavg":
            sketch.block(number, **{f"time_mix_{each}1": (wide, rank)})
            sketch.block(number, **{f"time_mix_{each}2": (rank, wide)})
        sketch.block(number, **{f"time_mix_{each}": (wide, wide) for each in square})
        sketch.block(number, time_mix_lerp_fused=(wide, 1, 1, 6), channel_mix_lerp_k=(wide, 1, 1))
        sketch.block(number, channel_mix_key=(wide, width), channel_mix_value=(width, wide))
    return sketch


ZOO: dict[str, Callable[[], Sketch]] = {
    "llama 3.2 1b": lambda: plain("llama", 2, 2048, (32, 8, 64), 8192),
    "mistral with a window": lambda: plain(
        "llama", 2, 2048, (16, 4, 128), 7168, attention__sliding_window=4096
    ),
    "qwen2.5 0.5b": lambda: plain("qwen2", 2, 896, (14, 2, 64), 4864, bias=True, tied=True),
    "qwen2.5 1.5b": lambda: plain("qwen2", 2, 1536, (12, 2, 128), 8960, bias=True, tied=True),
    "gemma2": lambda: gemma("gemma2", 4, 1024),
    "gemma3": lambda: gemma("gemma3", 20, 512),
    "gemma3n": gemma3n,
    "gemma4": gemma4,
    "gpt-oss": gpt_oss,
    "cohere2": lambda: plain(
        "cohere2", 9, 1024, (8, 2, 128), 3584, norm="attn_norm", tied=True,
        attention__sliding_window=1024, logit_scale=0.25,
    ),
    "llama4": llama4,
    "olmo2": olmo2,
    "olmo3": lambda: olmo2(attention__sliding_window=1024),
    "phi3": phi3,
    "starcoder2": starcoder2,
    "deepseek2 latent": lambda: deepseek2(latent=True),
    "deepseek2 legacy": lambda: deepseek2(latent=False),
    "qwen3moe": qwen3moe,
    "mamba": lambda: mamba("mamba", (4, 1536, 16, 48, 0)),
    "mamba2": lambda: mamba("mamba2", (4, 1536, 128, 24, 1)),
    "rwkv7": rwkv7,
    "jamba": jamba,
    "granite hybrid": granite_hybrid,
    "falcon-h1": falcon_h1,
    "nemotron_h": nemotron_h,
    "lfm2": lfm2,
    "lfm2 with a window": lambda: lfm2(attention__sliding_window=512),
    "qwen3next": qwen3next,
    "qwen35": qwen35,
}  # fmt: skip
