"""Turns what a machine has into one `HostSnapshot`.

One file per kind of hardware behind the probe protocol in `base`, listed in `registry`. A probe
never raises and is given two seconds; what it does not learn stays unknown. `combine` lists a card
that several probes saw once; `merge` lets an engine's own list of devices, given as text, overrule
ours; `free_memory` reads what is free on devices, `memory_pressure` how short of memory the host is
and `process_memory` what processes hold, while workers start and run. Decides nothing.
"""

from local_swarm.hardware.base import Findings, Probe, Roots
from local_swarm.hardware.engine_view import EngineDevice, merge, parse_list_devices
from local_swarm.hardware.free import free_memory
from local_swarm.hardware.host import snapshot
from local_swarm.hardware.pressure import MemoryPressure, memory_pressure
from local_swarm.hardware.process_memory import ProcessMemory, process_memory
from local_swarm.hardware.snapshot_file import load, to_dict, to_json

__all__ = [
    "EngineDevice",
    "Findings",
    "MemoryPressure",
    "Probe",
    "ProcessMemory",
    "Roots",
    "free_memory",
    "load",
    "memory_pressure",
    "merge",
    "parse_list_devices",
    "process_memory",
    "snapshot",
    "to_dict",
    "to_json",
]
