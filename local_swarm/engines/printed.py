"""The sizes llama.cpp prints while it loads (at `-lv 4`), read back. Pure.

    load_tensors:   CPU_Mapped model buffer size =     1.03 MiB
    llama_kv_cache:        CUDA0 KV buffer size =    64.00 MiB

No endpoint tells them. They are rounded to 0.01 MiB.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

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


def _device(buffer: str) -> str:
    """`CPU_Mapped`, `CPU_REPACK`, `CUDA_Host` are host memory; `CUDA0` is itself."""
    return CPU_DEVICE if buffer.startswith("CPU") or buffer.endswith("_Host") else buffer
