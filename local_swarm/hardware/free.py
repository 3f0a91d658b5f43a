"""What is free on devices now, asked again and again while workers start."""

from __future__ import annotations

from collections.abc import Sequence

from local_swarm.domain.hardware import Device
from local_swarm.hardware import amd, nvidia
from local_swarm.hardware.base import TIMEOUT_S, Roots
from local_swarm.hardware.bounded import Bounded
from local_swarm.hardware.values import AMD, NVIDIA

_drivers = Bounded("free-memory")


def free_memory(
    devices: Sequence[Device], roots: Roots | None = None, *, timeout_s: float = TIMEOUT_S
) -> dict[str, int]:
    """Free bytes by device id, for those whose vendor tells: NVML's of NVIDIA, the amdgpu driver's
    of AMD. Empty where none does.

    Blocks at most `timeout_s`; raises nothing. A driver that hangs is not asked a second time
    before it has answered the first.
    """
    return _drivers.ask(lambda: _free(devices, roots or Roots()), timeout_s) or {}


def _free(devices: Sequence[Device], roots: Roots) -> dict[str, int]:
    uuids = {d.id: d.uuid for d in devices if d.vendor == NVIDIA and d.uuid}
    places = {d.id: d.bus_id for d in devices if d.vendor == AMD and d.bus_id}
    by_uuid = nvidia.free_bytes(uuids.values()) if uuids else {}
    by_place = {d.bus_id: d.free_bytes for d in amd.from_sysfs(roots)} if places else {}
    found = {id_: by_uuid.get(uuid) for id_, uuid in uuids.items()}
    found |= {id_: by_place.get(place) for id_, place in places.items()}
    return {id_: free for id_, free in found.items() if free is not None}
