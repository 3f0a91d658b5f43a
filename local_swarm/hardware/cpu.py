"""The CPU, as far as this process may use it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from local_swarm.domain.hardware import Cpu
from local_swarm.hardware.base import TIMEOUT_S, Findings, Roots
from local_swarm.hardware.cgroup import cpu_quota


class CpuProbe:
    name = "cpu"

    def read(self, roots: Roots) -> Findings:
        entries = list(_cpuinfo(roots.proc / "cpuinfo"))
        physical, logical = usable_cores(
            entries, allowed_cpus(), cpu_quota(roots), whole_machine_cores()
        )
        return Findings(cpu=Cpu(_model(entries), physical, logical))


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


def _model(entries: list[dict[str, str]]) -> str | None:
    for key in ("model name", "Model", "Hardware"):
        named = next((entry[key] for entry in entries if entry.get(key)), None)
        if named:
            return named
    if platform.system() == "Darwin":
        return _sysctl("machdep.cpu.brand_string")
    return platform.processor() or None


def _sysctl(name: str) -> str | None:
    command = ["sysctl", "-n", name]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S / 2, check=False
    )
    return done.stdout.strip() or None
