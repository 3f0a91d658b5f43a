"""The compute buffers of a worker that runs on devices: one on each, and a pinned one on the host.

Always upper bounds. They were measured on fake devices that support every operation and pad as CUDA
does (tests/fakes/fakegpu); how a real backend differs depends on the backend: an operation it lacks
is left to the host, and it may want scratch that only it knows.

What a device computes takes what the CPU would for the same graph (`compute_size`), and comes with
copies: of what crosses from one device to the next, fourfold where devices work as a pipeline; of
weights and caches of host layers, since a prompt's large products are computed on the first device
whatever lies on the host; and of a quantised cache, as halves.

Source: llama.cpp src/llama-context.cpp (pipeline, `sched_reserve`, `resolve_fused_ops`),
ggml/src/ggml-backend.cpp `ggml_backend_sched_split_graph` (what is copied) and
ggml/src/ggml-cuda/fattn.cu `ggml_cuda_flash_attn_ext_get_alloc_size` (halves), as of the version in
llama-cpp-python 0.3.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from local_swarm.budget.architectures import architecture
from local_swarm.budget.compute import FLOAT, Compute, compute_size, input_bytes, output_logits
from local_swarm.budget.context import Setting, kv_bytes, rows, swa_cells
from local_swarm.budget.kv import pad
from local_swarm.budget.layers import Layer, keeps_values, layers_of
from local_swarm.budget.placement import Target
from local_swarm.budget.weights import HOST, is_expert_of, layer_of, loaded
from local_swarm.budget.widths import Widths, widths_of
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE

PIPELINE_COPIES = 4  # GGML_SCHED_MAX_COPIES
LEAST_OFFLOADED = 32  # rows from which a product of host weights is computed on a device
HALF = 2
ALIGNMENT = 128
_FLASH_STAYS = frozenset({"mamba2", "delta"})
_HOLED = frozenset({"gated", "fused", "experts"})


def placed_compute(
    model: ModelFacts,
    setting: Setting,
    devices: Sequence[Target],
    homes: Sequence[int],
    *,
    cpu_moe_layers: int = 0,
    build: str | None = None,
) -> Mapping[str, Compute]:
    """The compute buffer of the host (`CPU_DEVICE`) and of every device, by its id, in bytes.

    `homes` is what `placement.assign` says: the home of every layer and, last, of the output.
    `build` names the engine as for `compute_size`, which is the answer where there is no device.
    A device that holds nothing and is not the first has a buffer of 0.
    """
    if not devices:
        return {CPU_DEVICE: compute_size(model, setting, build=build)}
    worker = _Worker(model, setting, tuple(homes), len(devices), cpu_moe_layers)
    if setting.flash_attention == "auto" and worker.may_lose_flash:
        worker = replace(worker, setting=replace(setting, flash_attention="off"))
    sizes = {CPU_DEVICE: _host(worker)}
    for home, device in enumerate(devices, start=1):
        sizes[device.id] = _device(worker, home)
    if setting.vectors:
        logits = output_logits(model, setting)
        sizes = {name: size and size + logits for name, size in sizes.items()}
    return {name: Compute(size, "bound") for name, size in sizes.items()}


@dataclass(frozen=True, slots=True)
class _Worker:
    """A model spread over devices, and what follows for its graph; sizes are bytes."""

    model: ModelFacts
    setting: Setting
    homes: tuple[int, ...]
    devices: int
    cpu_moe_layers: int

    @property
    def tokens(self) -> int:
        return pad(self.setting.tokens, self.setting.slots)

    @property
    def wide(self) -> Widths:
        return widths_of(self.model)

    @property
    def copies(self) -> int:
        """Several devices work as a pipeline when they hold everything."""
        pipelined = self.devices > 1 and all(self.homes) and not self.cpu_moe_layers
        return PIPELINE_COPIES if pipelined else 1

    @property
    def offloads(self) -> bool:
        """Whether the first device computes what lies on the host, and copies it for that."""
        return not all(self.homes) or self.cpu_moe_layers > 0

    @property
    def recurs(self) -> bool:
        return any(_recurs(layer) for layer in layers_of(self.model))

    @property
    def may_lose_flash(self) -> bool:
        """Whether "auto" may end as "off": an attention layer's home and its computer differ.

        Seen where host layers without a cache of their own lie between those that have one.
        """
        if all(self.homes):
            return False
        layers, recurrent = layers_of(self.model), architecture(self.model.arch).recurrent
        mixed = any(layer.key_values for layer in layers) and any(
            _recurs(layer) and not layer.key_values for layer in layers
        )
        shared = any(self.borrows(layer) for layer in layers)
        return shared or (mixed and recurrent.state not in _FLASH_STAYS)

    @property
    def inputs(self) -> int:
        """What the graph is given, with room for several positions and for per-layer numbers."""
        return input_bytes(self.model, self.setting, self.tokens) + 16 * self.tokens + 4096

    @property
    def graph(self) -> int:
        """The results that live at one time, on a CPU, and some of one token per slot."""
        one = FLOAT * self.setting.slots * self.wide.embedding
        return _graph(self.model, self.setting, self.tokens) + 4 * one

    @property
    def graph_without_experts(self) -> int:
        kept = tuple(t for t in self.model.tensors if not is_expert_of(t, self.model.layers))
        model = replace(self.model, tensors=kept, experts_used=0)
        return _graph(model, self.setting, self.tokens)

    @property
    def attention(self) -> int:
        """The results of an attention layer alone."""
        if self.setting.transposed:
            return self.graph
        wide = self.wide
        return self.bytes(3 * wide.embedding + 2 * wide.heads + max(wide.query, wide.heads))

    @property
    def embedding_bytes(self) -> int:
        """What passes from layer to layer."""
        return self.bytes(self.wide.embedding)

    @property
    def halves(self) -> int:
        """Scratch of flash attention for a quantised cache: one layer of it in half precision."""
        if self.setting.transposed:
            return 0
        return max(self._half(layer) for layer in layers_of(self.model))

    @property
    def strays(self) -> int:
        """A cache that is copied since its layer is computed elsewhere, without flash attention."""
        if not self.setting.transposed or all(self.homes):
            return 0
        return max(self.cache_bytes(layer) for layer in layers_of(self.model))

    def bytes(self, values: int) -> int:
        """`values` per token."""
        return FLOAT * self.tokens * values

    def cache_bytes(self, layer: Layer) -> int:
        return kv_bytes(self.model, layer, self.setting)

    @property
    def placed(self) -> list[tuple[int, Layer]]:
        """Every layer with its home."""
        return list(zip(self.homes, layers_of(self.model), strict=False))

    def cached(self, home: int) -> list[Layer]:
        """The layers of a home that have a cache."""
        return [layer for at, layer in self.placed if at == home and layer.key_values]

    def borrows(self, layer: Layer) -> bool:
        """Whether a layer attends to another's cache."""
        rules = architecture(self.model.arch)
        shares = rules.shares_declared or rules.shared_from is not None
        return shares and not (layer.key_values or _recurs(layer))

    def lacks_experts(self, home: int) -> bool:
        """Whether the experts of all its layers lie on the host, and another device helps."""
        numbers = [number for number, at in enumerate(self.homes[:-1]) if at == home]
        return home > 1 and self.offloads and max(numbers, default=0) < self.cpu_moe_layers

    def _half(self, layer: Layer) -> int:
        held = swa_cells(self.model, self.setting) if layer.slides else self.setting.cells
        wanted = (count for kind, count in rows(layer, self.setting) if kind != "f16")
        return sum(pad(HALF * count * held.total, ALIGNMENT) + ALIGNMENT for count in wanted)


def _recurs(layer: Layer) -> bool:
    return bool(layer.state_values or layer.conv_values)


def _graph(model: ModelFacts, setting: Setting, tokens: int) -> int:
    return compute_size(model, setting).bytes - input_bytes(model, setting, tokens)


def _device(worker: _Worker, home: int) -> int:
    """What a device needs: inputs and results as on a CPU, and the copies."""
    helps = home == 1 and worker.offloads
    if not helps and home not in worker.homes:
        return 0
    if not helps and home not in worker.homes[:-1]:
        return _output(worker)
    first = home == min(at for at in (*worker.homes, 1 if helps else home) if at)
    copied = worker.copies * (_crossing(worker, first=first) + _shared(worker, home))
    if helps and worker.tokens >= LEAST_OFFLOADED:
        return worker.copies * worker.inputs + copied + _helping(worker)
    graph = worker.graph_without_experts if worker.lacks_experts(home) else worker.graph
    if architecture(worker.model.arch).compute:  # attention and feed-forward follow each other
        graph = max(graph, worker.attention + worker.halves)
    else:
        graph += worker.halves
    inputs = worker.inputs - (0 if helps else _absent(worker, home))
    return worker.copies * inputs + copied + graph + worker.strays


def _helping(worker: _Worker) -> int:
    """Results, and copies of what lies on the host: one or two weights, a layer's cache and more.

    How many lie there at one time depends on the holes that the allocator finds. Where the graph is
    known, most is needed in the feed-forward part or in attention, and the results leave a hole for
    the second weight; elsewhere everything is charged.
    """
    weight = max(_host_weights(worker), default=0)
    cache = max((worker.cache_bytes(layer) for layer in worker.cached(0)), default=0)
    views = 1 if keeps_values(worker.model) else 2  # a V that is part of K is copied for itself
    turned = views * (3 * cache // 2 + worker.halves)
    if architecture(worker.model.arch).compute not in _HOLED:
        return worker.graph + 2 * weight + turned + worker.strays
    feed = max(worker.graph + weight, 2 * weight + 4 * worker.embedding_bytes)
    feed += cache + worker.halves // 2 if worker.halves else cache // 2
    return max(feed, worker.attention + weight + turned) + worker.strays


def _output(worker: _Worker) -> int:
    """A device with nothing but the output, and what the last layer's experts gave on the host."""
    wide, slots = worker.wide, worker.setting.slots
    rows = slots if architecture(worker.model.arch).compute else worker.tokens
    crossing = worker.copies * (2 * wide.embedding + wide.beside) * (rows + slots)
    experts = wide.experts_used + 1 if worker.cpu_moe_layers else 0
    kept = wide.vocab + (4 + experts) * wide.embedding
    return FLOAT * (crossing + slots * kept) + 4096


def _host(worker: _Worker) -> int:
    """The inputs, the embeddings, and what the host computes itself."""
    size = worker.copies * worker.inputs + (worker.copies + 1) * worker.embedding_bytes
    size += worker.bytes(_per_layer(worker.model))
    alone = worker.tokens < LEAST_OFFLOADED
    if all(worker.homes) and not (alone and worker.cpu_moe_layers):
        return size
    if alone or worker.recurs or worker.setting.transposed:
        return size + worker.graph + worker.strays
    wide = worker.wide
    return size + worker.bytes(max(wide.embedding + wide.heads, wide.query) + wide.beside)


def _crossing(worker: _Worker, *, first: bool) -> int:
    """One copy of what comes from before: the embeddings, or two results of the layer before.

    Into a recurrent layer come its own first results too, where a device begins in its middle.
    """
    embedding = worker.wide.embedding
    values = (1 if first else 2) * embedding + worker.wide.beside
    recurrence = worker.model.recurrence
    if worker.recurs:
        own = 0 if recurrence.shortconv else max(recurrence.inner, embedding)
        values += embedding + (min(own, embedding) if first else 2 * own)
    return worker.bytes(values)


def _absent(worker: _Worker, home: int) -> int:
    """Masks that a device is not given, having no attention that slides, or none that does not."""
    model, setting = worker.model, worker.setting
    all_kinds = {layer.slides for layer in layers_of(model) if layer.key_values}
    attending = [x for at, x in worker.placed if at == home and (x.key_values or worker.borrows(x))]
    here = {layer.slides for layer in attending}
    each = (4 if setting.transposed else 2) * worker.tokens
    held = [swa_cells(model, setting) if slides else setting.cells for slides in all_kinds - here]
    return sum(each * cells.per_stream for cells in held)


def _shared(worker: _Worker, home: int) -> int:
    """Caches of other homes that layers here read: each copies the last one of its kind."""
    last = {layer.slides: layer for layer in layers_of(worker.model) if layer.key_values}
    read = [
        last.get(layer.slides)
        for at, layer in worker.placed
        if at == home and worker.borrows(layer)
    ]
    return sum(worker.cache_bytes(one) for one in read if one and worker.homes[one.number] != home)


def _host_weights(worker: _Worker) -> Iterable[int]:
    """Bytes of the weights of host layers, and of experts left there."""
    for tensor in loaded(worker.model):
        layer = layer_of(worker.model, tensor)
        if layer == HOST:
            continue
        home = worker.homes[-1 if layer == worker.model.layers else layer]
        if not home or is_expert_of(tensor, worker.cpu_moe_layers):
            yield tensor.size_bytes


def _per_layer(model: ModelFacts) -> int:
    """Values per token of embeddings that every layer has for itself."""
    found = (t.shape[0] for t in model.tensors if t.name == "per_layer_token_embd.weight")
    return next(found, 0)
