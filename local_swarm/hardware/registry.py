"""Every probe there is. To add a vendor: one new file and one line here.

Of a device that several probes see, the facts of the first listed stand: vendors' own sources come
before what an operating system tells of every card.
"""

from __future__ import annotations

from local_swarm.hardware.amd import AmdProbe
from local_swarm.hardware.android import AndroidProbe
from local_swarm.hardware.apple import AppleProbe
from local_swarm.hardware.base import Probe
from local_swarm.hardware.cpu import CpuProbe
from local_swarm.hardware.intel import IntelProbe
from local_swarm.hardware.memory import MemoryProbe
from local_swarm.hardware.nvidia import NvidiaProbe, NvidiaProcProbe
from local_swarm.hardware.pci import PciProbe
from local_swarm.hardware.windows import WindowsProbe

PROBES: tuple[Probe, ...] = (
    CpuProbe(),
    MemoryProbe(),
    NvidiaProbe(),
    NvidiaProcProbe(),
    AmdProbe(),
    IntelProbe(),
    AppleProbe(),
    AndroidProbe(),
    WindowsProbe(),
    PciProbe(),
)
