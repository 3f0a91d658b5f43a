"""What processes and all that they started hold, in RAM and on devices.

Sources: kernel Documentation/filesystems/proc.rst (smaps_rollup, through psutil), NVML's lists of
processes, and Documentation/gpu/drm-usage-stats.rst for AMD cards. The last was seen in recorded
files only.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from local_swarm.domain.hardware import Device
from local_swarm.domain.memory import GIB, KIB, MIB
from local_swarm.hardware import nvidia
from local_swarm.hardware.base import TIMEOUT_S, Roots
from local_swarm.hardware.bounded import Bounded
from local_swarm.hardware.values import AMD, NVIDIA, bus_id, folders, read_text

_drivers = Bounded("process-memory")
_VRAM = re.compile(r"drm-(resident|memory)-vram:\s*(\d{1,15})\s*([KMG]iB)?")
_UNITS = {"": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """What a process and its descendants hold now.

    `rss_bytes` counts a page that several of them map once for each, `pss_bytes` shares it out
    among all that map it: only that adds up over workers that map one file. None where the system
    does not tell (macOS, Windows). `device_bytes` is by device id, for the devices whose driver
    names one of the processes.
    """

    rss_bytes: int
    pss_bytes: int | None
    device_bytes: Mapping[str, int] = field(default_factory=dict)


def process_memory(
    pids: Collection[int],
    devices: Sequence[Device] = (),
    roots: Roots | None = None,
    *,
    with_pss: bool = True,
    timeout_s: float = TIMEOUT_S,
) -> dict[int, ProcessMemory]:
    """By pid, for those that are there. `roots` are for what AMD's driver writes of processes.

    Blocks for milliseconds, and for a driver that hangs at most `timeout_s`. For the PSS the kernel
    walks all that is mapped, which takes 3 ms for each GiB. Raises nothing.
    """
    trees = _trees(pids)
    held = _drivers.ask(lambda: _on_devices(trees, devices, roots or Roots()), timeout_s) or {}
    found = {pid: _in_ram(tree, with_pss=with_pss) for pid, tree in trees.items()}
    return {
        pid: ProcessMemory(*ram, device_bytes=held.get(pid, {}))
        for pid, ram in found.items()
        if ram is not None
    }


def _trees(pids: Collection[int]) -> dict[int, list[int]]:
    """Each pid with all its descendants; one pass over the processes of the machine."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    try:
        for process in psutil.process_iter(["ppid"]):
            children[process.info["ppid"] or 0].append(process.pid)
    except (OSError, psutil.Error):
        children.clear()  # the processes themselves are asked all the same
    return {pid: list(_below(pid, children)) for pid in pids}


def _below(root: int, children: Mapping[int, Sequence[int]]) -> Iterator[int]:
    """`root` first. A pid that was given anew while we looked must not lead round in a circle."""
    seen, waiting = {root}, [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        new = [child for child in children.get(pid, ()) if child not in seen]
        seen.update(new)
        waiting += new


def _in_ram(tree: Sequence[int], *, with_pss: bool) -> tuple[int, int | None] | None:
    """RSS and PSS of a tree; None where its root is gone."""
    sizes = [_size(pid, with_pss=with_pss) for pid in tree]
    if sizes[0] is None:
        return None
    there = [size for size in sizes if size is not None]
    shares = [pss for _, pss in there if pss is not None]
    return sum(rss for rss, _ in there), sum(shares) if len(shares) == len(there) else None


def _size(pid: int, *, with_pss: bool) -> tuple[int, int | None] | None:
    """RSS and PSS; of a process that has ended, or is none of ours to see, None."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        rss: int = process.memory_info().rss
    except (OSError, psutil.Error):
        return None
    return rss, _pss(process) if with_pss else None


def _pss(process: psutil.Process) -> int | None:
    if not psutil.LINUX:
        return None
    try:
        return int(process.memory_full_info().pss)
    except (OSError, psutil.Error):
        return None


def _on_devices(
    trees: Mapping[int, Sequence[int]], devices: Sequence[Device], roots: Roots
) -> dict[int, dict[str, int]]:
    """Bytes by root pid and device id."""
    by_device = _nvidia(devices) | _amd(trees, devices, roots)
    found: dict[int, dict[str, int]] = {}
    for root, tree in trees.items():
        told = {id_: [held[pid] for pid in tree if pid in held] for id_, held in by_device.items()}
        found[root] = {id_: sum(amounts) for id_, amounts in told.items() if amounts}
    return found


def _nvidia(devices: Sequence[Device]) -> dict[str, Mapping[int, int]]:
    uuids = {d.id: d.uuid for d in devices if d.vendor == NVIDIA and d.uuid}
    told = nvidia.held_bytes(set(uuids.values())) if uuids else {}
    return {id_: told[uuid] for id_, uuid in uuids.items() if uuid in told}


def _amd(
    trees: Mapping[int, Sequence[int]], devices: Sequence[Device], roots: Roots
) -> dict[str, Mapping[int, int]]:
    ids = {d.bus_id: d.id for d in devices if d.vendor == AMD and d.bus_id}
    found: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for pid in {pid for tree in trees.values() for pid in tree} if ids else ():
        for place, amount in _drm_memory(roots.proc / str(pid) / "fdinfo").items():
            if place in ids:
                found[ids[place]][pid] = amount
    return dict(found)


def _drm_memory(folder: Path) -> Counter[str]:
    """VRAM by PCI address of one process, from what the driver writes of its open files.

    Several files may be of one client, each of which then tells all that the client holds.
    """
    clients: dict[tuple[str, str], int] = {}
    for file in folders(folder, r"\d+"):
        text = read_text(file)
        facts = dict(_fact(line) for line in text.splitlines())
        place, amount = bus_id(facts.get("drm-pdev")), _vram(text)
        if place and amount is not None:
            clients[place, facts.get("drm-client-id", file.name)] = amount
    held: Counter[str] = Counter()
    for (place, _), amount in clients.items():
        held[place] += amount
    return held


def _fact(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key, value.strip()


def _vram(text: str) -> int | None:
    """What is resident; older drivers call it just memory."""
    told = {kind: int(size) * _UNITS[unit] for kind, size, unit in _VRAM.findall(text)}
    return told.get("resident", told.get("memory"))
