"""Headers of every family of models, with real dimensions and a few tensors; data is a hole.

`write(path, FAMILIES[name])` gives a file that `read_facts` takes. Dimensions are those of the
models' published configurations, or small ones where a formula is all that is tested.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.models.gguf_files import GgufFile, TensorSpec


def header(arch: str, layers: int, embedding: int, **keys: Any) -> GgufFile:
    """A header with the architecture's own keys; `__` in a name stands for a dot."""
    own = {"block_count": layers, "embedding_length": embedding, "context_length": 32768}
    own |= {"vocab_size": 1000} | {name.replace("__", "."): item for name, item in keys.items()}
    listed = {"general.architecture": arch}
    listed |= {f"{arch}.{name}": item for name, item in own.items()}
    return GgufFile(listed, [TensorSpec("token_embd.weight", (embedding, own["vocab_size"]))])


def attending(
    arch: str, layers: int, embedding: int, heads: Any, heads_kv: Any, length: int = 0, **keys: Any
) -> GgufFile:
    """A header of a model with attention; `length` of a head where it is not embedding / heads."""
    keys["attention__head_count"], keys["attention__head_count_kv"] = heads, heads_kv
    if length:
        keys.setdefault("attention__key_length", length)
        keys.setdefault("attention__value_length", length)
    return header(arch, layers, embedding, **keys)


def state_space(conv: int, inner: int, state: int, groups: int) -> dict[str, int]:
    return {
        "ssm__conv_kernel": conv,
        "ssm__inner_size": inner,
        "ssm__state_size": state,
        "ssm__group_count": groups,
        "ssm__time_step_rank": 16,
    }


def only(layers: int, where: tuple[int, ...], heads: int) -> list[int]:
    """K and V heads in some layers, none in the others."""
    return [heads if number in where else 0 for number in range(layers)]


def period(layers: int, every: int) -> list[bool]:
    return [(number + 1) % every != 0 for number in range(layers)]


LATENT = {"attention__key_length_mla": 192, "attention__value_length_mla": 128}

FAMILIES: dict[str, GgufFile] = {
    "qwen2.5-coder-7b": attending("qwen2", 28, 3584, 28, 4),
    "codellama-7b": attending("llama", 32, 4096, 32, 32),
    "mistral-7b-v0.1": attending("llama", 32, 4096, 32, 8, attention__sliding_window=4096),
    "phi-3.5-mini": attending("phi3", 32, 3072, 32, 32, attention__sliding_window=262144),
    "starcoder2-7b": attending("starcoder2", 32, 4608, 36, 4, attention__sliding_window=4096),
    "gemma-2-9b": attending("gemma2", 42, 3584, 16, 8, 256, attention__sliding_window=4096),
    "gemma-3-4b": attending("gemma3", 34, 2560, 8, 4, 256, attention__sliding_window=1024),
    "gpt-oss-20b": attending("gpt-oss", 24, 2880, 64, 8, 64, attention__sliding_window=128),
    "qwen3-coder-30b-a3b": attending("qwen3moe", 48, 2048, 32, 4, 128),
    "deepseek-coder-v2-lite": attending(
        "deepseek2", 27, 2048, 16, 1, 576, attention__value_length=512, **LATENT
    ),
    "granite-4-h-tiny": attending(
        "granitehybrid", 40, 1536, 12, only(40, (5, 15, 25, 35), 4), **state_space(4, 3072, 128, 1)
    ),
    "qwen3-next-80b-a3b": attending(
        "qwen3next", 48, 2048, 16, 2, 256, **state_space(4, 4096, 128, 16)
    ),
    "old deepseek": attending("deepseek2", 2, 2048, 16, 16, 192, attention__value_length=128),
    "openelm": attending("openelm", 4, 1280, [12, 12, 16, 16], [3, 3, 4, 4], 64),
    "deci": attending("deci", 3, 1024, 8, [2, 0, 4], 128),
    "gemma3n": attending(
        "gemma3n", 30, 2048, 8, 2, 256, attention__sliding_window=512,
        attention__sliding_window_pattern=period(30, 5),
    ),
    "gemma4": attending(
        "gemma4", 12, 1024, 8, 2, 256, attention__sliding_window=512,
        attention__sliding_window_pattern=period(12, 6), attention__shared_kv_layers=4,
        attention__key_length_swa=128, attention__value_length_swa=128,
    ),
    "cohere2": attending("cohere2", 8, 1024, 8, 2, 128, attention__sliding_window=512),
    "cohere2moe": attending("cohere2moe", 8, 1024, 8, 2, 128, attention__sliding_window=512),
    "llama4": attending("llama4", 8, 1024, 8, 2, 128),
    "llama4 without chunks": attending("llama4", 8, 1024, 8, 2, 128, attention__sliding_window=0),
    "exaone4 of 64": attending("exaone4", 64, 1024, 8, 2, 128),
    "exaone4 of 30": attending("exaone4", 30, 1024, 8, 2, 128, attention__sliding_window=4096),
    "olmo2": attending("olmo2", 8, 1024, 8, 8),
    "olmo3": attending("olmo2", 8, 1024, 8, 8, attention__sliding_window=4096),
    "smallthinker": attending("smallthinker", 8, 1024, 8, 2, 128, attention__sliding_window=64),
    "mamba": header("mamba", 4, 768, **state_space(4, 1536, 16, 1)),
    "mamba2": header("mamba2", 4, 768, **state_space(4, 1536, 128, 2)),
    "rwkv6": header("rwkv6", 4, 2048, wkv__head_size=64),
    "arwkv7": header("arwkv7", 4, 2048, wkv__head_size=64, token_shift_count=1),
    "jamba": attending("jamba", 8, 1024, 8, only(8, (4,), 2), **state_space(4, 2048, 16, 1)),
    "lfm2": attending("lfm2", 8, 1024, 16, only(8, (2, 5), 8), shortconv__l_cache=3),
    "lfm2 with a window": attending(
        "lfm2", 8, 1024, 16, only(8, (2, 5), 8), shortconv__l_cache=3, attention__sliding_window=256
    ),
    "falcon-h1": attending("falcon-h1", 4, 1024, 8, 2, 64, **state_space(4, 1536, 128, 1)),
    "qwen35": attending(
        "qwen35", 9, 1024, 8, 2, 256, nextn_predict_layers=1, **state_space(4, 2048, 128, 16)
    ),
    "glm4moe": attending("glm4moe", 5, 1024, 8, 2, 128, nextn_predict_layers=1),
    "nemotron_h": attending(
        "nemotron_h", 4, 1024, 8, [0, 2, 0, 0], 128, feed_forward_length=[0, 0, 4096, 0],
        **state_space(4, 2048, 128, 8),
    ),
    "kimi-linear": attending(
        "kimi-linear", 4, 1024, 8, only(4, (3,), 1), 576, attention__value_length=512,
        ssm__conv_kernel=4, kda__head_dim=128, **LATENT,
    ),
    "minimax-01": attending("minimax-01", 8, 1024, 8, 2, 128),
    "deepseek32": attending(
        "deepseek32", 3, 1024, 8, 1, 576, attention__value_length=512,
        attention__indexer__key_length=128, attention__indexer__top_k=2048, **LATENT,
    ),
    "nanbeige": attending("nanbeige", 4, 1024, 8, 2, num_loops=2),
    "modern-bert": attending("modern-bert", 4, 768, 12, 12, attention__sliding_window=128),
    "unheard-of": attending("unheard-of", 4, 1024, 8, 2, attention__sliding_window=128),
}  # fmt: skip


def write(path: Path, file: GgufFile) -> Path:
    """The header, and a hole where the data would be."""
    content = file.header()
    path.write_bytes(content)
    os.truncate(path, len(content) + 64 + sum(tensor.size + 32 for tensor in file.tensors))
    return path
