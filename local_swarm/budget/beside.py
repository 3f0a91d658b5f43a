"""What context checkpoints take: copies of a slot's state, kept in the host's memory.

A window that has moved on and recurrent state cannot be rolled back, so the engine keeps up to
`--ctx-checkpoints` copies for each slot. A model whose layers all keep the whole context has none.

Source: llama.cpp tools/server/server-context.cpp `create_checkpoint` and common/common.cpp
`common_prompt_checkpoint` (both contexts, LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY),
src/llama-kv-cache.cpp, src/llama-kv-cache-iswa.cpp, src/llama-memory-hybrid.cpp and
src/llama-memory-recurrent.cpp `state_write`, as of the version in llama-cpp-python 0.3.36.
"""

from __future__ import annotations

from collections.abc import Iterable

from local_swarm.budget.architectures import architecture
from local_swarm.budget.context import Setting, rows, swa_cells
from local_swarm.budget.kv import row_bytes
from local_swarm.budget.layers import Layer, layers_of, window_size
from local_swarm.domain.model import ModelFacts

CELL_BYTES = 12  # position, count of sequences, sequence
CELL_EXTENSION_BYTES = 12  # only where positions have more than one dimension
TENSOR_BYTES = 12  # type and row size
HEAD_BYTES = 64  # magic number, sequence, and the counts before each kind of cache


def checkpoint_bytes(
    model: ModelFacts,
    setting: Setting,
    checkpoints: int,
    *,
    draft: ModelFacts | None = None,
    draft_setting: Setting | None = None,
) -> int:
    """Upper bound of what the checkpoints of all slots take together on the host.

    `checkpoints` is per slot; a slot's list never holds more, and a request for several choices
    copies it to other slots within their own limit. With a `draft` model each checkpoint also has
    the draft's state of the slot, which is its whole cache where the draft neither slides nor
    recurs; and where state is recurrent each slot has one more copy, to roll back a wrong draft.
    """
    kept = partial_bytes(model, setting)
    each = checkpoints * kept
    if draft:
        drafted = draft_setting or setting
        each += checkpoints * sequence_bytes(draft, drafted) if kept else 0
        each += kept if _recurs(model) else 0
        each += partial_bytes(draft, drafted) if _recurs(draft) else 0
    return setting.slots * each


def partial_bytes(model: ModelFacts, setting: Setting) -> int:
    """The most that one checkpoint takes: one slot's windows and recurrent state, 0 without any.

    A window is never longer than what the engine masks by; the engine prints the size it had when
    the checkpoint was made ("created context checkpoint").
    """
    layers = layers_of(model)
    slides = [layer for layer in layers if layer.slides and not setting.swa_full]
    window = window_size(model, architecture(model.arch))
    cells = min(window, swa_cells(model, setting).per_stream)
    size = _cells_bytes(slides, setting, cells) + _state_bytes(layers)
    return size + HEAD_BYTES if size else 0


def sequence_bytes(model: ModelFacts, setting: Setting) -> int:
    """The most that the engine copies of one slot of a context.

    Without windows and recurrent state nothing is left out: its share of the cache, or the whole
    pool where slots share one.
    """
    if partial := partial_bytes(model, setting):
        return partial
    return HEAD_BYTES + _cells_bytes(layers_of(model), setting, setting.cells.per_stream)


def state_bytes_of(model: ModelFacts, setting: Setting, tokens: int) -> int:
    """The most that one slot's whole state takes on the host after so many tokens: every layer's
    cells, windows with the batch that they hold besides, and recurrent state. 0 without any."""
    layers = layers_of(model)
    slides = [layer for layer in layers if layer.slides and not setting.swa_full]
    keeps = [layer for layer in layers if not (layer.slides and not setting.swa_full)]
    held = min(tokens, setting.cells.per_stream)
    size = _cells_bytes(keeps, setting, held) + _state_bytes(layers)
    size += _cells_bytes(slides, setting, min(held, swa_cells(model, setting).per_stream))
    return size + HEAD_BYTES if size else 0


def _cells_bytes(layers: Iterable[Layer], setting: Setting, cells: int) -> int:
    """So many cells of these layers, with what is written beside them; 0 without a cached layer."""
    tensors = [row_bytes(kind, values) for one in layers for kind, values in rows(one, setting)]
    if not tensors:
        return 0
    return cells * (sum(tensors) + CELL_BYTES + CELL_EXTENSION_BYTES) + TENSOR_BYTES * len(tensors)


def _state_bytes(layers: Iterable[Layer]) -> int:
    """One slot's recurrent state: always F32."""
    sizes = [4 * size for one in layers for size in (one.conv_values, one.state_values) if size]
    return sum(sizes) + TENSOR_BYTES * len(sizes) + CELL_BYTES if sizes else 0


def _recurs(model: ModelFacts) -> bool:
    return any(layer.conv_values or layer.state_values for layer in layers_of(model))
