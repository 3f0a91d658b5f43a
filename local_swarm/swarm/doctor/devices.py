"""Accelerators: what the engine drives of those that are here, who may use them, what is free."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from local_swarm.domain.hardware import Device
from local_swarm.domain.memory import format_bytes
from local_swarm.hardware.nvidia import held_bytes
from local_swarm.swarm.doctor.finding import Context, Finding, note, ok, warning
from local_swarm.swarm.machine import found

NODES = {
    "NVIDIA": ("nvidiactl", "nvidia[0-9]*"),
    "AMD": ("kfd", "dri/renderD*"),
    "Intel": ("dri/renderD*",),
}
ENGINES = "docs/hardware.md and docs/engines.md say which engine drives what."
MOST_HELD = 0.5  # by other programs, of a device's memory


@dataclass(frozen=True, slots=True)
class Node:
    """A file under /dev through which a device is used."""

    path: str
    group: str
    is_usable: bool


def check(context: Context) -> Iterator[Finding]:
    settings = context.config.engine
    machine = found(settings.name, settings.path)
    devices = machine.host.devices
    for sentence in machine.notes:
        yield warning(sentence, ENGINES)
    if not devices and not machine.undriven:
        yield ok("There is no accelerator; workers run on the CPU.")
    vendors = {device.vendor for device in devices}
    if machine.undriven or not devices:
        vendors |= set(NODES)  # one that may not be opened is not always seen
    yield from node_findings(_nodes(vendors, Path("/dev")))
    for device in devices:
        yield judged(device, _others(device))


def node_findings(nodes: Sequence[Node]) -> Iterator[Finding]:
    """The groups that this user should be in."""
    closed = [node for node in nodes if not node.is_usable]
    if closed:
        groups = ",".join(sorted({node.group for node in closed}))
        paths = ", ".join(node.path for node in closed)
        yield warning(
            f"This user may not use {paths}.",
            f"Run `sudo usermod -aG {groups} $USER` and log in again; give them to a container.",
        )


def judged(device: Device, others: str) -> Finding:
    """One device by what others hold of its memory."""
    name, total, free = device.name or device.id, device.total_bytes, device.free_bytes
    driver = f", driver {device.driver}" if device.driver else ""
    if total is None or free is None:
        return ok(f"{device.id}: {name}{driver}.")
    told = f"{device.id}: {name}{driver}, {format_bytes(free)} of {format_bytes(total)} free."
    if device.integrated or total - free < MOST_HELD * total:
        return ok(told)
    return note(f"{told} In use by {others}.", "End those that are not needed; plans leave it out.")


def _others(device: Device) -> str:
    """Who holds the device's memory, the largest first, as far as its driver tells."""
    if device.vendor != "NVIDIA" or device.uuid is None:
        return "programs that its driver does not name"
    held = held_bytes([device.uuid]).get(device.uuid, {})
    largest = sorted(held, key=lambda pid: -held[pid])[:3]
    told = ", ".join(f"{_name(pid)} (pid {pid}, {format_bytes(held[pid])})" for pid in largest)
    return told or "programs that its driver does not name"


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "a program"


def _nodes(vendors: set[str | None], dev: Path) -> list[Node]:
    patterns = {pattern for vendor in vendors if vendor for pattern in NODES.get(vendor, ())}
    paths = sorted({path for pattern in patterns for path in dev.glob(pattern)})
    return [Node(str(p), _group(p), os.access(p, os.R_OK | os.W_OK)) for p in paths]


def _group(path: Path) -> str:
    """The group that may use it, `video` where it has no name here."""
    try:
        return path.group()
    except (KeyError, OSError, NotImplementedError):
        return "video"
