"""One way to run one model on a machine, priced: its workers, and whether they fit. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from local_swarm.budget.case import Cache, Case, Layout, least_pool
from local_swarm.budget.groups import Group
from local_swarm.budget.limits import Pool
from local_swarm.budget.pricing import LAYERED, Placement, Pricer, setting_of
from local_swarm.budget.prompt_cache import LEAST_MIB, grown_mib
from local_swarm.budget.split import balanced
from local_swarm.budget.vectors import vector_batch
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, DeviceBudget, WorkerPlan

GPU_THREADS = 4  # a worker whose layers are all on a GPU has little to compute
PHONE_THREADS = 4  # its other cores are slow, and every step waits for the slowest
LEAST_OFFLOAD = 4  # with less than a fourth of the layers on a GPU, the CPU alone is as fast


@dataclass(frozen=True, slots=True)
class Offer:
    """`groups` are the devices that each worker really uses.

    `planned` is bytes by device; what lies on an integrated device is in `cpu` as well.
    """

    layout: Layout
    groups: tuple[Group, ...]
    workers: tuple[WorkerPlan, ...]
    pools: tuple[Pool, ...]
    planned: Mapping[str, int]

    @property
    def ctx(self) -> int:
        return self.workers[0].ctx

    @property
    def cache(self) -> Cache:
        return Cache(self.workers[0].cache_type_k, self.workers[0].kv_unified)

    @property
    def lacks(self) -> tuple[tuple[Pool, int], ...]:
        """Devices that would need more bytes than may be used, and how many."""
        over = ((pool, self.planned[pool.device] - pool.usable_bytes) for pool in self.pools)
        return tuple((pool, lack) for pool, lack in over if lack > 0)

    @property
    def fits(self) -> bool:
        return not self.lacks

    @property
    def lacking_bytes(self) -> int:
        return sum(lack for _, lack in self.lacks)

    @property
    def budget(self) -> tuple[DeviceBudget, ...]:
        return tuple(
            DeviceBudget(
                device=pool.device,
                total_bytes=pool.total_bytes,
                usable_bytes=pool.usable_bytes,
                planned_bytes=self.planned[pool.device],
                others_bytes=pool.others_bytes,
                reserve_bytes=pool.reserve_bytes,
            )
            for pool in self.pools
        )


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the offers of one model on one machine."""

    case: Case
    model: ModelFacts
    model_id: str
    pricer: Pricer

    @property
    def all_layers(self) -> int:
        """Every layer and the output, as `-ngl` counts."""
        return self.model.layers * self.model.loops + 1

    def offer(self, layout: Layout, ctx: int, cache: Cache, pool: int = 0) -> Offer:
        """Each worker with all its layers on its devices, or as many as were asked for.

        A unified cache has `pool` cells, or as few as are of use.
        """
        worker = self._worker(layout, ctx, cache, pool)
        placements = {group: self._whole(worker, group) for group in set(layout.grouping)}
        return self._priced(layout, worker, [placements[group] for group in layout.grouping])

    def is_hopeless(self, layout: Layout) -> bool:
        """Whether the layers alone are more than a worker's devices have."""
        if self.case.wishes.gpu_layers != "auto":
            return False
        return any(
            self.pricer.block_bytes > sum(p.usable_bytes for p in group or (self.case.limits.ram,))
            for group in layout.grouping
        )

    def experts_in_ram(self, layout: Layout, ctx: int, cache: Cache) -> Offer | None:
        """All layers on the devices but the experts of as few first layers as will do.

        None where nothing fits. For layouts of one worker.
        """
        worker, (group,) = self._worker(layout, ctx, cache), layout.grouping

        def at(count: int) -> Placement | None:
            return self._spread(worker, group, self.all_layers, cpu_moe_layers=count)

        return self._offloaded(layout, worker, range(1, self.model.layers + 1), at)

    def layers_in_ram(self, layout: Layout, ctx: int, cache: Cache) -> Offer | None:
        """As many last layers on the devices as will do, as long as that is worth its trades."""
        worker, (group,) = self._worker(layout, ctx, cache), layout.grouping
        counts = range(self.all_layers - 1, self.all_layers // LEAST_OFFLOAD, -1)
        return self._offloaded(
            layout, worker, counts, lambda count: self._spread(worker, group, count)
        )

    def remembering(self, offer: Offer) -> Offer:
        """The same with as large prompt caches as are of use, of RAM that nothing else needs."""
        first, count = offer.workers[0], len(offer.workers)
        if self.case.wishes.cache_ram_mib != "auto" or not (first.cache_ram_mib and offer.fits):
            return offer
        left = self.case.limits.ram.usable_bytes - offer.planned[CPU_DEVICE]
        grown = grown_mib(self.pricer.saved_bytes(first, first.ctx), count, left)
        workers = [
            self._with_parts(replace(worker, cache_ram_mib=grown), group, first=not number)
            for number, (worker, group) in enumerate(zip(offer.workers, offer.groups, strict=True))
        ]
        return self._offer(offer.layout, offer.groups, workers)

    def _offloaded(
        self,
        layout: Layout,
        worker: WorkerPlan,
        counts: range,
        at: Callable[[int], Placement | None],
    ) -> Offer | None:
        """The first of falling use of the devices that fits them; it leaves the least to RAM."""
        if self.case.wishes.gpu_layers != "auto" or self.case.wishes.tensor_split:
            return None
        found = None
        low, high = 0, len(counts)
        while low < high:
            middle = (low + high) // 2
            placement = at(counts[middle])
            offer = self._priced(layout, worker, [placement]) if placement else None
            if offer and {pool.device for pool, _ in offer.lacks} <= {CPU_DEVICE}:
                found, high = offer, middle
            else:
                low = middle + 1
        return found if found and found.fits else None

    def _worker(self, layout: Layout, ctx: int, cache: Cache, pool: int = 0) -> WorkerPlan:
        wishes, seating, beside = self.case.wishes, layout.seating, self.pricer.beside
        unified = cache.unified and seating.slots > 1
        cells = pool or least_pool(ctx, seating.slots)
        worker = WorkerPlan(
            id="w0",
            model_path=self.model.path,
            model_id=self.model_id,
            devices=(CPU_DEVICE,),
            gpu_layers=0,
            tensor_split=(),
            slots=seating.slots,
            lanes=seating.lanes,
            ctx=ctx,
            threads=1,
            kv_unified=unified,
            kv_cells=cells if unified else 0,
            cache_type_k=cache.type,
            cache_type_v=cache.type,
            cache_ram_mib=LEAST_MIB if wishes.cache_ram_mib == "auto" else wishes.cache_ram_mib,
            ctx_checkpoints=wishes.ctx_checkpoints,
            mmproj=beside.projector.path if beside.projector else "",
            draft=beside.draft.path if beside.draft else "",
            purpose=self.model.purpose,
        )
        return self._for_vectors(worker)

    def _for_vectors(self, worker: WorkerPlan) -> WorkerPlan:
        """As it is where the worker only answers. Prompts are saved of answers alone."""
        if worker.purpose != "chat":
            worker = replace(worker, cache_ram_mib=0, ctx_checkpoints=0)
        elif not self.case.wishes.vectors:
            return worker
        batch = vector_batch(self.model, worker.ctx)
        return replace(worker, vectors=True, batch=batch, ubatch=batch)

    def _priced(self, layout: Layout, worker: WorkerPlan, placements: list[Placement]) -> Offer:
        workers = []
        for number, placement in enumerate(placements):
            placed = replace(
                self._at(worker, placement),
                id=f"w{number}",
                threads=self.threads(placement, len(placements)),
            )
            workers.append(self._with_parts(placed, placement.group, first=not number))
        return self._offer(layout, tuple(placement.group for placement in placements), workers)

    def _with_parts(self, worker: WorkerPlan, group: Group, *, first: bool) -> WorkerPlan:
        return replace(worker, parts=self.pricer.parts(worker, group, with_weights=first))

    def _offer(
        self, layout: Layout, groups: tuple[Group, ...], workers: Sequence[WorkerPlan]
    ) -> Offer:
        pools = self.case.limits.pools
        planned = Counter({pool.device: 0 for pool in pools})
        for worker in workers:
            planned.update(_by_device(worker))
        planned[CPU_DEVICE] += sum(planned[pool.device] for pool in pools if pool.integrated)
        return Offer(layout, groups, tuple(workers), pools, planned)

    def _at(self, worker: WorkerPlan, placement: Placement) -> WorkerPlan:
        """The worker on its devices.

        Where the host keeps layers, "auto" may end as no flash attention at all, because attention
        would be computed elsewhere: there it is said.
        """
        if not placement.group:
            return worker
        devices = tuple(pool.device for pool in placement.group)
        pins = tuple(pool.pin or pool.device for pool in placement.group)
        by_number = any(pin == device for pin, device in zip(pins, devices, strict=True))
        return replace(
            worker,
            devices=devices,
            pins=() if by_number else pins,  # a variable takes numbers or UUIDs
            gpu_layers=placement.gpu_layers,
            tensor_split=placement.split,
            cpu_moe_layers=placement.cpu_moe_layers,
            flash_attention="auto" if self._is_whole(placement) else "on",
        )

    def _is_whole(self, placement: Placement) -> bool:
        return placement.gpu_layers >= self.all_layers and not placement.cpu_moe_layers

    def threads(self, placement: Placement, workers: int) -> int:
        """Of each of so many workers that are placed so."""
        wished = self.case.wishes.threads
        if wished != "auto":
            return wished
        each = max(1, self.case.cores // workers)
        if self.case.is_phone:
            each = min(each, PHONE_THREADS)
        idle = placement.group and self._is_whole(placement)
        return min(each, GPU_THREADS) if idle else each

    def _whole(self, worker: WorkerPlan, group: Group) -> Placement:
        wished = self.case.wishes.gpu_layers
        layers = min(self.all_layers if wished == "auto" else wished, self.all_layers)
        if not group:
            return Placement(group)
        if self.case.wishes.tensor_split:
            return Placement(group, layers, self.case.wishes.tensor_split)
        return self._spread(worker, group, layers) or Placement(group, layers, _by_memory(group))

    def _spread(
        self, worker: WorkerPlan, group: Group, layers: int, *, cpu_moe_layers: int = 0
    ) -> Placement | None:
        """So many last layers, each device as full as the others; None where they do not fit."""
        costs = self._costs(worker, group, cpu_moe_layers)[self.all_layers - layers :]
        if sum(costs) > sum(pool.usable_bytes for pool in group):
            return None
        even = Placement(group, layers, (1.0,) * len(group), cpu_moe_layers)
        if len(group) == 1:
            return replace(even, split=())
        counts = balanced(costs, self._rooms(worker, even))
        if counts is None:
            return None
        used = [(pool, float(n)) for pool, n in zip(group, counts, strict=True) if n]
        split = tuple(n for _, n in used) if len(used) > 1 else ()
        return replace(even, group=tuple(pool for pool, _ in used), split=split)

    def _costs(self, worker: WorkerPlan, group: Group, cpu_moe_layers: int) -> tuple[int, ...]:
        """Bytes of each layer and, last, the output, on a device of the group."""
        setting = setting_of(worker)
        return self.pricer.layer_bytes(setting, group[0].backend, cpu_moe_layers)

    def _rooms(self, worker: WorkerPlan, even: Placement) -> list[int]:
        """Bytes that each device has for layers: what may be used, less what comes with any."""
        placed = self._at(worker, even)
        parts = [p for p in self.pricer.parts(placed, even.group) if p.kind not in LAYERED]
        computes = [p.bytes for p in parts if p.kind == "compute" and p.device != CPU_DEVICE]
        rooms = []
        for pool in even.group:
            fixed = (p.bytes for p in parts if p.device == pool.device and p.kind != "compute")
            rooms.append(pool.usable_bytes - max(computes, default=0) - sum(fixed))
        return rooms


def _by_memory(group: Group) -> tuple[float, ...]:
    """Where nothing fits, a split to say by how much."""
    sizes = tuple(float(max(1, pool.usable_bytes >> 20)) for pool in group)
    return sizes if len(group) > 1 else ()


def _by_device(worker: WorkerPlan) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for part in worker.parts:
        sizes[part.device] += part.bytes
    return sizes
