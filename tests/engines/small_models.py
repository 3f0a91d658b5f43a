"""Small files that real engines load, with weights of zeros."""

from __future__ import annotations

from tests.models.gguf_files import ARRAY, F16_TENSOR, F32, F32_TENSOR, GgufFile, TensorSpec, Typed

WIDTH, FEED, VOCAB = 128, 256, 512
HEADS, HEADS_KV, HEAD = 4, 2, 32
LAYERS, WINDOW = 6, 256
ENCODED = 256  # tokens that the encoder was trained on
EYES, PATCH, PIXELS = 64, 14, 112


def windowed_model() -> GgufFile:
    """A gemma3 of six layers, five of which slide over 256 tokens. It takes tokens, not text."""
    letters = [chr(code) for code in range(0x21, 0x7F)]
    tokens = letters + [f"token{n}" for n in range(VOCAB - len(letters))]
    keys = {
        "general.architecture": "gemma3",
        "gemma3.block_count": LAYERS,
        "gemma3.context_length": 8192,
        "gemma3.embedding_length": WIDTH,
        "gemma3.feed_forward_length": FEED,
        "gemma3.attention.head_count": HEADS,
        "gemma3.attention.head_count_kv": HEADS_KV,
        "gemma3.attention.key_length": HEAD,
        "gemma3.attention.value_length": HEAD,
        "gemma3.attention.layer_norm_rms_epsilon": 1e-6,
        "gemma3.attention.sliding_window": WINDOW,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": Typed(ARRAY, [1] * VOCAB, 5),
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.eos_token_id": VOCAB - 1,
        "tokenizer.ggml.bos_token_id": VOCAB - 1,
    }
    tensors = [
        TensorSpec("token_embd.weight", (WIDTH, VOCAB)),
        TensorSpec("output_norm.weight", (WIDTH,), F32_TENSOR),
    ]
    for number in range(LAYERS):
        tensors += _block(f"blk.{number}.")
    return GgufFile(keys=keys, tensors=tensors)


def _block(prefix: str) -> list[TensorSpec]:
    matrices = {
        "attn_q": (WIDTH, HEADS * HEAD),
        "attn_k": (WIDTH, HEADS_KV * HEAD),
        "attn_v": (WIDTH, HEADS_KV * HEAD),
        "attn_output": (HEADS * HEAD, WIDTH),
        "ffn_gate": (WIDTH, FEED),
        "ffn_up": (WIDTH, FEED),
        "ffn_down": (FEED, WIDTH),
    }
    norms = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
    return [
        *(TensorSpec(f"{prefix}{name}.weight", shape) for name, shape in matrices.items()),
        *(TensorSpec(f"{prefix}{name}.weight", (WIDTH,), F32_TENSOR) for name in norms),
        *(
            TensorSpec(f"{prefix}{name}.weight", (HEAD,), F32_TENSOR)
            for name in ("attn_q_norm", "attn_k_norm")
        ),
    ]


def encoder(pooling: int = 1, *, ranks: bool = False) -> GgufFile:
    """A bert of two layers that reads letters: mean pooling (1) or a head that ranks (4)."""
    letters = [f"\u2581{chr(code)}" for code in range(0x61, 0x7B)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters]
    tokens += [chr(code) for code in range(0x61, 0x7B)]
    keys = {
        "general.architecture": "bert",
        "bert.block_count": 2,
        "bert.context_length": ENCODED,
        "bert.embedding_length": WIDTH,
        "bert.feed_forward_length": FEED,
        "bert.attention.head_count": HEADS,
        "bert.attention.layer_norm_epsilon": 1e-12,
        "bert.attention.causal": False,
        "bert.pooling_type": 4 if ranks else pooling,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.token_type": Typed(ARRAY, [3] * 4 + [1] * (len(tokens) - 4), 5),
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.seperator_token_id": 3,
        "tokenizer.ggml.cls_token_id": 2,
    }
    tensors = [
        TensorSpec("token_embd.weight", (WIDTH, len(tokens))),
        TensorSpec("token_types.weight", (WIDTH, 2), F32_TENSOR),
        TensorSpec("position_embd.weight", (WIDTH, ENCODED), F32_TENSOR),
        *_with_bias("", {"token_embd_norm": (WIDTH,)}),
    ]
    matrices = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (WIDTH, WIDTH),
        "attn_v": (WIDTH, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_up": (WIDTH, FEED),
        "ffn_down": (FEED, WIDTH),
    }
    norms = {"attn_output_norm": (WIDTH,), "layer_output_norm": (WIDTH,)}
    for number in range(2):
        tensors += _with_bias(f"blk.{number}.", matrices | norms)
    if ranks:
        tensors += _with_bias("", {"cls": (WIDTH, WIDTH), "cls.output": (WIDTH, 1)})
    return GgufFile(keys=keys, tensors=tensors)


def small_projector() -> GgufFile:
    """Eyes for the builtin model: one layer over 8 x 8 patches."""
    keys = {
        "general.architecture": "clip",
        "clip.has_vision_encoder": True,
        "clip.projector_type": "gemma3",
        "clip.use_gelu": True,
        "clip.vision.image_size": PIXELS,
        "clip.vision.patch_size": PATCH,
        "clip.vision.embedding_length": EYES,
        "clip.vision.feed_forward_length": 2 * EYES,
        "clip.vision.block_count": 1,
        "clip.vision.projection_dim": WIDTH,
        "clip.vision.attention.head_count": 2,
        "clip.vision.attention.layer_norm_epsilon": 1e-6,
        "clip.vision.image_mean": Typed(ARRAY, [0.5] * 3, F32),
        "clip.vision.image_std": Typed(ARRAY, [0.5] * 3, F32),
    }
    matrices = {
        "attn_q": (EYES, EYES),
        "attn_k": (EYES, EYES),
        "attn_v": (EYES, EYES),
        "attn_out": (EYES, EYES),
        "ffn_up": (EYES, 2 * EYES),
        "ffn_down": (2 * EYES, EYES),
    }
    tensors = [
        TensorSpec("v.patch_embd.weight", (PATCH, PATCH, 3, EYES), F32_TENSOR),
        TensorSpec("v.patch_embd.bias", (EYES,), F32_TENSOR),
        TensorSpec("v.position_embd.weight", (EYES, (PIXELS // PATCH) ** 2), F32_TENSOR),
        *_with_bias("v.blk.0.", matrices),
        *_with_bias("v.blk.0.", {"ln1": (EYES,), "ln2": (EYES,)}),
        *_with_bias("v.", {"post_ln": (EYES,)}),
        TensorSpec("mm.input_projection.weight", (WIDTH, EYES)),
        TensorSpec("mm.soft_emb_norm.weight", (EYES,), F32_TENSOR),
    ]
    return GgufFile(keys=keys, tensors=tensors)


def _with_bias(prefix: str, shapes: dict[str, tuple[int, ...]]) -> list[TensorSpec]:
    found = []
    for name, shape in shapes.items():
        kind = F16_TENSOR if len(shape) > 1 else F32_TENSOR
        found.append(TensorSpec(f"{prefix}{name}.weight", shape, kind))
        found.append(TensorSpec(f"{prefix}{name}.bias", (shape[-1],), F32_TENSOR))
    return found
