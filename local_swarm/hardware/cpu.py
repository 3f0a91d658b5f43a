"""The CPU, as far as this process may use it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import psutil

from local_swarm.domain.hardware import Cpu
from local_swarm.hardware.base import Findings, Roots
from local_swarm.hardware.cgroup import cpu_quota
from local_swarm.hardware.tools import Runner, run_tool
from local_swarm.hardware.values import folders, known, read_text

_MOST_CPUS = 4096


class CpuProbe:
    name = "cpu"

    def __init__(self, run: Runner = run_tool) -> None:
        self._run = run

    def read(self, roots: Roots) -> Findings:
        entries = list(_cpuinfo(roots.proc / "cpuinfo"))
        allowed = allowed_cpus()
        elsewhere = sibling_cores(roots, allowed) or whole_machine_cores()
        physical, logical = usable_cores(entries, allowed, cpu_quota(roots), elsewhere)
        model = _model(entries, self._run)
        return Findings(cpu=Cpu(model, physical, logical, numa_nodes(roots, allowed)))


def allowed_cpus() -> frozenset[int]:
    """Numbers of the CPUs this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def whole_machine_cores() -> int | None:
    """Physical cores where every CPU is ours to use; else None, for then it says nothing."""
    if len(allowed_cpus()) < (psutil.cpu_count() or 1):
        return None
    return psutil.cpu_count(logical=False)


def sibling_cores(roots: Roots, allowed: frozenset[int]) -> int | None:
    """Physical cores among the allowed CPUs, by which CPUs the kernel says share one.

    ARM's cpuinfo names no cores; this does. None unless it is told for every CPU.
    """
    cpus = roots.sys / "devices" / "system" / "cpu"
    groups = [
        read_text(cpus / f"cpu{number}" / "topology" / "thread_siblings_list") for number in allowed
    ]
    return len(set(groups)) if groups and all(groups) else None


def numa_nodes(roots: Roots, allowed: frozenset[int]) -> tuple[tuple[int, ...], ...]:
    """The allowed CPUs of each memory node; empty where there are fewer than two such nodes."""
    nodes = folders(roots.sys / "devices" / "system" / "node", r"node\d+")
    lists = (cpu_list(read_text(node / "cpulist")) & allowed for node in nodes)
    found = tuple(tuple(sorted(cpus)) for cpus in lists if cpus)
    return found if len(found) > 1 else ()


def cpu_list(text: str) -> frozenset[int]:
    """`0-3,8` -> {0, 1, 2, 3, 8}; what is no number or range is passed over."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            top = min(int(last or first), int(first) + _MOST_CPUS)
            cpus.update(range(int(first), top + 1))
    return frozenset(cpus)


def usable_cores(
    entries: list[dict[str, str]],
    allowed: frozenset[int],
    quota: float | None,
    machine_cores: int | None,
) -> tuple[int | None, int]:
    """Physical and logical cores, from cpuinfo's `entries`, the affinity mask and the quota.

    Whole ones only: under a quota of 2.5 CPUs a third thread would be held back half of the
    time, and the others would wait for it.
    """
    most = max(1, int(quota)) if quota else len(allowed)
    logical = max(1, min(len(allowed), most))
    physical = _physical(entries, allowed) or machine_cores
    return (min(physical, logical) if physical else None), logical


def _physical(entries: list[dict[str, str]], allowed: frozenset[int]) -> int | None:
    """Distinct cores among the allowed CPUs, where cpuinfo names the core of each (x86 does)."""
    cores = set()
    for number in allowed:
        entry = next((e for e in entries if e.get("processor") == str(number)), {})
        if "core id" not in entry:
            return None
        cores.add((entry.get("physical id", "0"), entry["core id"]))
    return len(cores) or None


def _cpuinfo(path: Path) -> Iterator[dict[str, str]]:
    """One mapping per paragraph of /proc/cpuinfo; none where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for paragraph in text.split("\n\n"):
        lines = (line.partition(":") for line in paragraph.splitlines())
        yield {key.strip(): value.strip() for key, colon, value in lines if colon}


def _model(entries: list[dict[str, str]], run: Runner) -> str | None:
    for key in ("model name", "Model", "Hardware"):
        named = next((entry[key] for entry in entries if entry.get(key)), None)
        if named:
            return named
    if platform.system() == "Darwin":
        return known(run(["sysctl", "-n", "machdep.cpu.brand_string"]))
    return platform.processor() or None
