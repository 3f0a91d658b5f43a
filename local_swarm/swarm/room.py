"""How much memory workers need together, and whether there is room for it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from local_swarm.budget.pricing import MAPPED
from local_swarm.domain.plan import CPU_DEVICE, DeviceBudget, WorkerPlan


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that workers may take by device; what lies on a device of `in_ram` is in RAM too.
    A device that is not named has no limit."""

    usable: Mapping[str, int]
    in_ram: Collection[str] = ()

    @classmethod
    def of(cls, budget: Iterable[DeviceBudget], in_ram: Collection[str] = ()) -> Room:
        return cls({each.device: each.usable_bytes for each in budget}, in_ram)

    def allows(self, after: Iterable[WorkerPlan], before: Iterable[WorkerPlan] = ()) -> bool:
        """Whether they fit, or need no more on any device that is too full than those before."""
        took = held_bytes(before, self.in_ram)
        return all(
            size <= max(self.usable.get(device, size), took[device])
            for device, size in held_bytes(after, self.in_ram).items()
        )


def held_bytes(workers: Iterable[WorkerPlan], in_ram: Collection[str] = ()) -> Counter[str]:
    """What workers hold by device. Weights that are mapped into RAM lie there once, however many
    workers read the same file; a plan counts them with its first worker."""
    held: Counter[str] = Counter()
    mapped: dict[tuple[str, str], int] = {}
    for worker in workers:
        for part in worker.parts:
            if part.device == CPU_DEVICE and part.kind in MAPPED:
                file = (worker.model_path, part.kind)
                mapped[file] = max(mapped.get(file, 0), part.bytes)
                continue
            held[part.device] += part.bytes
            if part.device in in_ram:
                held[CPU_DEVICE] += part.bytes
    held[CPU_DEVICE] += sum(mapped.values())
    return held
