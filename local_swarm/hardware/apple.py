"""Apple Silicon: one Metal device in the machine's own memory.

Its total is what Metal recommends to use at most (recommendedMaxWorkingSetSize), which no command
prints. `iogpu.wired_limit_mb` is that limit where somebody set it; where it is 0 (the default) the
rule is two thirds of RAM below 36 GiB and three quarters from there on: 10,922 MiB of 16 GiB,
21,845 of 32, 27,648 of 36, 49,152 of 64 in llama.cpp's logs. macOS 26 gives more (107.5 of 128
GiB), so this is a floor, and the engine's own figure replaces it (`engine_view`).
"""

from __future__ import annotations

import platform
from collections.abc import Callable

import psutil

from local_swarm.domain.memory import GIB, MIB
from local_swarm.hardware.base import Findings, Roots
from local_swarm.hardware.tools import Runner, run_tool
from local_swarm.hardware.values import APPLE, known, new_device, size

COMMAND = (
    "sysctl",
    "hw.memsize",
    "machdep.cpu.brand_string",
    "iogpu.wired_limit_mb",
    "debug.iogpu.wired_limit",  # its name before macOS 14, in bytes
)
_LARGE_BYTES = 36 * GIB


class AppleProbe:
    name = "apple"

    def __init__(
        self,
        run: Runner = run_tool,
        system: str | None = None,
        available_bytes: Callable[[], int] = lambda: psutil.virtual_memory().available,
    ) -> None:
        self._run = run
        self._system = system or platform.system()
        self._available_bytes = available_bytes

    def read(self, roots: Roots) -> Findings:
        """Nothing on an Intel Mac; the chip's name tells, for Rosetta hides the architecture."""
        if self._system != "Darwin":
            return Findings()
        lines = (line.partition(":") for line in self._run(COMMAND).splitlines())
        facts = {key.strip(): value.strip() for key, colon, value in lines if colon}
        chip = known(facts.get("machdep.cpu.brand_string"))
        if chip is None or not chip.startswith("Apple"):
            return Findings()
        total = working_set(
            size(facts.get("hw.memsize")),
            size(facts.get("iogpu.wired_limit_mb"), "MiB")
            or size(facts.get("debug.iogpu.wired_limit")),
        )
        device = new_device(
            APPLE,
            id="MTL0",
            name=chip,
            backend="Metal",
            total_bytes=total,
            free_bytes=None if total is None else min(total, self._available_bytes()),
            integrated=True,
        )
        return Findings(devices=(device,), unified=True)


def working_set(ram_bytes: int | None, limit_bytes: int | None) -> int | None:
    """The most Metal recommends to use; None where neither RAM nor limit is known."""
    if limit_bytes is not None:
        return limit_bytes if ram_bytes is None else min(limit_bytes, ram_bytes)
    if ram_bytes is None:
        return None
    share = ram_bytes * 3 // 4 if ram_bytes >= _LARGE_BYTES else ram_bytes * 2 // 3
    return share // MIB * MIB
