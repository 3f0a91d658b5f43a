"""What a probe is, and how one is run without trusting it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local_swarm.domain.hardware import Cpu, Device, Memory

TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the system's own files are; tests point them at a tree of their own."""

    proc: Path = Path("/proc")
    cgroup: Path = Path("/sys/fs/cgroup")
    sys: Path = Path("/sys")
    share: Path = Path("/usr/share")
    android: Path = Path("/system")


@dataclass(frozen=True, slots=True)
class Findings:
    """What one probe learned. None is "not mine to say".

    A device without an `id` is numbered later, by its backend. Of the vendors in `complete` there
    is no device but those given: what weaker sources see besides is not for us to use.
    """

    cpu: Cpu | None = None
    memory: Memory | None = None
    devices: tuple[Device, ...] = ()
    complete: frozenset[str] = frozenset()
    unified: bool | None = None
    os: str | None = None


class Probe(Protocol):
    """One source of facts. May block and may raise: `run_all` bounds and absorbs both."""

    @property
    def name(self) -> str: ...

    def read(self, roots: Roots) -> Findings: ...


def run_all(
    probes: Sequence[Probe], roots: Roots, *, timeout_s: float = TIMEOUT_S
) -> tuple[Findings, ...]:
    """Runs all probes side by side; one entry each, empty for a probe that failed or was late.

    Blocks at most `timeout_s` in all. A probe that hangs (a driver may) is left behind in its
    daemon thread.
    """
    found: dict[int, Findings] = {}

    def work(index: int, probe: Probe) -> None:
        try:
            found[index] = probe.read(roots)
        except Exception:
            _log.debug("hardware probe %s failed", probe.name, exc_info=True)

    threads = [
        threading.Thread(target=work, args=pair, name=f"probe-{pair[1].name}", daemon=True)
        for pair in enumerate(probes)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return tuple(found.get(index, Findings()) for index in range(len(probes)))
