"""Turns what a machine has into one `HostSnapshot`.

One file per kind of hardware behind the probe protocol in `base`, listed in `registry`. A probe
never raises and is given two seconds; what it does not learn stays unknown. `combine` lists a card
that several probes saw once; `merge` lets an engine's own list of devices, given as text, overrule
ours; `free_memory` reads what is free on devices while workers start. Decides nothing.
"""

from local_swarm.hardware.base import Findings, Probe, Roots
from local_swarm.hardware.engine_view import EngineDevice, merge, parse_list_devices
from local_swarm.hardware.free import free_memory
from local_swarm.hardware.host import snapshot
from local_swarm.hardware.snapshot_file import load, to_dict, to_json

__all__ = [
    "EngineDevice",
    "Findings",
    "Probe",
    "Roots",
    "free_memory",
    "load",
    "merge",
    "parse_list_devices",
    "snapshot",
    "to_dict",
    "to_json",
]
