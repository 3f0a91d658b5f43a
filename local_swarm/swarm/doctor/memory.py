"""RAM: what is free, the container's limit, swap, and whether programs wait for it."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from local_swarm.domain.memory import GIB, format_bytes
from local_swarm.hardware import MemoryPressure, memory_pressure
from local_swarm.swarm.doctor.finding import Context, Finding, note, ok, warning

LEAST_BYTES = GIB
MOST_STALLED = 0.1
CLOSE = "Close what needs much of it, or choose a smaller model or context."


def check(context: Context) -> Iterator[Finding]:
    yield from judged(memory_pressure(context.roots))
    swap = psutil.swap_memory()
    if swap.total and swap.used > swap.total // 2:
        yield note(
            f"{format_bytes(swap.used)} of {format_bytes(swap.total)} of swap are in use.", CLOSE
        )


def judged(pressure: MemoryPressure) -> Iterator[Finding]:
    total, free = pressure.total_bytes, pressure.available_bytes
    if total is None or free is None:
        yield note("The system does not tell how much RAM is free.")
        return
    told = f"{format_bytes(free)} of {format_bytes(total)} of RAM are free."
    yield warning(told, CLOSE) if free < LEAST_BYTES else ok(told)
    if pressure.limit_bytes is not None and pressure.limit_bytes < total:
        yield note(f"The container's limit is {format_bytes(pressure.limit_bytes)} of RAM.")
    if pressure.stalled is not None and pressure.stalled > MOST_STALLED:
        yield warning(f"Programs wait for memory {pressure.stalled:.0%} of the time.", CLOSE)
    if pressure.oom_kills:
        yield note(
            f"The kernel has ended {pressure.oom_kills} processes for want of memory since the"
            " machine or container started.",
            "`lswarm doctor` names the workers among them under crashes.",
        )
