"""The workers of a plan, so that they can be compared with those that run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from local_swarm import hardware
from local_swarm.domain.launch import LaunchSpec
from local_swarm.swarm.changes import Runs
from local_swarm.swarm.device_memory import Starts
from local_swarm.swarm.jobs import Source
from local_swarm.swarm.planning import Prepared
from local_swarm.swarm.room import Room


def crew_of(prepared: Prepared, slots: Path | None = None) -> tuple[Runs, ...]:
    """Reads the dates of the model's files. `slots`: where prompts are kept over a restart, the
    same as long as the swarm runs."""
    source = Source(prepared, Starts(prepared.host.devices, hardware.free_memory), slots)
    files = model_files(prepared)
    return tuple(
        Runs(worker, files, _how(prepared.spec(worker, 0)), source)
        for worker in prepared.plan.workers
    )


def room_of(prepared: Prepared) -> Room:
    in_ram = {device.id for device in prepared.host.devices if device.integrated}
    return Room.of(prepared.plan.budget, in_ram)


def model_files(prepared: Prepared) -> tuple[tuple[str, int, int], ...]:
    """Path, size and date of each file that a worker loads: equal as long as nobody changes
    one."""
    model, worker = prepared.model, prepared.plan.workers[0]
    beside = (path for path in (worker.mmproj, worker.draft) if path)
    return _identities(dict.fromkeys((model.path, *model.parts, *beside)))


def _identities(files: Iterable[str]) -> tuple[tuple[str, int, int], ...]:
    return tuple(map(_identity, files))


def _identity(path: str) -> tuple[str, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return path, -1, -1
    return path, found.st_size, found.st_mtime_ns


def _how(spec: LaunchSpec) -> tuple[object, ...]:
    return spec.engine, spec.argv, tuple(sorted(spec.env.items()))
