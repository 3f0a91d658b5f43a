"""Intel graphics: xpu-smi, the i915 and xe drivers' sysfs, clinfo and sycl-ls, best first.

The backend is SYCL where sycl-ls lists a GPU, for then Level Zero works, else Vulkan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from local_swarm.domain.hardware import Device
from local_swarm.hardware.base import Findings, Roots
from local_swarm.hardware.combine import combine
from local_swarm.hardware.drm import drm_cards, pci_name
from local_swarm.hardware.intel_tools import from_clinfo, from_sycl_ls, from_xpu_smi
from local_swarm.hardware.pci import intel_integrated
from local_swarm.hardware.tools import Runner, run_tool, side_by_side
from local_swarm.hardware.values import INTEL, new_device, read_number, size

# Device id, name, UUID, driver version, PCI address, memory size: one line of CSV for each card.
XPU_SMI = ("xpu-smi", "discovery", "--dump", "1,2,4,8,11,16")
CLINFO = ("clinfo",)
SYCL_LS = ("sycl-ls",)


class IntelProbe:
    name = "intel"

    def __init__(self, run: Runner = run_tool) -> None:
        self._run = run

    def read(self, roots: Roots) -> Findings:
        kernel = list(from_sysfs(roots))
        xpu, cl, sycl = side_by_side(self._run, (XPU_SMI, CLINFO, SYCL_LS))
        by_sycl = list(from_sycl_ls(sycl))
        sources = (list(from_xpu_smi(xpu)), kernel, list(from_clinfo(cl)), by_sycl)
        devices = combine([Findings(devices=tuple(source)) for source in sources])
        backend = "SYCL" if by_sycl else "Vulkan"
        return Findings(devices=tuple(replace(device, backend=backend) for device in devices))


def from_sysfs(roots: Roots) -> Iterator[Device]:
    """Cards with a kernel driver. Only Intel's own i915 packages say how much memory there is."""
    for folder, card in drm_cards(roots, INTEL):
        total = size(read_number(folder / "lmem_total_bytes"))
        free = read_number(folder / "lmem_avail_bytes") if total else None
        yield new_device(
            INTEL,
            name=pci_name(roots, card),
            total_bytes=total,
            free_bytes=free if free is None or 0 <= free <= (total or 0) else None,
            driver=card.driver,
            bus_id=card.bus_id,
            integrated=intel_integrated(card),
        )
