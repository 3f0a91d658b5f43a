"""Which device holds what: weights, cache and state of one worker over a host and its devices.

Source: llama.cpp src/llama-model.cpp `load_tensors` (layers to devices, `-ngl`, `-ts`) and
ggml/src/ggml-cuda `get_alloc_size` (row padding), as of the version in llama-cpp-python 0.3.36.
`-sm row` and `-sm tensor` are not covered.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from local_swarm.budget.architectures import architecture
from local_swarm.budget.context import Setting, rows, state_bytes, swa_cells
from local_swarm.budget.kv import CACHE_TYPES, pad, row_bytes
from local_swarm.budget.layers import Layer, layers_of
from local_swarm.budget.weights import (
    HOST,
    host_size,
    is_expert_of,
    is_rope_factor,
    layer_of,
    loaded,
    tied_embedding,
)
from local_swarm.domain.model import ModelFacts, Tensor
from local_swarm.domain.plan import CPU_DEVICE
from local_swarm.errors import UsageError

ROW_PADDING = 512  # MATRIX_ROW_PADDING of CUDA, HIP, MUSA and SYCL
DEVICE_ALIGNMENT = 128
MOST_SPLIT = 1e15
_TIGHT = frozenset({"metal", "blas", "cpu"})  # backends that pad no rows


@dataclass(frozen=True, slots=True)
class Target:
    """A device that may hold layers. `free_bytes` decides the split where none is given."""

    id: str
    backend: str | None = None
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What one device holds. `layers` are the numbers of its layers, the output's being the last
    of all."""

    device: str
    layers: tuple[int, ...]
    weights_bytes: int
    kv_bytes: int
    recurrent_bytes: int

    @property
    def bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.recurrent_bytes


def place(
    model: ModelFacts,
    setting: Setting,
    *,
    gpu_layers: int,
    devices: Sequence[Target],
    tensor_split: Sequence[float] = (),
    cpu_moe_layers: int = 0,
    kv_offload: bool = True,
    mapped: bool = True,
) -> tuple[Share, ...]:
    """One share per device, the host first, for `-ngl gpu_layers -ts tensor_split`.

    `gpu_layers` below 0 means all and the output. Without a split (or with zeros) layers follow the
    devices' free memory, as the engine does; pass one to be sure. `mapped`: the file is mapped, as
    by default. `UsageError` when the split does not match the devices.
    """
    homes = assign(model, gpu_layers, devices, tensor_split)
    weights = [0] * (len(devices) + 1)
    for tensor, home in _stored(model, homes, cpu_moe_layers, mapped=mapped):
        weights[home] += stored_size(tensor, devices[home - 1]) if home else host_size(tensor)
    kv, state = [0] * len(weights), [0] * len(weights)
    for layer in layers_of(model):
        home = homes[layer.number] if kv_offload else 0
        kv[home] += _kv_size(model, layer, setting, devices[home - 1] if home else None)
        state[home] += state_bytes(layer, setting)
    names = (CPU_DEVICE, *(device.id for device in devices))
    return tuple(
        Share(
            name, tuple(n for n, h in enumerate(homes) if h == at), weights[at], kv[at], state[at]
        )
        for at, name in enumerate(names)
    )


def assign(
    model: ModelFacts, gpu_layers: int, devices: Sequence[Target], tensor_split: Sequence[float]
) -> tuple[int, ...]:
    """The home of every layer and, last, of the output: 0 is the host, n the n-th device."""
    total = model.layers * model.loops
    wanted = total + 1 if gpu_layers < 0 else gpu_layers
    if not devices:
        return (0,) * (total + 1)
    start = max(total + 1 - wanted, 0)
    active = min(wanted, total + 1)
    points = _split_points(devices, tensor_split)
    return tuple(
        1 + bisect_right(points, _f32((number - start) / active)) if number >= start else 0
        for number in range(total + 1)
    )


def _split_points(devices: Sequence[Target], tensor_split: Sequence[float]) -> list[float]:
    """Where each device's layers end, as shares of all; single precision, as in the engine."""
    if tensor_split and len(tensor_split) != len(devices):
        raise UsageError(
            f"There are {len(tensor_split)} parts of a tensor split for {len(devices)} devices.",
            hint="Give one number for each device.",
        )
    if not all(0 <= part <= MOST_SPLIT for part in tensor_split):
        raise UsageError(
            f"The tensor split {list(tensor_split)} makes no sense.",
            hint=f"Give numbers from 0 to {MOST_SPLIT:.0f}.",
        )
    weights = [_f32(part) for part in tensor_split]
    if not any(weights):
        weights = [_f32(device.free_bytes or 0) for device in devices]
    if not any(weights):
        weights = [1.0] * len(devices)
    ends, end = [], 0.0
    for weight in weights:
        end = _f32(end + weight)
        ends.append(end)
    return [_f32(one / end) for one in ends]


def _stored(
    model: ModelFacts, homes: tuple[int, ...], cpu_moe_layers: int, *, mapped: bool
) -> list[tuple[Tensor, int]]:
    """Every copy of every tensor with its home."""
    rules = architecture(model.arch)
    output = homes[-1]
    roped = {
        homes[layer.number]
        for layer in layers_of(model)[: len(homes) - 1 - model.nextn_layers]
        if not (rules.rope_full_only and layer.slides)
    }
    stored = []
    for tensor in loaded(model):
        if is_rope_factor(tensor):
            stored += [(tensor, home) for home in sorted(roped)]
            continue
        layer = layer_of(model, tensor)
        home = 0 if layer == HOST else output if layer == model.layers else homes[layer]
        stored.append((tensor, 0 if is_expert_of(tensor, cpu_moe_layers) else home))
    tied = tied_embedding(model)
    if tied and (output or (rules.output_first and not mapped)):
        stored.append((tied, output))
    return stored


def stored_size(tensor: Tensor, device: Target) -> int:
    """A tensor's bytes on a device; quantised rows are filled up to a multiple of 512 values."""
    rows_of = tensor.shape[0] if tensor.shape else 1
    values = 1
    for length in tensor.shape:
        values *= length
    quantised = tensor.size_bytes < 2 * values
    extra = 0
    if quantised and rows_of % ROW_PADDING and not _is_tight(device):
        extra = tensor.size_bytes * (ROW_PADDING - rows_of % ROW_PADDING) // values
    return pad(tensor.size_bytes + extra, DEVICE_ALIGNMENT)


def _kv_size(model: ModelFacts, layer: Layer, setting: Setting, device: Target | None) -> int:
    held = swa_cells(model, setting) if layer.slides else setting.cells
    total = 0
    for kind, values in rows(layer, setting):
        size = row_bytes(kind, values) * held.total
        if device and not _is_tight(device):
            if CACHE_TYPES[kind][0] > 1 and values % ROW_PADDING:
                size += row_bytes(kind, ROW_PADDING - values % ROW_PADDING)
            size = pad(size, DEVICE_ALIGNMENT)
        total += size
    return total


def _is_tight(device: Target) -> bool:
    return (device.backend or "").lower() in _TIGHT


def _f32(value: float) -> float:
    """Rounded to single precision."""
    return float(struct.unpack("f", struct.pack("f", value))[0])
