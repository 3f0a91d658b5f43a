"""What one worker takes on each of its devices, by kind. Pure.

Sizes are the engine's own where it was asked about a worker of the same shape, ours else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from local_swarm.budget.architectures import architecture
from local_swarm.budget.beside import checkpoint_bytes
from local_swarm.budget.compute import Compute, compute_size
from local_swarm.budget.context import Setting
from local_swarm.budget.drafting import draft_parts, draft_setting, verify_parts
from local_swarm.budget.groups import Group
from local_swarm.budget.placed_compute import placed_compute
from local_swarm.budget.placement import Share, Target, assign, place
from local_swarm.budget.projector import projector_parts
from local_swarm.budget.prompt_cache import saved_bytes
from local_swarm.budget.split import layer_shares
from local_swarm.budget.vectors import vector_parts, vectors_bytes
from local_swarm.budget.weights import output_bytes
from local_swarm.domain.launch import Capabilities
from local_swarm.domain.memory import MIB
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, MemoryPart, WorkerPlan
from local_swarm.domain.projector import ProjectorFacts

LAYERED = frozenset({"weights", "kv", "recurrent"})
"""Kinds that go with layers: what else a device holds, it holds whichever layers it has."""

MAPPED = frozenset({"weights", "draft_weights"})
"""Kinds of which workers of one machine share what lies in RAM."""

RUNTIME_BYTES = {
    "cuda": 400 * MIB,
    "rocm": 400 * MIB,
    "hip": 400 * MIB,
    "sycl": 300 * MIB,
    "vulkan": 128 * MIB,
    "metal": 64 * MIB,
}
"""What a backend takes on a device for each process besides what llama.cpp prints: its context,
kernels, and the workspace of its libraries. Not measured here (no GPU): NVIDIA's own tools show 250
to 500 MiB for an idle CUDA process of this kind. `docs/budget.md` says what has been measured."""

PROCESS_BYTES = Capabilities().process_bytes
TOKEN_BYTES = 420
"""A child's own memory in RAM, besides what it prints: its program, and each word it knows.
Measured
at ready on vocabularies of 1024 and 151936: 19 and 80 MiB in the wheel, less natively."""

Answers = Mapping[WorkerPlan, tuple[MemoryPart, ...]]
"""What the engine said it would reserve for a worker of this `shape`, of the kinds that it told;
devices are named by their place among the worker's ("0", "1", ...), the host "cpu"."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a worker loads besides its model: one that drafts for it, and one that reads images."""

    draft: ModelFacts | None = None
    projector: ProjectorFacts | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one worker runs: `-ngl gpu_layers -ts split --n-cpu-moe cpu_moe_layers`.

    `split` has one weight per device of a group of several, else it is empty.
    """

    group: Group
    gpu_layers: int = 0
    split: tuple[float, ...] = ()
    cpu_moe_layers: int = 0


@dataclass(slots=True)
class Pricer:
    """Prices workers of one model; remembers what it has worked out."""

    model: ModelFacts
    build: str | None = None
    answers: Answers = field(default_factory=dict)
    beside: Beside = Beside()
    process_bytes: int = PROCESS_BYTES
    _known: dict[tuple[object, ...], tuple[MemoryPart, ...]] = field(default_factory=dict)
    _block_bytes: int | None = None
    _layers: dict[tuple[Setting, str | None, int], tuple[int, ...]] = field(default_factory=dict)

    def parts(
        self, worker: WorkerPlan, group: Group, *, with_weights: bool = True
    ) -> tuple[MemoryPart, ...]:
        """By device and kind, on the worker's own devices.

        Workers of one model on one machine map the same file, so what lies in RAM of it exists once
        (442 MB of weights: 461 / 502 / 580 MB for 1 / 2 / 4 children). A plan therefore gives
        `with_weights` to its first worker only: the parts of all workers then add up to what the
        machine really uses. Devices hold a copy for each worker.
        """
        key = _key(worker, group)
        if key not in self._known:
            self._known[key] = tuple(self._price(worker.shape, group))
        names = {str(at): device for at, device in enumerate(worker.devices)}
        cache = MemoryPart(CPU_DEVICE, "prompt_cache", worker.cache_ram_mib * MIB)
        return tuple(
            MemoryPart(names.get(part.device, CPU_DEVICE), part.kind, part.bytes)
            for part in (*self._known[key], *([cache] if cache.bytes else []))
            if with_weights or part.kind not in MAPPED or part.device != CPU_DEVICE
        )

    def saved_bytes(self, worker: WorkerPlan, tokens: int) -> int:
        """The most that one conversation of so many tokens takes in the worker's prompt cache."""
        setting, draft = setting_of(worker), self.beside.draft
        return saved_bytes(
            self.model,
            setting,
            tokens,
            worker.ctx_checkpoints,
            draft=draft,
            draft_setting=draft_setting(setting) if draft else None,
        )

    @property
    def block_bytes(self) -> int:
        """The weights of all layers, without embeddings and output."""
        if self._block_bytes is None:
            blocks = (t.size_bytes for t in self.model.tensors if t.name.startswith("blk."))
            self._block_bytes = sum(blocks)
        return self._block_bytes

    def compute(self, worker: WorkerPlan, group: Group) -> Compute:
        """The largest compute buffer, and how its size is known."""
        told = [p.bytes for p in self.answers.get(worker.shape, ()) if p.kind == "compute"]
        if told:
            return Compute(max(told), "dry-run" if len(group) < 2 else "bound")
        found = self._compute(worker.shape, setting_of(worker), _targets(group))
        return max(found.values(), key=lambda size: (size.method == "bound", size.bytes))

    def layer_bytes(
        self, setting: Setting, backend: str | None, cpu_moe_layers: int
    ) -> tuple[int, ...]:
        """What each layer and, last, the output take on a device of this backend."""
        key = (setting, backend, cpu_moe_layers)
        if key not in self._layers:
            shares = layer_shares(self.model, setting, backend, cpu_moe_layers)
            self._layers[key] = tuple(share.bytes for share in shares)
        return self._layers[key]

    def _price(self, shape: WorkerPlan, group: Group) -> Iterator[MemoryPart]:
        setting = setting_of(shape)
        devices = _targets(group)
        told = self._told(shape, setting, devices)
        kinds = {part.kind for part in told}
        ours = self._printed(shape, setting, devices)
        parts = (
            *(part for part in ours if part.kind not in kinds),
            *told,
            *self._beside(shape, setting, devices),
            *vector_parts(self.model, setting),
            MemoryPart(CPU_DEVICE, "checkpoints", self._checkpoints(shape, setting)),
            MemoryPart(CPU_DEVICE, "process", self._process_bytes),
            *(MemoryPart(t.id, "runtime", runtime_bytes(t.backend)) for t in devices),
        )
        yield from (part for part in parts if part.bytes)

    @property
    def _process_bytes(self) -> int:
        return self.process_bytes + TOKEN_BYTES * self.model.vocab_size

    def _told(
        self, shape: WorkerPlan, setting: Setting, devices: Sequence[Target]
    ) -> tuple[MemoryPart, ...]:
        """What the engine said; of several devices' compute never less than we know.

        Its dry run reserves for them 8% less at times than its start does (seen on simulated
        devices).
        """
        told = self.answers.get(shape, ())
        if not told or len(devices) < 2:
            return told
        ours = self._compute(shape, setting, tuple(devices))
        return tuple(
            MemoryPart(part.device, part.kind, max(part.bytes, ours[part.device].bytes))
            if part.kind == "compute" and part.device in ours
            else part
            for part in told
        )

    def _beside(
        self, shape: WorkerPlan, setting: Setting, devices: Sequence[Target]
    ) -> Iterator[MemoryPart]:
        """On the worker's devices, or on the host where it has none."""
        if projector := self.beside.projector:
            yield from projector_parts(projector, devices[0] if devices else None)
        if draft := self.beside.draft:
            split = shape.tensor_split
            yield from draft_parts(
                draft, setting, build=self.build, devices=devices, tensor_split=split
            )
            last = devices[-1].id if devices else CPU_DEVICE
            yield from verify_parts(self.model, setting, device=last)

    def _checkpoints(self, shape: WorkerPlan, setting: Setting) -> int:
        draft = self.beside.draft
        return checkpoint_bytes(
            self.model,
            setting,
            shape.ctx_checkpoints,
            draft=draft,
            draft_setting=draft_setting(setting) if draft else None,
        )

    def _printed(
        self, shape: WorkerPlan, setting: Setting, devices: tuple[Target, ...]
    ) -> Iterator[MemoryPart]:
        """What the engine would print, as we work it out."""
        compute = self._compute(shape, setting, devices)
        for share in self._shares(shape, setting, devices):
            yield MemoryPart(share.device, "weights", share.weights_bytes)
            yield MemoryPart(share.device, "kv", share.kv_bytes)
            yield MemoryPart(share.device, "recurrent", share.recurrent_bytes)
            if share.device == CPU_DEVICE:
                size = output_bytes(self.model, shape.slots)
                size += vectors_bytes(self.model, shape.slots) if shape.vectors else 0
                yield MemoryPart(CPU_DEVICE, "output", size)
            if share.device in compute:
                yield MemoryPart(share.device, "compute", compute[share.device].bytes)

    def _shares(
        self, shape: WorkerPlan, setting: Setting, devices: tuple[Target, ...]
    ) -> tuple[Share, ...]:
        return place(
            self.model,
            setting,
            gpu_layers=shape.gpu_layers,
            devices=devices,
            tensor_split=shape.tensor_split,
            cpu_moe_layers=shape.cpu_moe_layers,
        )

    def _compute(
        self, shape: WorkerPlan, setting: Setting, devices: tuple[Target, ...]
    ) -> Mapping[str, Compute]:
        if not devices:
            return {CPU_DEVICE: compute_size(self.model, setting, build=self.build)}
        homes = assign(self.model, shape.gpu_layers, devices, shape.tensor_split)
        return placed_compute(
            self.model,
            setting,
            devices,
            homes,
            cpu_moe_layers=shape.cpu_moe_layers,
            build=self.build,
        )


def unsure(
    workers: Sequence[WorkerPlan], model: ModelFacts, build: str | None
) -> tuple[WorkerPlan, ...]:
    """Those, one of each shape, of which only the engine knows exactly what they take."""
    shapes = {worker.shape: worker for worker in workers}
    if architecture(model.arch).known:
        exact = (
            worker.devices == (CPU_DEVICE,)
            and compute_size(model, setting_of(worker), build=build).exact
            for worker in shapes.values()
        )
        return tuple(w for w, sure in zip(shapes.values(), exact, strict=True) if not sure)
    return tuple(shapes.values())


def setting_of(worker: WorkerPlan) -> Setting:
    """How the engine is started for it."""
    return Setting(
        ctx=worker.cells,
        slots=worker.slots,
        kv_unified=worker.kv_unified,
        cache_type_k=worker.cache_type_k,
        cache_type_v=worker.cache_type_v,
        batch=worker.batch,
        ubatch=worker.ubatch,
        flash_attention=worker.flash_attention,
        vectors=worker.vectors,
    )


def _key(worker: WorkerPlan, group: Group) -> tuple[object, ...]:
    """What decides the price of a worker of one model."""
    return (
        worker.slots,
        worker.cells,
        worker.kv_unified,
        worker.cache_type_k,
        worker.flash_attention,
        worker.gpu_layers,
        worker.tensor_split,
        worker.cpu_moe_layers,
        worker.batch,
        worker.ubatch,
        worker.ctx_checkpoints,
        worker.vectors,
        tuple(pool.backend for pool in group),
    )


def _targets(group: Group) -> tuple[Target, ...]:
    """The devices under their places in the group."""
    return tuple(Target(str(at), pool.backend, pool.usable_bytes) for at, pool in enumerate(group))


def runtime_bytes(backend: str | None) -> int:
    return RUNTIME_BYTES.get((backend or "").lower(), max(RUNTIME_BYTES.values()))
