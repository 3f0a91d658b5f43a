"""How short of memory the host is, asked again and again while workers run.

Sources: kernel Documentation/accounting/psi.rst, admin-guide/cgroup-v2.rst (memory.pressure,
memory.events), admin-guide/cgroup-v1/memory.rst (memory.oom_control), and psutil for what is
available. macOS and Windows tell the first two figures only; neither was seen on a real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from local_swarm.hardware.base import Roots
from local_swarm.hardware.cgroup import groups, memory_limit
from local_swarm.hardware.values import read_text


@dataclass(frozen=True, slots=True)
class MemoryPressure:
    """One reading; None is what the system does not tell.

    `limit_bytes` is the container's, `limit_free_bytes` what is left under it. `stalled` is the
    share (0 to 1) of the last ten seconds in which all that wanted to run waited for memory, and
    `slowed` that in which something did: the worst of the machine and the groups this process is
    in. `oom_kills` counts what the kernel killed for want of memory in this process's group, or on
    the machine where the group does not tell; only its growth means something.
    """

    total_bytes: int | None
    available_bytes: int | None
    limit_bytes: int | None
    limit_free_bytes: int | None
    stalled: float | None
    slowed: float | None
    oom_kills: int | None


def memory_pressure(roots: Roots | None = None) -> MemoryPressure:
    """Reads a dozen small files; blocks for less than a millisecond, raises nothing."""
    roots = roots or Roots()
    total, available = _ram()
    limit = memory_limit(roots)
    stalls = list(_stalls(roots))
    return MemoryPressure(
        total_bytes=total,
        available_bytes=available,
        limit_bytes=limit.limit_bytes,
        limit_free_bytes=limit.free_bytes,
        stalled=max((share for kind, share in stalls if kind == "full"), default=None),
        slowed=max((share for kind, share in stalls if kind == "some"), default=None),
        oom_kills=_oom_kills(roots),
    )


def _ram() -> tuple[int | None, int | None]:
    try:
        ram = psutil.virtual_memory()
    except (OSError, RuntimeError, psutil.Error):  # no file descriptor left, for one
        return None, None
    return ram.total, ram.available


def _stalls(roots: Roots) -> Iterator[tuple[str, float]]:
    """Lines like `full avg10=1.24 avg60=...`, percent, as shares by kind."""
    files = [group / "memory.pressure" for group in groups(roots, "")]
    for file in (roots.proc / "pressure" / "memory", *files):
        for line in read_text(file).splitlines():
            kind, _, rest = line.partition(" avg10=")
            share = _percent(rest.partition(" ")[0])
            if share is not None:
                yield kind, share


def _percent(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value / 100 if 0 <= value <= 100 else None


def _oom_kills(roots: Roots) -> int | None:
    """A group counts the victims in it, whoever's memory was short."""
    files = [group / "memory.events" for group in groups(roots, "")]
    files += [group / "memory.oom_control" for group in groups(roots, "memory")]
    counts = (_oom_kill(file) for file in (*files, roots.proc / "vmstat"))
    return next((count for count in counts if count is not None), None)


def _oom_kill(file: Path) -> int | None:
    for line in read_text(file).splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.isdecimal():
            return int(value)
    return None
