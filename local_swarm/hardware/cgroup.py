"""Limits that a container or a service manager puts on this process: cgroup v1, v2 and hybrid.

A limit anywhere above the process binds it, so every reader walks from the process's own group to
the root. Inside a container without a cgroup namespace the group's own path is not visible; then
the root of the mount is the container's group. Source: kernel Documentation/admin-guide/
cgroup-v1/memory.rst, cgroup-v2.rst, scheduler/sched-bwc.rst. Unreadable files count as absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from local_swarm.hardware.base import Roots

_UNLIMITED = 1 << 60  # v1 writes "no limit" as the largest page-aligned number


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The smallest limit, and the least that is still free under any limit; None if unlimited.

    Page cache that can be dropped counts as free.
    """

    limit_bytes: int | None
    free_bytes: int | None


def memory_limit(roots: Roots) -> MemoryLimit:
    limits, free = [], []
    for files in (_V2, _V1):
        for group in groups(roots, files.controller):
            limit = _number(group / files.limit)
            if limit is None or not 0 <= limit < _UNLIMITED:
                continue
            limits.append(limit)
            usage = _number(group / files.usage)
            if usage is not None:
                used = usage - _stat(group / "memory.stat", files.droppable)
                free.append(max(0, limit - max(0, used)))
    return MemoryLimit(min(limits, default=None), min(free, default=None))


def cpu_quota(roots: Roots) -> float | None:
    """CPUs' worth of time this process may use; None if unlimited."""
    quotas = [_quota_v2(group) for group in groups(roots, "")]
    quotas += [_quota_v1(group) for group in groups(roots, "cpu")]
    return min((quota for quota in quotas if quota), default=None)


@dataclass(frozen=True, slots=True)
class _MemoryFiles:
    controller: str  # "" is v2's single hierarchy
    limit: str
    usage: str
    droppable: str


_V2 = _MemoryFiles("", "memory.max", "memory.current", "inactive_file")
_V1 = _MemoryFiles(
    "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
)


def _quota_v2(group: Path) -> float | None:
    quota, _, period = _text(group / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _quota_v1(group: Path) -> float | None:
    return _ratio(_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None  # "max", -1, or no such file
    return int(quota) / int(period)


def groups(roots: Roots, controller: str) -> Iterator[Path]:
    """Directories of this process's group and all above it, for one controller ("": of v2)."""
    for line in _text(roots.proc / "self" / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller == "" and (number, controllers) == ("0", ""):
            yield from _ancestors(_first(roots.cgroup / "unified", roots.cgroup), path)
        elif controller and controller in controllers.split(","):
            base = _first(roots.cgroup / controllers, roots.cgroup / controller)
            yield from _ancestors(base, path)


def _first(*candidates: Path) -> Path:
    return next((path for path in candidates if path.is_dir()), candidates[-1])


def _ancestors(base: Path, path: str) -> Iterator[Path]:
    parts = PurePosixPath(path.lstrip("/")).parts
    if ".." in parts:  # outside this namespace's root: only the root is ours to see
        parts = ()
    for depth in range(len(parts), -1, -1):
        yield base.joinpath(*parts[:depth])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() else None


def _stat(path: Path, key: str) -> int:
    for line in _text(path).splitlines():
        name, _, value = line.partition(" ")
        if name == key and value.isdecimal():
            return int(value)
    return 0
