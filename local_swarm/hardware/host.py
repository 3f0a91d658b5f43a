"""This machine, now."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from local_swarm.domain.hardware import Device, HostSnapshot
from local_swarm.errors import FitError
from local_swarm.hardware.base import Probe, Roots, run_all
from local_swarm.hardware.combine import combine, numbered
from local_swarm.hardware.registry import PROBES

_ARCHES = {"amd64": "x86_64", "aarch64": "arm64"}


def snapshot(roots: Roots | None = None, probes: Sequence[Probe] = PROBES) -> HostSnapshot:
    """Asks every probe; blocks for two seconds at most.

    Of several probes that know a fact the first listed wins; a device that several saw is listed
    once. `FitError` when CPU or RAM stay unknown, for then nothing can be planned.
    """
    found = run_all(probes, roots or Roots())
    cpu = next((f.cpu for f in found if f.cpu), None)
    memory = next((f.memory for f in found if f.memory), None)
    if cpu is None or memory is None:
        raise FitError(
            f"This machine does not say how {'many cores' if cpu is None else 'much RAM'} it has.",
            hint="Describe it in a file and use lswarm plan --hardware-file.",
        )
    machine = platform.machine().lower()
    devices = numbered(combine(found))
    told = next((f.unified for f in found if f.unified is not None), None)
    return HostSnapshot(
        os=next((f.os for f in found if f.os), platform.system().lower()),
        arch=_ARCHES.get(machine, machine),
        cpu=cpu,
        memory=memory,
        unified=_all_integrated(devices) if told is None else told,
        devices=devices,
    )


def _all_integrated(devices: Sequence[Device]) -> bool:
    return bool(devices) and all(device.integrated for device in devices)
