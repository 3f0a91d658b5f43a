"""Host RAM, and what a container leaves of it."""

from __future__ import annotations

import psutil

from local_swarm.domain.hardware import Memory
from local_swarm.hardware.base import Findings, Roots
from local_swarm.hardware.cgroup import MemoryLimit, memory_limit


class MemoryProbe:
    name = "memory"

    def read(self, roots: Roots) -> Findings:
        ram = psutil.virtual_memory()
        return Findings(memory=within(ram.total, ram.available, memory_limit(roots)))


def within(total_bytes: int, available_bytes: int, limit: MemoryLimit) -> Memory:
    """RAM under a limit. A limit above the machine's own RAM limits nothing and is left out."""
    if limit.limit_bytes is None or limit.limit_bytes >= total_bytes:
        return Memory(total_bytes, available_bytes)
    free = limit.limit_bytes if limit.free_bytes is None else limit.free_bytes
    return Memory(total_bytes, min(available_bytes, free), limit.limit_bytes)
