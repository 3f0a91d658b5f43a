"""AMD cards and APUs: amd-smi, rocm-smi, and the amdgpu driver's own figures in sysfs.

The backend is ROCm where one of ROCm's tools answers, for then its libraries are installed too,
else Vulkan. An APU's total is its carve-out plus what it may map of the host's RAM (GTT), which is
what engines allocate from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from local_swarm.domain.hardware import Device
from local_swarm.hardware.amd_tools import from_amd_smi, from_rocm_smi, is_apu
from local_swarm.hardware.base import Findings, Roots
from local_swarm.hardware.combine import combine
from local_swarm.hardware.drm import drm_cards, pci_name
from local_swarm.hardware.tools import Runner, run_tool, side_by_side
from local_swarm.hardware.values import (
    AMD,
    bus_id,
    folders,
    known,
    left_of,
    new_device,
    read_number,
    read_text,
    size,
)

AMD_SMI_STATIC = ("amd-smi", "static", "--asic", "--bus", "--driver", "--vram", "--json")
AMD_SMI_METRIC = ("amd-smi", "metric", "--mem-usage", "--json")
ROCM_SMI = (
    *("rocm-smi", "--showproductname", "--showbus", "--showuniqueid", "--showdriverversion"),
    *("--showmeminfo", "vram", "gtt", "--json"),
)


class AmdProbe:
    name = "amd"

    def __init__(self, run: Runner = run_tool) -> None:
        self._run = run

    def read(self, roots: Roots) -> Findings:
        kernel = list(from_sysfs(roots))
        static, metric, rocm = side_by_side(self._run, (AMD_SMI_STATIC, AMD_SMI_METRIC, ROCM_SMI))
        tools = [list(from_amd_smi(static, metric)), list(from_rocm_smi(rocm))]
        devices = combine([Findings(devices=tuple(source)) for source in (*tools, kernel)])
        backend = "ROCm" if any(tools) else "Vulkan"
        return Findings(
            devices=tuple(
                replace(_with_share(device, kernel), backend=backend) for device in devices
            )
        )


def _with_share(device: Device, kernel: Sequence[Device]) -> Device:
    """An APU as the kernel knows it, where a tool only told of its carve-out."""
    for twin in kernel if device.integrated else ():
        if twin.bus_id == device.bus_id and (twin.total_bytes or 0) > (device.total_bytes or 0):
            return replace(device, total_bytes=twin.total_bytes, free_bytes=twin.free_bytes)
    return device


def from_sysfs(roots: Roots) -> Iterator[Device]:
    """What the amdgpu driver writes to sysfs; KFD names the instruction set of each card."""
    nodes = dict(_kfd_nodes(roots))
    driver = known(read_text(roots.sys / "module" / "amdgpu" / "version"))
    for _, card in drm_cards(roots, AMD):
        node = nodes.get(card.bus_id or "")
        apu = is_apu(node.gfx) if node and node.gfx else None
        vram, vram_free = _pool(roots, card.path / "mem_info_vram")
        gtt, gtt_free = _pool(roots, card.path / "mem_info_gtt", shared=True) if apu else (0, 0)
        serial = known(read_text(card.path / "unique_id")) or (node.unique_id if node else None)
        yield new_device(
            AMD,
            uuid=f"GPU-{serial}" if serial else None,
            name=known(read_text(card.path / "product_name")) or pci_name(roots, card),
            total_bytes=_sum(vram, gtt),
            free_bytes=_sum(vram_free, gtt_free),
            driver=driver,
            bus_id=card.bus_id,
            integrated=apu,
            compute_capability=node.gfx if node else None,
        )


def _pool(roots: Roots, stem: Path, *, shared: bool = False) -> tuple[int | None, int | None]:
    """Size and free bytes of one pool; of RAM no more is free than the host has available."""
    total = size(read_number(stem.with_name(f"{stem.name}_total")))
    free = left_of(total, read_number(stem.with_name(f"{stem.name}_used")))
    available = _available(roots) if shared else None
    return total, min(free, available) if free is not None and available is not None else free


def _available(roots: Roots) -> int | None:
    for line in read_text(roots.proc / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return size(line.partition(":")[2])
    return None


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else (one + other) or None


@dataclass(frozen=True, slots=True)
class _Node:
    gfx: str | None
    unique_id: str | None


def _kfd_nodes(roots: Roots) -> Iterator[tuple[str, _Node]]:
    """KFD's GPUs by PCI address. Source: the kernel's drivers/gpu/drm/amd/amdkfd/kfd_topology.c."""
    nodes = folders(roots.sys / "class" / "kfd" / "kfd" / "topology" / "nodes", r"\d+")
    for folder in nodes:
        words = (line.split() for line in read_text(folder / "properties").splitlines())
        facts = {w[0]: int(w[1]) for w in words if len(w) == 2 and w[1].isdecimal()}
        if not facts.get("simd_count"):
            continue  # a CPU
        place, version = facts.get("location_id", 0), facts.get("gfx_target_version", 0)
        address = f"{facts.get('domain', 0):04x}:{place >> 8 & 255:02x}:{place >> 3 & 31:02x}"
        serial = facts.get("unique_id")
        node = _Node(gfx_name(version), f"{serial:016x}" if serial else None)
        yield bus_id(f"{address}.{place & 7}") or "", node


def gfx_name(version: int) -> str | None:
    """`110501` -> `gfx1151`: major, minor and a hexadecimal stepping, two digits each."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else None
