"""The sizes llama.cpp prints while it loads (at `-lv 4`), read back. Pure.

    load_tensors:   CPU_Mapped model buffer size =     1.03 MiB
    llama_kv_cache:        CUDA0 KV buffer size =    64.00 MiB

No endpoint tells them. They are rounded to 0.01 MiB. In a dry run (`dry_run.py`) nothing is
allocated, and the sizes that would have been are told in part:

    llama_kv_cache:        CUDA0 KV buffer size =     0.00 MiB
    llama_kv_cache: size =  384.00 MiB (  2048 cells,  48 layers,  2/2 seqs), K (f16): ...
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from local_swarm.domain.memory import MIB
from local_swarm.domain.plan import CPU_DEVICE, MemoryPart

KINDS = {
    "model": "weights",
    "KV": "kv",
    "RS": "recurrent",
    "output": "output",
    "compute": "compute",
}
_LINE = re.compile(
    r":\s+(?P<device>\S+)\s+(?P<what>model|KV|RS|output|compute) buffer size\s*=\s*"
    r"(?P<size>\d+(?:\.\d+)?) MiB"
)
_CACHE = re.compile(r"llama_kv_cache: size\s*=\s*(?P<size>\d+(?:\.\d+)?) MiB")
# Kinds of buffer that one device has, by what follows its name.
_VARIANT = re.compile(r"(?P<device>[A-Za-z]+\d*)_(Mapped|Private|Split)")
_HOST = ("CPU", "AMX")  # AMX, like CPU_REPACK, is weights laid out anew in host memory


def printed_sizes(lines: Iterable[str]) -> tuple[MemoryPart, ...]:
    """What the engine says it allocated, summed by device and kind, in order of appearance.

    Host buffers (mapped, repacked, pinned for a GPU) count as the CPU's. Empty when it printed
    nothing of the kind.
    """
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for line in lines:
        if match := _LINE.search(line):
            key = (_device(match["device"]), KINDS[match["what"]])
            sizes[key] += round(float(match["size"]) * MIB)
    return tuple(MemoryPart(device, kind, size) for (device, kind), size in sizes.items())


def reckoned_sizes(lines: Iterable[str]) -> tuple[MemoryPart, ...]:
    """What the engine says it would allocate, out of the lines of its dry run.

    Compute, output and recurrent state; the cache too where one device has all of it. Weights are
    not told: they are the file's own tensors. Empty when it printed nothing of compute.
    """
    lines = tuple(lines)
    told = [part for part in printed_sizes(lines) if part.kind not in ("weights", "kv")]
    holders = {part.device for part in printed_sizes(lines) if part.kind == "kv"}
    caches = [round(float(match["size"]) * MIB) for match in map(_CACHE.search, lines) if match]
    if len(holders) == 1 and caches:
        told.append(MemoryPart(holders.pop(), "kv", sum(caches)))
    return tuple(told) if any(part.kind == "compute" for part in told) else ()


def tells_size(line: str) -> str | None:
    """The kind of memory that a line is about, None where it is about something else."""
    if match := _LINE.search(line):
        return KINDS[match["what"]]
    return "kv" if _CACHE.search(line) else None


def on_devices(parts: Iterable[MemoryPart], devices: Sequence[str]) -> tuple[MemoryPart, ...]:
    """The parts with their devices named as the plan does.

    A child numbers what it sees from 0, for each backend, in the order of its `devices`; the host
    and what is not among them keep their name. `devices` may be UUIDs.
    """
    return tuple(replace(part, device=_planned(part.device, devices)) for part in parts)


def _planned(printed: str, devices: Sequence[str]) -> str:
    if printed == CPU_DEVICE:
        return printed
    others = [device for device in devices if device != CPU_DEVICE]
    backend, number = _split(printed)
    same = [device for device in others if _split(device)[0] == backend] or others
    if backend == "sycl":  # its selector only filters: the runtime's order stays
        same.sort(key=_split)
    return same[number] if number < len(same) else printed


def _split(device: str) -> tuple[str, int]:
    """`'CUDA1'` -> `('cuda', 1)`."""
    name = device.rstrip("0123456789")
    return name.lower(), int(device[len(name) :] or 0)


def _device(buffer: str) -> str:
    """`CPU_REPACK` and `CUDA_Host` are host memory, `CUDA0` and `MTL0_Mapped` a device's."""
    if buffer.startswith(_HOST) or buffer.endswith("_Host"):
        return CPU_DEVICE
    variant = _VARIANT.fullmatch(buffer)
    return variant["device"] if variant else buffer
