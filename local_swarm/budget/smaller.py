"""How a worker that memory was too short for is made smaller, one step at a time. Pure.

`rungs` has the steps in their order. Those that would free next to nothing where memory is short
are passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from local_swarm.budget.case import Case, case_of
from local_swarm.budget.groups import CPU_GROUP, Group
from local_swarm.budget.offer import Maker
from local_swarm.budget.pricing import Beside, Pricer
from local_swarm.budget.rungs import RUNGS, Ground, Smaller, Where
from local_swarm.budget.wishes import Wishes
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, MemoryPart, WorkerPlan

LEAST_SHARE = 0.005
"""A step frees at least this share of what the worker holds where memory is short, ..."""
LEAST_AIM = 0.1
"""... and this share of all that it frees: RAM that is short is no reason to give up slots whose
cells lie on an accelerator."""


def smaller(
    worker: WorkerPlan,
    model: ModelFacts,
    *,
    where: Where,
    host: HostSnapshot,
    wishes: Wishes,
    beside: Beside | None = None,
    engine_build: str | None = None,
    workers: int = 1,
    room_bytes: int = 0,
) -> Smaller | None:
    """The next smaller plan; None where nothing is left to give up.

    `host`, `wishes`, `beside` and `engine_build` are those of the plan, which has so many
    `workers`. `where` the bytes planned for it strictly fall; elsewhere they rise by `room_bytes`
    at most, which is RAM that no worker is planned to use. Layers and experts stay where they were
    put by hand; slots, voters and context may be taken all the same, and `given_up` says so.
    """
    case = case_of(host, wishes.of(model))
    own = wishes.can.process_bytes
    pricer = Pricer(model, engine_build, beside=beside or Beside(), process_bytes=own)
    group = _group(worker, case)
    scale = _Scale(pricer, group, where, room_bytes)
    ground = Ground(Maker(case, model, worker.model_id, pricer), group, workers)
    steps = (step for rung in RUNGS[where] for step in rung(worker, ground))
    priced = (scale.priced(worker, step) for step in steps)
    return next((step for step in priced if scale.helps(worker, step.plan)), None)


def _group(worker: WorkerPlan, case: Case) -> Group:
    if worker.devices == (CPU_DEVICE,):
        return CPU_GROUP
    pools = {pool.device: pool for pool in case.limits.pools}
    return tuple(pools[device] for device in worker.devices)


@dataclass(frozen=True, slots=True)
class _Scale:
    """What steps free, and where."""

    pricer: Pricer
    group: Group
    where: Where
    room_bytes: int

    def priced(self, worker: WorkerPlan, step: Smaller) -> Smaller:
        """With its parts: what the worker was planned with, and what the step changes of that.

        So what the engine itself said of the worker stays said, and what workers share stays with
        the worker that has it.
        """
        changed = _sizes(worker.parts)
        changed.update(_sizes(self.pricer.parts(step.plan, self.group)))
        changed.subtract(_sizes(self.pricer.parts(worker, self.group)))
        parts = (MemoryPart(device, kind, size) for (device, kind), size in changed.items())
        return replace(step, plan=replace(step.plan, parts=tuple(p for p in parts if p.bytes > 0)))

    def helps(self, worker: WorkerPlan, plan: WorkerPlan) -> bool:
        """Whether it frees enough where memory is short, and elsewhere takes no more than there
        is."""
        held = self._held(worker)
        freed = held - self._held(plan)
        elsewhere = worker.planned_bytes - plan.planned_bytes - freed
        enough = max(1.0, LEAST_SHARE * held, LEAST_AIM * (freed + max(0, elsewhere)))
        return freed >= enough and -elsewhere <= self.room_bytes

    def _held(self, worker: WorkerPlan) -> int:
        in_ram = {CPU_DEVICE, *(pool.device for pool in self.group if pool.integrated)}
        if self.where == "device":
            return sum(part.bytes for part in worker.parts if part.device != CPU_DEVICE)
        return sum(part.bytes for part in worker.parts if part.device in in_ram)


def _sizes(parts: Iterable[MemoryPart]) -> Counter[tuple[str, str]]:
    sizes: Counter[tuple[str, str]] = Counter()
    for part in parts:
        sizes[part.device, part.kind] += part.bytes
    return sizes
