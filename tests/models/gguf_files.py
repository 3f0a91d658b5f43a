"""Writes small GGUF files for tests: any header, with tensor data of zeros."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field
from typing import Any

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
LAYOUTS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?"}
LAYOUTS |= {U64: "Q", I64: "q", F64: "d"}

F32_TENSOR, F16_TENSOR, Q8_0_TENSOR = 0, 1, 8
TENSOR_BYTES = {F32_TENSOR: (1, 4), F16_TENSOR: (1, 2), Q8_0_TENSOR: (32, 34)}


@dataclass(frozen=True)
class Typed:
    """A value with its GGUF type, where the default one will not do."""

    kind: int
    value: Any
    items: int | None = None  # the type of an array's items


@dataclass(frozen=True)
class TensorSpec:
    name: str
    shape: tuple[int, ...]
    type_id: int = F16_TENSOR

    @property
    def size(self) -> int:
        block, size = TENSOR_BYTES[self.type_id]
        values = 1
        for length in self.shape:
            values *= length
        return values // block * size


@dataclass
class GgufFile:
    """A file to be; `data` is cut or grown by `missing` (negative: surplus) bytes."""

    keys: dict[str, Any] = field(default_factory=dict)
    tensors: list[TensorSpec] = field(default_factory=list)
    version: int = 3
    alignment: int = 32
    missing: int = 0

    def header(self) -> bytes:
        out = b"GGUF" + struct.pack("<IQQ", self.version, len(self.tensors), len(self.keys))
        out += b"".join(string(key) + value(item) for key, item in self.keys.items())
        offset = 0
        for tensor in self.tensors:
            out += string(tensor.name)
            out += struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
            out += struct.pack("<IQ", tensor.type_id, offset)
            offset += padded(tensor.size, self.alignment)
        return out

    def encode(self) -> bytes:
        header = self.header()
        data = sum(padded(t.size, self.alignment) for t in self.tensors[:-1])
        data += self.tensors[-1].size if self.tensors else 0
        lead = padded(len(header), self.alignment) - len(header) if self.tensors else 0
        return header + bytes(max(0, lead + data - self.missing))


def with_noise(file: GgufFile, seed: int = 0) -> bytes:
    """The whole file with weights that are all different, and small: a model that says something,
    and the same in every run."""
    header, dice = file.header(), random.Random(seed)
    body = bytearray(bytes(padded(len(header), file.alignment) - len(header)))
    for tensor in file.tensors:
        letter = {F32_TENSOR: "f", F16_TENSOR: "e"}[tensor.type_id]
        count = tensor.size // struct.calcsize(letter)
        data = struct.pack(f"<{count}{letter}", *(dice.gauss(0, 0.1) for _ in range(count)))
        body += data + bytes(padded(len(data), file.alignment) - len(data))
    return header + bytes(body)


def padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def value(item: Any) -> bytes:
    """A metadata value: its type and its bytes."""
    typed = item if isinstance(item, Typed) else Typed(kind_of(item), item)
    if typed.kind == STRING:
        return struct.pack("<I", STRING) + string(typed.value)
    if typed.kind == ARRAY:
        return array(typed)
    return struct.pack(f"<I{LAYOUTS[typed.kind]}", typed.kind, typed.value)


def array(typed: Typed) -> bytes:
    items = typed.items if typed.items is not None else kind_of(typed.value[0])
    if items == STRING:
        body = b"".join(string(text) for text in typed.value)
    else:
        body = struct.pack(f"<{len(typed.value)}{LAYOUTS[items]}", *typed.value)
    return struct.pack("<IIQ", ARRAY, items, len(typed.value)) + body


def kind_of(item: Any) -> int:
    kinds = {bool: BOOL, int: U32, float: F32, str: STRING, bytes: STRING, list: ARRAY}
    return kinds[type(item)]


def small_llama(**changes: Any) -> GgufFile:
    """A sound two-layer llama; a key given as None is left out. `__` stands for a dot."""
    keys: dict[str, Any] = {
        "general.architecture": "llama",
        "general.name": "Small Llama",
        "llama.block_count": 2,
        "llama.context_length": 8192,
        "llama.embedding_length": 64,
        "llama.feed_forward_length": 128,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 1,
        "tokenizer.ggml.tokens": [f"token{n}" for n in range(40)],
        "tokenizer.ggml.scores": [0.0] * 40,
        "tokenizer.chat_template": "{{ messages }}",
    }
    keys.update({name.replace("__", "."): item for name, item in changes.items()})
    kept = {name: item for name, item in keys.items() if item is not None}
    tensors = [
        TensorSpec("token_embd.weight", (64, 40)),
        TensorSpec("blk.0.ffn_gate.weight", (64, 128), Q8_0_TENSOR),
        TensorSpec("blk.1.ffn_gate.weight", (64, 128), Q8_0_TENSOR),
        TensorSpec("output_norm.weight", (63,), F32_TENSOR),
    ]
    return GgufFile(kept, tensors)
