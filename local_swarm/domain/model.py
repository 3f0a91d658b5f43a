"""What is known of a model before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tensor:
    """A weight: its name, shape (fastest dimension first) and bytes in the file."""

    name: str
    shape: tuple[int, ...]
    type_id: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The header of one GGUF file, read but not interpreted beyond its own words.

    `heads_kv` has one entry per layer. `key_length` and `value_length` are per head.
    `size_bytes` is the file; `tensors` say what the weights take. `experts_used` is how many
    experts answer for one token, 0 for a dense model.
    """

    path: str
    arch: str
    name: str | None
    size_bytes: int
    layers: int
    context_train: int
    embedding_length: int
    vocab_size: int
    heads: int
    heads_kv: tuple[int, ...]
    key_length: int
    value_length: int
    has_chat_template: bool
    tensors: tuple[Tensor, ...]
    experts_used: int = 0
