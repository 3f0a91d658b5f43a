"""Free space where the program writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from local_swarm.domain.memory import GIB, MIB, format_bytes
from local_swarm.swarm.doctor.directories import nearest, places
from local_swarm.swarm.doctor.finding import Context, Finding, error, note, ok

LEAST_BYTES = 100 * MIB
FOR_A_MODEL_BYTES = 5 * GIB
CURE = "Free some space; `lswarm models rm` removes models, and `[logs] max_bytes` bounds logs."


def check(context: Context) -> Iterator[Finding]:
    disks: dict[int, tuple[list[str], Path]] = {}
    for what, path in places(context).items():
        there = nearest(path)
        disks.setdefault(there.stat().st_dev, ([], there))[0].append(what)
    for uses, there in disks.values():
        yield judged(uses, there, shutil.disk_usage(there).free)


def judged(uses: list[str], path: Path, free_bytes: int) -> Finding:
    """One disk, by what it is used for."""
    told = f"{format_bytes(free_bytes)} are free at {path} (for {', '.join(uses)})."
    if free_bytes < LEAST_BYTES:
        return error(told, CURE)
    if "models" in uses and free_bytes < FOR_A_MODEL_BYTES:
        return note(f"{told} Many a model is larger.", CURE)
    return ok(told)
