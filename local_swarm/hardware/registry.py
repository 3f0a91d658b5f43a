"""Every probe there is. To add a vendor: one new file and one line here."""

from __future__ import annotations

from local_swarm.hardware.base import Probe
from local_swarm.hardware.cpu import CpuProbe
from local_swarm.hardware.memory import MemoryProbe

PROBES: tuple[Probe, ...] = (
    CpuProbe(),
    MemoryProbe(),
)
