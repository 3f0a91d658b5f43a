"""What is known of a model before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Purpose = Literal["chat", "embedding", "rerank"]
"""What a model is for: it answers, it makes vectors of texts, or it says how well texts fit."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A weight: its name, shape (fastest dimension first) and bytes in the file."""

    name: str
    shape: tuple[int, ...]
    type_id: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window as the file declares it; whether it means anything, the architecture says.

    `size` is tokens, None where nothing is declared. `pattern` is the declared period, or one flag
    per layer (True: this layer slides). The lengths are per head, 0 where they are not special.
    """

    size: int | None = None
    pattern: int | tuple[bool, ...] | None = None
    key_length: int = 0
    value_length: int = 0


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Sizes of recurrent layers, 0 where the file names none, and which layers they are.

    `layers` and `interval` (every n-th layer attends) are what the file says, None where it is
    silent.
    """

    conv_kernel: int = 0
    inner: int = 0
    state: int = 0
    groups: int = 0
    wkv_head: int = 0
    token_shifts: int = 2
    shortconv: int = 0
    kda_head: int = 0
    layers: tuple[bool, ...] | None = None
    interval: int | None = None


@dataclass(frozen=True, slots=True)
class Indexer:
    """The key cache of sparse attention; `full` flags the layers that own one, where it is said."""

    key_length: int = 0
    top_k: int = 0
    pooled: bool = False
    full: tuple[bool, ...] | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The header of one model, read but not interpreted beyond its own words.

    `heads_kv`, `heads_by_layer` and `feed_forward` have one entry per layer (the last two are empty
    in facts that come from elsewhere than a header). `key_length` and `value_length` are per head.
    `path` is the file, the first of `parts` where there are several, and `size_bytes` is all of
    them; `tensors` say what the weights take. `experts_used` is how many experts answer for one
    token, 0 for a dense model. The last `nextn_layers` of `layers` only draft, and all are run
    `loops` times. `latent` says that the file has the heads of latent attention apart
    (`key_length_mla`). `longest_token` is the bytes of the vocabulary's longest word as the file
    spells it, so no token stands for more of a text; 0 where the file carries no vocabulary.
    `pooling` is how one vector is made of a text's tokens ("mean", "cls", "last", "rank"), "" where
    the file does not say; not `causal`: tokens see those behind them too.
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
    heads_by_layer: tuple[int, ...] = ()
    feed_forward: tuple[int, ...] = ()
    nextn_layers: int = 0
    loops: int = 1
    lead_dense: int = 0
    shared_kv_layers: int = 0
    latent: bool = False
    window: Window = Window()
    recurrence: Recurrence = Recurrence()
    indexer: Indexer = Indexer()
    parts: tuple[str, ...] = ()
    big_endian: bool = False
    longest_token: int = 0
    purpose: Purpose = "chat"
    pooling: str = ""
    causal: bool = True

    def __hash__(self) -> int:
        """Of a few fields: there may be a thousand tensors, and facts are looked up often."""
        return hash((self.path, self.arch, self.size_bytes, self.layers, len(self.tensors)))
