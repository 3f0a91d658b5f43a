"""This machine, now."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from local_swarm.domain.hardware import HostSnapshot
from local_swarm.errors import FitError
from local_swarm.hardware.base import Probe, Roots, run_all
from local_swarm.hardware.registry import PROBES

_ARCHES = {"amd64": "x86_64", "aarch64": "arm64"}


def snapshot(roots: Roots | None = None, probes: Sequence[Probe] = PROBES) -> HostSnapshot:
    """Asks every probe; blocks for two seconds at most.

    Of several probes that know a fact the first listed wins; devices are added up. `FitError`
    when CPU or RAM stay unknown, for then nothing can be planned.
    """
    found = run_all(probes, roots or Roots())
    cpu = next((f.cpu for f in found if f.cpu), None)
    memory = next((f.memory for f in found if f.memory), None)
    if cpu is None or memory is None:
        raise FitError(
            f"This machine does not say how {'many cores' if cpu is None else 'much RAM'} it has.",
            hint="Describe it in a file and use lswarm plan --hardware-file.",
        )
    system = platform.system().lower()
    machine = platform.machine().lower()
    arch = _ARCHES.get(machine, machine)
    return HostSnapshot(
        os=system,
        arch=arch,
        cpu=cpu,
        memory=memory,
        unified=(system, arch) == ("darwin", "arm64"),
        devices=tuple(device for f in found for device in f.devices),
    )
