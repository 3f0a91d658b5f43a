"""The steps by which a worker is made smaller, in order. Pure.

They come in the order in which they cost the user more: what only saves time, then answers at the
same time, then exact values of the cache, then length of context; on accelerators also what a
worker computes at once, first of all, and at last how much of the model lies there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from local_swarm.budget.case import CACHE_TYPES, Case, least_pool
from local_swarm.budget.groups import Group
from local_swarm.budget.kv import CTX_STEP, can_hold, pad
from local_swarm.budget.offer import LEAST_OFFLOAD, Maker
from local_swarm.budget.pricing import Placement
from local_swarm.budget.prompt_cache import LEAST_MIB
from local_swarm.budget.seating import LEAST_VOTERS
from local_swarm.budget.vectors import vector_batch
from local_swarm.domain.memory import MIB, format_bytes
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import WorkerPlan

Where = Literal["host", "device"]
"""Which memory is short: the host's RAM, or that of the worker's accelerators."""

LEAST_UBATCH = 128
OFFLOAD_STEPS = 8
"""So many steps move all experts, or all layers, to RAM."""


@dataclass(frozen=True, slots=True)
class Smaller:
    """A plan of less memory, and what it does without ("one of 5 slots")."""

    plan: WorkerPlan
    given_up: str


@dataclass(frozen=True, slots=True)
class Ground:
    """What the rungs stand on besides the worker: its plan's maker, its devices, and how many
    workers there are."""

    maker: Maker
    group: Group
    workers: int

    @property
    def model(self) -> ModelFacts:
        return self.maker.model

    @property
    def case(self) -> Case:
        return self.maker.case

    @property
    def can_hold_less(self) -> bool:
        """Whether all models that share the kind of the cache take the smaller one."""
        draft = self.maker.pricer.beside.draft
        models = (self.model, draft) if draft else (self.model,)
        return all(can_hold(model, CACHE_TYPES[-1]) for model in models)

    @property
    def may_move(self) -> bool:
        """Whether layers may go to RAM: not where the user put them, and not where RAM is what the
        device has."""
        wishes = self.case.wishes
        by_hand = wishes.gpu_layers != "auto" or wishes.tensor_split
        return bool(self.group) and not by_hand and not any(pool.integrated for pool in self.group)

    def by_hand(self, *names: str) -> str:
        """To be said of what was set by hand."""
        named = next((n for n in names if getattr(self.case.wishes, n) != "auto"), None)
        return f" (swarm.{named} was set by hand)" if named else ""

    def offloaded(self, worker: WorkerPlan) -> WorkerPlan:
        """As the planner starts a worker of which the CPU computes a part."""
        split, experts = worker.tensor_split, worker.cpu_moe_layers
        placement = Placement(self.group, worker.gpu_layers, split, experts)
        threads = self.maker.threads(placement, self.workers)
        return replace(worker, flash_attention="on", threads=threads)


Rung = Callable[[WorkerPlan, Ground], Iterator[Smaller]]
"""One kind of step: the next of it, and where there are any, longer ones."""


def _prompt_cache(worker: WorkerPlan, _: Ground) -> Iterator[Smaller]:
    """Half of it, and below what every plan starts with all of it."""
    had, half = worker.cache_ram_mib, worker.cache_ram_mib // 2
    if not had:
        return
    left = half if half >= LEAST_MIB else 0
    size = format_bytes((had - left) * MIB)
    given_up = f"half of the prompt cache ({size})" if left else f"the prompt cache ({size})"
    yield Smaller(replace(worker, cache_ram_mib=left), given_up)


def _checkpoints(worker: WorkerPlan, _: Ground) -> Iterator[Smaller]:
    if not worker.ctx_checkpoints:
        return
    yield Smaller(replace(worker, ctx_checkpoints=0), "the context checkpoints")


def _pool(worker: WorkerPlan, _: Ground) -> Iterator[Smaller]:
    """What a pool has beyond the least that is of use."""
    least = least_pool(worker.ctx, worker.slots)
    if worker.pool <= least:
        return
    given_up = f"{worker.pool - least} of {worker.pool} tokens of context that the slots share"
    yield Smaller(replace(worker, kv_cells=least), given_up)


def _slots(worker: WorkerPlan, ground: Ground) -> Iterator[Smaller]:
    """As long as enough are left to vote; several where one is next to nothing."""
    for left in range(worker.slots - 1, LEAST_VOTERS - 1, -1):
        yield _with_slots(left, worker, ground)


def _last_but_one(worker: WorkerPlan, ground: Ground) -> Iterator[Smaller]:
    if worker.slots > 1:
        yield _with_slots(1, worker, ground)


def _with_slots(slots: int, worker: WorkerPlan, ground: Ground) -> Smaller:
    """A lane stays while enough slots beside it can vote."""
    lanes = worker.lanes if slots - worker.lanes >= LEAST_VOTERS else 0
    unified = worker.kv_unified and slots > 1
    cells = min(worker.cells, least_pool(worker.ctx, slots)) if unified else 0
    count = "one" if worker.slots - slots == 1 else worker.slots - slots
    lane = " and the lane for unvoted requests" if lanes < worker.lanes else ""
    given_up = f"{count} of {worker.slots} slots{lane}{ground.by_hand('slots', 'voters')}"
    plan = replace(worker, slots=slots, lanes=lanes, kv_unified=unified, kv_cells=cells)
    return Smaller(plan, given_up)


def _exact_values(worker: WorkerPlan, ground: Ground) -> Iterator[Smaller]:
    """Where the planner would try it too; the engine wants flash attention for it."""
    exact, less = CACHE_TYPES
    if worker.purpose != "chat" or worker.flash_attention == "off":
        return
    if worker.cache_type_k != exact or not ground.can_hold_less:
        return
    plan = replace(worker, cache_type_k=less, cache_type_v=less)
    yield Smaller(plan, f"the exact values of the cache ({less}, not {exact})")


def _context(worker: WorkerPlan, ground: Ground) -> Iterator[Smaller]:
    """Half of it, down to the shortest that is ever planned unasked."""
    ctx = max(pad(worker.ctx // 2, CTX_STEP), ground.case.least_ctx)
    if ctx >= worker.ctx:
        return
    cells = min(worker.cells, least_pool(ctx, worker.slots)) if worker.kv_unified else 0
    plan = replace(worker, ctx=ctx, kv_cells=cells)
    if worker.vectors:
        batch = vector_batch(ground.model, ctx)
        plan = replace(plan, batch=batch, ubatch=batch)
    lost = f"{worker.ctx - ctx} of {worker.ctx} tokens of context per slot"
    yield Smaller(plan, f"{lost}{ground.by_hand('ctx')}")


def _batch(worker: WorkerPlan, _: Ground) -> Iterator[Smaller]:
    """Prompts are read slower. Not where a whole text must fit into it."""
    half = worker.ubatch // 2
    if worker.vectors or half < LEAST_UBATCH:
        return
    given_up = f"{worker.ubatch - half} of {worker.ubatch} tokens that are computed at once"
    yield Smaller(replace(worker, ubatch=half), given_up)


def _experts(worker: WorkerPlan, ground: Ground) -> Iterator[Smaller]:
    """Of more of the first layers to RAM, with all layers on the accelerator."""
    model, can = ground.model, ground.case.wishes.can
    had = worker.cpu_moe_layers
    count = min(model.layers, had + max(1, model.layers // OFFLOAD_STEPS))
    if not (ground.may_move and model.experts_used and can.experts_in_ram) or count == had:
        return
    plan = ground.offloaded(replace(worker, cpu_moe_layers=count))
    yield Smaller(plan, f"the experts of {count - had} layers on the accelerator")


def _layers(worker: WorkerPlan, ground: Ground) -> Iterator[Smaller]:
    """More of the first layers to RAM, while enough stay for the accelerator to be worth it."""
    every = ground.maker.all_layers
    least = max(every // LEAST_OFFLOAD + 1, len(worker.devices))
    left = max(least, worker.gpu_layers - max(1, every // OFFLOAD_STEPS))
    if not ground.may_move or left >= worker.gpu_layers:
        return
    plan = ground.offloaded(replace(worker, gpu_layers=left))
    given_up = f"{worker.gpu_layers - left} of {worker.gpu_layers} layers on the accelerator"
    yield Smaller(plan, given_up)


_SEATS: tuple[Rung, ...] = (_pool, _slots, _exact_values, _last_but_one, _context)
RUNGS: Mapping[Where, tuple[Rung, ...]] = {
    "host": (_prompt_cache, _checkpoints, *_SEATS),
    "device": (_batch, *_SEATS, _experts, _layers),
}
