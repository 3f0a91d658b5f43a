"""What a plan needs that is made while the swarm runs whose place it will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from local_swarm.budget.pricing import MAPPED
from local_swarm.domain.hardware import Device, HostSnapshot
from local_swarm.domain.plan import CPU_DEVICE, WorkerPlan

NOISE = 0.05
"""Of a device's memory: free bytes that have moved by less are taken as they were. Otherwise each
new plan would be another one, and restart workers for nothing."""


def as_if_alone(then: HostSnapshot, now: HostSnapshot, held: Mapping[str, int]) -> HostSnapshot:
    """The machine as it would be now without our workers. Pure.

    `then` is what the present plan was made for, `held` the bytes by device that the workers give
    back when they end.
    """
    memory, before = now.memory, {device.id: device for device in then.devices}
    available = _settled(
        then.memory.available_bytes,
        memory.available_bytes + held.get(CPU_DEVICE, 0),
        memory.total_bytes,
    )
    return replace(
        now,
        memory=replace(memory, available_bytes=available),
        devices=tuple(_alone(device, before.get(device.id), held) for device in now.devices),
    )


def _alone(device: Device, before: Device | None, held: Mapping[str, int]) -> Device:
    if device.free_bytes is None:
        return device if before is None else replace(device, others_bytes=before.others_bytes)
    total = device.total_bytes or device.free_bytes
    free = device.free_bytes + held.get(device.id, 0)
    then = before.free_bytes if before else None
    return replace(device, free_bytes=_settled(then, free, total))


def _settled(then: int | None, now: int, total: int) -> int:
    now = min(now, total)
    return now if then is None or abs(now - then) > NOISE * total else then


def given_back(workers: Iterable[WorkerPlan]) -> Counter[str]:
    """Bytes by device that are free once these workers have ended. Weights that are mapped into
    RAM are not among them: the system counts them as available already. Pure."""
    held: Counter[str] = Counter()
    for worker in workers:
        for part in worker.parts:
            if part.device != CPU_DEVICE or part.kind not in MAPPED:
                held[part.device] += part.bytes
    return held
