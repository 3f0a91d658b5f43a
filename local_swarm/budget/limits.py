"""How much of a host a plan may use."""

from __future__ import annotations

from dataclasses import dataclass

from local_swarm.budget.wishes import Wishes
from local_swarm.domain.hardware import Cpu, Memory
from local_swarm.domain.memory import format_bytes


@dataclass(frozen=True, slots=True)
class RamBudget:
    """`usable_bytes` of `total_bytes`, and the sentence that says why."""

    total_bytes: int
    usable_bytes: int
    reason: str


def ram_budget(memory: Memory, wishes: Wishes) -> RamBudget:
    """The smallest of the share, what is available and the container's limit, less the reserve."""
    total = format_bytes(memory.total_bytes)
    ceilings = [
        (int(memory.total_bytes * wishes.ram_fraction), f"{wishes.ram_fraction:.0%} of {total}"),
        (memory.available_bytes, f"what is available now of {total}"),
    ]
    if memory.limit_bytes is not None:
        ceilings.append((memory.limit_bytes, "the container's limit"))
    ceiling, name = min(ceilings, key=lambda pair: pair[0])
    usable = max(0, ceiling - wishes.reserve_bytes)
    less = f", less a reserve of {format_bytes(wishes.reserve_bytes)}"
    reason = f"Workers may use {format_bytes(usable)} of RAM: {name}"
    return RamBudget(memory.total_bytes, usable, f"{reason}{less if wishes.reserve_bytes else ''}.")


def usable_cores(cpu: Cpu) -> int:
    """Threads that work side by side: physical cores where known, at least one."""
    return max(1, min(cpu.physical or cpu.logical, cpu.logical))
