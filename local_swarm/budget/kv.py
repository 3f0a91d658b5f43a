"""Cells and rows of the attention cache: how many the engine allocates, and what they take.

Source: llama.cpp src/llama-context.cpp (rounding) and ggml's block sizes, as of the version in
llama-cpp-python 0.3.36. Which layers have which rows is told in `layers`.
"""

from __future__ import annotations

from dataclasses import dataclass

from local_swarm.domain.model import ModelFacts

CTX_STEP = 256

# type -> values per block, bytes per block
CACHE_TYPES: dict[str, tuple[int, int]] = {
    "f32": (1, 4),
    "f16": (1, 2),
    "bf16": (1, 2),
    "q8_0": (32, 34),
    "q5_1": (32, 24),
    "q5_0": (32, 22),
    "q4_1": (32, 20),
    "q4_0": (32, 18),
    "iq4_nl": (32, 18),
}


@dataclass(frozen=True, slots=True)
class Cells:
    """What a context really has: `per_stream` cells in each of `streams` pools."""

    per_stream: int
    streams: int

    @property
    def total(self) -> int:
        return self.per_stream * self.streams


def pad(value: int, multiple: int) -> int:
    """`value` rounded up to a multiple."""
    return -(-value // multiple) * multiple


def cells(ctx_total: int, slots: int, *, unified: bool = False) -> Cells:
    """Cells for `-c ctx_total -np slots`. The engine rounds up, twice when it splits."""
    padded = pad(ctx_total, CTX_STEP)
    if unified:
        return Cells(padded, 1)
    return Cells(pad(padded // slots, CTX_STEP), slots)


def row_bytes(cache_type: str, values: int) -> int:
    """Bytes of `values` values, a multiple of the type's block."""
    block, size = CACHE_TYPES[cache_type]
    return values // block * size


def can_hold(model: ModelFacts, cache_type: str) -> bool:
    """Whether the engine takes this type: it wants each head to be whole blocks."""
    block, _ = CACHE_TYPES[cache_type]
    return model.key_length % block == 0 and model.value_length % block == 0
