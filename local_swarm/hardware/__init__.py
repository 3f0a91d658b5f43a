"""Turns what a machine has into one `HostSnapshot`.

One file per kind of hardware behind the probe protocol in `base`, listed in `registry`. A probe
never raises and is given two seconds; what it does not learn stays unknown. Decides nothing.
"""

from local_swarm.hardware.base import Findings, Probe, Roots
from local_swarm.hardware.host import snapshot
from local_swarm.hardware.snapshot_file import load, to_dict, to_json

__all__ = ["Findings", "Probe", "Roots", "load", "snapshot", "to_dict", "to_json"]
