"""What a context takes besides its compute buffer: attention cache, window cache and state.

Source: llama.cpp src/llama-context.cpp (rounding), src/llama-kv-cache.cpp and
src/llama-kv-cache-iswa.cpp (cache), src/llama-memory-recurrent.cpp (state), as of the version in
llama-cpp-python 0.3.36. Met to the byte on every measured cell (docs/budget.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from local_swarm.budget.architectures import architecture
from local_swarm.budget.kv import CTX_STEP, Cells, cells, pad, row_bytes
from local_swarm.budget.layers import Layer, layers_of, window_size
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import FlashAttention

DEFAULT_BATCH = 2048


@dataclass(frozen=True, slots=True)
class Setting:
    """How the engine is started: `-c ctx -np slots [-kvu] [--swa-full] -ctk -ctv -b -ub -fa`.

    `ctx` is the total of all slots. "auto" for flash attention means on, as the engine decides on
    every device that has it. With `vectors` (`--embeddings`, `--reranking`) every token of a batch
    is an output, else one of each slot.
    """

    ctx: int
    slots: int = 1
    kv_unified: bool = False
    swa_full: bool = False
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    batch: int = DEFAULT_BATCH
    ubatch: int = 512
    flash_attention: FlashAttention = "auto"
    vectors: bool = False

    @property
    def tokens(self) -> int:
        """Tokens the engine computes at once (its n_ubatch), at most what was asked to hold."""
        return min(self.ctx, self.batch, self.ubatch)

    @property
    def outputs(self) -> int:
        """Tokens of one graph of which results are kept."""
        return self.tokens if self.vectors else self.slots

    @property
    def cells(self) -> Cells:
        return cells(self.ctx, self.slots, unified=self.kv_unified)

    @property
    def transposed(self) -> bool:
        """Without flash attention V lies transposed."""
        return self.flash_attention == "off"


@dataclass(frozen=True, slots=True)
class ContextSize:
    """`cells` and `cells_swa` are per stream; `cells_swa` is 0 where no layer slides."""

    cells: int
    cells_swa: int
    kv_full_bytes: int
    kv_swa_bytes: int
    recurrent_bytes: int

    @property
    def bytes(self) -> int:
        return self.kv_full_bytes + self.kv_swa_bytes + self.recurrent_bytes


def context_size(model: ModelFacts, setting: Setting) -> ContextSize:
    """KV, window and state of all layers, on the CPU."""
    layers = layers_of(model)
    full = sum(kv_bytes(model, one, setting) for one in layers if not one.slides)
    windowed = sum(kv_bytes(model, one, setting) for one in layers if one.slides)
    state = sum(state_bytes(one, setting) for one in layers)
    return ContextSize(
        cells=setting.cells.per_stream,
        cells_swa=swa_cells(model, setting).per_stream if any(x.slides for x in layers) else 0,
        kv_full_bytes=full,
        kv_swa_bytes=windowed,
        recurrent_bytes=state,
    )


def swa_cells(model: ModelFacts, setting: Setting) -> Cells:
    """Cells of a layer that slides: its window and one batch, never more than the context.

    A unified pool holds the windows of all slots; split, each stream pays for its own.
    """
    held = setting.cells
    if setting.swa_full:
        return held
    window = window_size(model, architecture(model.arch))
    needed = window * (setting.slots if setting.kv_unified else 1) + setting.tokens
    return Cells(pad(min(held.per_stream, needed), CTX_STEP), held.streams)


def kv_bytes(model: ModelFacts, layer: Layer, setting: Setting) -> int:
    """One layer's K and V, and its indexer's keys."""
    held = swa_cells(model, setting) if layer.slides else setting.cells
    return sum(row_bytes(kind, values) for kind, values in rows(layer, setting)) * held.total


def rows(layer: Layer, setting: Setting) -> list[tuple[str, int]]:
    """The tensors of one layer's cache, as type and values per cell."""
    wanted = [
        (setting.cache_type_k, layer.key_values),
        (setting.cache_type_v, layer.value_room if setting.transposed else layer.value_values),
        (setting.cache_type_k, layer.index_keys),
        (setting.cache_type_v, layer.index_values),
    ]
    return [(kind, count) for kind, count in wanted if count]


def state_bytes(layer: Layer, setting: Setting) -> int:
    """One layer's state: always F32, one row per slot, whatever the context."""
    return 4 * (layer.conv_values + layer.state_values) * setting.slots
