"""The compute buffer: scratch memory of the largest graph a worker may run, on the CPU.

The engine reserves it at start for `min(ctx, ubatch)` tokens and one output per slot: the inputs
(positions, indices, masks) and the most intermediate results that live at one time. For some
architectures (`[compute]` in architectures.toml) and builds of the engine (`[builds]`) that moment
is known and the size is met to the byte. For the others this is an upper bound, found over measured
models and builds: ask the engine that will run (`dry_run_bytes`) where it can be asked.

Source: llama.cpp src/llama-context.cpp `sched_reserve`, src/llama-graph.cpp (inputs),
src/llama-kv-cache.cpp `build_input_k_rot`, as of the version in llama-cpp-python 0.3.36.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from local_swarm.budget.architectures import FeedForward, Layout, architecture, layouts_of
from local_swarm.budget.context import Setting, swa_cells
from local_swarm.budget.kv import CACHE_TYPES, pad
from local_swarm.budget.layers import Layer, layers_of
from local_swarm.budget.widths import Widths, widths_of
from local_swarm.domain.model import ModelFacts

Method = Literal["formula", "bound", "dry-run"]

FLOAT = 4
LEAST_ROTATION = 64
SCALES = 5  # values per token beside the residuals where they lie "apart"
WKV_RESULTS = 21  # of a time mix, each as wide as the embedding; 20.96 were measured
DELTA_CHUNK = 64  # tokens that a gated delta net computes at once, whatever it is given


@dataclass(frozen=True, slots=True)
class Compute:
    """`bytes` is exact where the method is "formula" or "dry-run", and an upper bound else."""

    bytes: int
    method: Method

    @property
    def exact(self) -> bool:
        return self.method != "bound"


def compute_size(
    model: ModelFacts,
    setting: Setting,
    *,
    build: str | None = None,
    dry_run_bytes: int | None = None,
) -> Compute:
    """What the engine reserves on the CPU.

    `build` names the engine that will run as `[builds]` does, None where it is another or not
    known; `dry_run_bytes` is what it said when asked.
    """
    if dry_run_bytes is not None:
        return Compute(dry_run_bytes, "dry-run")
    wide, kind = widths_of(model), architecture(model.arch).compute
    tokens = pad(setting.tokens, setting.slots)
    inputs = input_bytes(model, setting, tokens)
    logits = output_logits(model, setting)
    if kind and _is_measured(kind, wide, setting):
        peaks = [_known_peak(kind, model, wide, setting, way) for way in layouts_of(build)]
        size = inputs + FLOAT * tokens * max(peak.values for peak in peaks)
        exact = len(peaks) == 1 and peaks[0].exact and size >= logits and not setting.vectors
        return Compute(max(size, logits), "formula" if exact else "bound")
    bound = max(
        tokens * _bound(model, wide, setting), _recurrent_bound(model, wide, setting, tokens)
    )
    return Compute(inputs + max(FLOAT * bound, logits), "bound")


@dataclass(frozen=True, slots=True)
class _Peak:
    """Values per token alive at once when most are; an upper bound where it is not exact."""

    values: int
    exact: bool


def output_logits(model: ModelFacts, setting: Setting) -> int:
    """Bytes of the logits that a graph computes, and of what lives beside them.

    With vectors that is every token's, a bound; encoders have none.
    """
    wide = widths_of(model)
    if not setting.vectors:
        return FLOAT * setting.slots * (wide.vocab + 3 * wide.embedding + 1)
    if not architecture(model.arch).caches:
        return 0
    inputs = input_bytes(model, setting, pad(setting.tokens, setting.slots))
    each = wide.vocab + 5 * wide.embedding + wide.heads + SCALES
    return inputs + FLOAT * setting.outputs * each


def input_bytes(model: ModelFacts, setting: Setting, tokens: int) -> int:
    """Bytes of what the graph is given: ids, positions, and for each cache indices and masks."""
    size = 2 * pad(4 * tokens, 32) + pad(4 * setting.outputs, 32)
    if setting.vectors:
        size += _pooling_inputs(model, setting, tokens)
    layers = [layer for layer in layers_of(model) if layer.key_values]
    for slides in (False, True):
        cached = [layer for layer in layers if layer.slides is slides]
        if cached:
            held = swa_cells(model, setting) if slides else setting.cells
            size += _cache_inputs(cached, setting, tokens, held.per_stream)
            size += _rotation(model, setting)
    return size


def _pooling_inputs(model: ModelFacts, setting: Setting, tokens: int) -> int:
    """The shares of tokens in a mean, or which tokens count; and an encoder's masks, which has one
    for windows too where it has some."""
    shares = FLOAT * tokens * (setting.slots + 1)
    if architecture(model.arch).caches:
        return shares
    masks = 1 if model.window.size is None else 2
    return shares + masks * (4 if setting.transposed else 2) * tokens * tokens


def _cache_inputs(layers: list[Layer], setting: Setting, tokens: int, cells: int) -> int:
    """Indices of new cells (8 bytes each), the mask, and the rotations of a quantised cache."""
    mask = (4 if setting.transposed else 2) * tokens * cells
    keys, values = pad(8 * tokens, 32), 0
    if any(layer.value_values for layer in layers):
        room = max(layer.value_room for layer in layers) if setting.transposed else 1
        values = pad(8 * tokens * room, 32)
    return mask + keys + values


def _rotation(model: ModelFacts, setting: Setting) -> int:
    """Bytes of the Hadamard matrices that turn a quantised cache's K and V, for one cache."""
    size = 0
    if _rotates(model.key_length, setting.cache_type_k):
        side = model.key_length & -model.key_length  # the largest power of two in it
        size += FLOAT * side * side
    if _rotates(model.value_length, setting.cache_type_v):
        size += FLOAT * LEAST_ROTATION * LEAST_ROTATION
    return size


def _rotates(length: int, cache_type: str) -> bool:
    """Whether heads of this length are turned on their way into a cache of this type."""
    return CACHE_TYPES[cache_type][0] > 1 and length % LEAST_ROTATION == 0


def _known_peak(
    kind: FeedForward, model: ModelFacts, wide: Widths, setting: Setting, layout: Layout
) -> _Peak:
    """The peak of a model whose feed-forward part is of `kind`.

    Without flash attention it is where the scores are, unless the context is short.
    """
    key = _rotates(model.key_length, setting.cache_type_k)
    value = _rotates(model.value_length, setting.cache_type_v)
    exact = kind != "experts" or wide.embedding < 2 * wide.experts
    feed = _feed_forward(kind, wide)
    if not setting.transposed:
        if layout == "fitted":
            exact = exact and key == value
        return _Peak(feed + _kept(kind, wide, layout, turned=key, sure=key == value), exact)
    feed += max(_kept(kind, wide, layout, turned=turned, sure=False) for turned in (False, True))
    scores = model.heads * setting.cells.per_stream + _beside_scores(kind, wide, layout)
    return _Peak(max(feed, scores), exact=scores >= feed)


def _kept(kind: FeedForward, wide: Widths, layout: Layout, *, turned: bool, sure: bool) -> int:
    """What lives beside the feed-forward part: residuals, and what is left of the query.

    Queries are `turned` for a quantised cache, which makes a copy; whether it and the original find
    a hole to lie in depends on how their width compares with the embedding's. Where that is not
    `sure`, they do not.
    """
    if layout == "apart":
        return 5 * wide.embedding + SCALES
    if kind == "fused":
        return 3 * wide.embedding + (0 if sure else 2 * wide.heads)
    if not sure or (turned and wide.heads < wide.embedding):
        return 3 * wide.embedding + 2 * wide.heads
    if turned and wide.heads == wide.embedding:
        return 3 * wide.embedding
    return 3 * wide.embedding + wide.heads


def _beside_scores(kind: FeedForward, wide: Widths, layout: Layout) -> int:
    """What lives beside the scores of attention where they are computed in full."""
    if layout == "apart":
        heads = 2 if wide.heads > wide.embedding else 1
        return 5 * wide.embedding + heads * wide.heads
    return (1 if kind == "fused" else 3) * wide.embedding + 2 * wide.heads


def _is_measured(kind: FeedForward, wide: Widths, setting: Setting) -> bool:
    """Whether a model has the proportions that the rules were measured on."""
    if kind == "experts":
        proper = wide.heads >= wide.embedding or not setting.transposed
        return bool(wide.experts) and not (wide.shared or wide.dense) and proper
    broad = 2 * wide.dense >= 5 * wide.embedding and wide.dense >= 2 * wide.heads
    return broad and not wide.experts and (kind != "fused" or wide.heads == wide.embedding)


def _feed_forward(kind: FeedForward, wide: Widths) -> int:
    """Gate, up and their product; experts' output lies where the first two were, or beside."""
    if kind == "plain":
        return wide.dense
    if kind != "experts":
        return 3 * wide.dense
    beside = wide.embedding if wide.embedding >= 2 * wide.experts else 0
    return wide.experts_used * (3 * wide.experts + beside)


def _bound(model: ModelFacts, wide: Widths, setting: Setting) -> int:
    """No architecture measured keeps more values per token alive outside recurrent layers."""
    embedding = wide.embedding
    experts = _feed_forward("experts", wide) if wide.experts else 0
    query = max(wide.heads, wide.query)
    attention = 4 * embedding + 2 * query + 2 * wide.heads
    dense = (1 if _is_plain_encoder(model, wide) else 3) * wide.dense
    feed = 4 * embedding + 2 * wide.heads + max(dense, experts, 3 * wide.shared)
    if not setting.transposed:
        return wide.beside + SCALES + max(feed, attention)
    scores = model.heads * setting.cells.per_stream
    return wide.beside + SCALES + max(feed, scores + 4 * embedding + 3 * query)


def _is_plain_encoder(model: ModelFacts, wide: Widths) -> bool:
    """Whether it keeps no cache, and its feed-forward part has one projection and no gate."""
    if architecture(model.arch).caches or wide.fused:
        return False
    return not any(".ffn_gate." in tensor.name for tensor in model.tensors)


def _recurrent_bound(model: ModelFacts, wide: Widths, setting: Setting, tokens: int) -> int:
    """Values that live at once in a recurrent layer: some per token, some per slot."""
    kept = [layer for layer in layers_of(model) if layer.state_values or layer.conv_values]
    if not kept:
        return 0
    state = max(layer.state_values for layer in kept)
    conv = max(layer.conv_values for layer in kept)
    inner = model.recurrence.inner
    chunked = architecture(model.arch).recurrent.state in ("delta", "kda")
    each = state + 2 * conv + (2 * DELTA_CHUNK * inner if chunked else 0)
    mixed = WKV_RESULTS if architecture(model.arch).recurrent.state == "wkv" else 4
    token = wide.state_in + 2 * wide.state_conv + 2 * inner + mixed * wide.embedding
    return tokens * token + setting.slots * each
