"""GGUF files that an engine loads, without data: every key and tensor, and a hole for the weights.

A `Sketch` collects keys and tensors; `write` makes the file, which takes some KiB of disk whatever
the model's size. Real dimensions, but a small vocabulary, which nothing but two figures depend on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.models.gguf_files import ARRAY, I32, GgufFile, Typed, padded

VOCAB = 512
F32, Q4_0 = 0, 2
BLOCK, BLOCK_BYTES = 32, 18
# Operations want these in F32, by a part of their name; vectors are F32 anyway.
NARROW = ("conv", "ssm_a", "ssm_d", "ssm_norm", "ffn_gate_inp", "altup", "time_mix_lerp", "_coef",
          "time_mix_first", "channel_mix_lerp", "exps.bias")  # fmt: skip


@dataclass(frozen=True)
class Weight:
    """A tensor of a file to be; as `TensorSpec`, with the types used here."""

    name: str
    shape: tuple[int, ...]

    @property
    def type_id(self) -> int:
        narrow = len(self.shape) == 1 or any(part in self.name for part in NARROW)
        return F32 if narrow or self.shape[0] % BLOCK else Q4_0

    @property
    def size(self) -> int:
        values = 1
        for length in self.shape:
            values *= length
        return 4 * values if self.type_id == F32 else values // BLOCK * BLOCK_BYTES


@dataclass
class Sketch:
    """A model in the making; `keys` are the architecture's own, `__` in a name stands for a dot."""

    arch: str
    layers: int
    embedding: int
    keys: dict[str, Any] = field(default_factory=dict)
    weights: list[Weight] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.set(block_count=self.layers, embedding_length=self.embedding, context_length=131072)
        self.set(attention__layer_norm_rms_epsilon=1e-6, attention__layer_norm_epsilon=1e-5)
        self.add("token_embd.weight", self.embedding, VOCAB)

    def set(self, **keys: Any) -> None:
        named = {f"{self.arch}.{name.replace('__', '.')}": each for name, each in keys.items()}
        self.keys |= named

    def add(self, name: str, *shape: int) -> None:
        self.weights.append(Weight(name, shape))

    def block(self, number: int, **shapes: Any) -> None:
        """Tensors of one layer; a name without a dot (`__`) is a weight, a number is a vector."""
        for name, shape in shapes.items():
            dotted = name.replace("__", ".") if "__" in name else f"{name}.weight"
            self.add(f"blk.{number}.{dotted}", *(shape if isinstance(shape, tuple) else (shape,)))

    def write(self, path: Path) -> Path:
        keys = {"general.architecture": self.arch} | self.keys | _tokenizer()
        typed = {name: _typed(each) for name, each in keys.items()}
        file = GgufFile(typed, self.weights)  # type: ignore[arg-type]
        header = file.header()
        path.write_bytes(header)
        data = sum(padded(weight.size, 32) for weight in self.weights)
        os.truncate(path, padded(len(header), 32) + data)
        return path


def _typed(item: Any) -> Any:
    """Lists of numbers as the engine wants them: signed."""
    signed = isinstance(item, list) and type(item[0]) is int
    return Typed(ARRAY, item, I32) if signed else item


def _tokenizer() -> dict[str, Any]:
    """A byte-level vocabulary that can be loaded and says nothing."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    unprintable = [256 + number for number in range(256 - len(printable))]
    letters = [chr(code) for code in printable + unprintable]
    more = [f"<{number}>" for number in range(VOCAB - len(letters))]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": letters + more,
        "tokenizer.ggml.token_type": [1] * VOCAB,
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.bos_token_id": 256,
        "tokenizer.ggml.eos_token_id": 257,
    }
