"""What will run where, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from local_swarm.domain.model import Purpose

FlashAttention = Literal["auto", "on", "off"]

CPU_DEVICE = "cpu"
DRAFT_TOKENS = 3
"""Tokens that a draft model proposes at a time."""


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """`bytes` of one kind (weights, kv, output, compute, prompt_cache, ...) on one device."""

    device: str
    kind: str
    bytes: int


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """One child process.

    `ctx` is tokens per slot; the engine is given `cells`. With `kv_unified` all slots share one
    pool of `kv_cells`, at least `ctx`, of which one sequence uses up to `ctx` (0: `ctx * slots`);
    split, each slot has cells of its own. `lanes` of the slots (the last ones) are kept for unvoted
    requests: 1, or 0 where so few slots leave no room for a lane.
    `tensor_split` has the number of layers of each device of `devices`, empty for one device.
    `pins` is what the devices are pinned by where that is not their id as the engine here tells it:
    their UUIDs, or their ids on another machine; the child numbers what it sees from 0, in this
    order. `mmproj` is the path of the projector that reads
    images and sound, `draft` that of a model that drafts; "" for none. `purpose` is the model's;
    with `vectors` the worker makes embeddings or ranks, whatever else it does.
    """

    id: str
    model_path: str
    model_id: str
    devices: tuple[str, ...]
    gpu_layers: int
    tensor_split: tuple[float, ...]
    slots: int
    lanes: int
    ctx: int
    threads: int
    kv_unified: bool = False
    kv_cells: int = 0
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    batch: int = 2048
    ubatch: int = 512
    flash_attention: FlashAttention = "auto"
    cache_ram_mib: int = 256
    ctx_checkpoints: int = 2
    cpu_moe_layers: int = 0
    repack: bool = False
    mmproj: str = ""
    draft: str = ""
    pins: tuple[str, ...] = ()
    purpose: Purpose = "chat"
    vectors: bool = False
    parts: tuple[MemoryPart, ...] = ()

    @property
    def cells(self) -> int:
        """Tokens that all slots hold together: the engine's `-c`."""
        return self.kv_cells or self.ctx * self.slots

    @property
    def pool(self) -> int:
        """Cells that all slots share; 0 where each has its own."""
        return self.cells if self.kv_unified else 0

    @property
    def shape(self) -> WorkerPlan:
        """What decides how much memory the engine reserves: equal for workers that are alike."""
        kinds = tuple(device.rstrip("0123456789") for device in self.devices)
        return replace(
            self, id="", model_id="", devices=kinds, pins=(), threads=0, cache_ram_mib=0, parts=()
        )

    @property
    def planned_bytes(self) -> int:
        return sum(part.bytes for part in self.parts)


@dataclass(frozen=True, slots=True)
class DeviceBudget:
    """What a device has, what of it may be used, and what the plan uses of that.

    `total = others + reserve + usable`: `others` is in use now by what is not ours. What lies on an
    integrated device lies in RAM, and is planned there as well.
    """

    device: str
    total_bytes: int
    usable_bytes: int
    planned_bytes: int
    others_bytes: int = 0
    reserve_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Drift:
    """A kind of memory on a device of which the engine allocated other than what was planned."""

    device: str
    kind: str
    planned_bytes: int
    observed_bytes: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What an engine printed that it allocated, and where that is not what was planned."""

    total_bytes: int
    drift: tuple[Drift, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """A model or layout that was not chosen, and what it lacked."""

    model: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`voters` is how many slots answer one voted request, over all workers."""

    model_id: str
    workers: tuple[WorkerPlan, ...]
    voters: int
    budget: tuple[DeviceBudget, ...]
    reasons: tuple[str, ...] = ()
    rejected: tuple[Rejection, ...] = ()
