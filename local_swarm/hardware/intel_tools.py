"""What tools print about Intel graphics. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from local_swarm.domain.hardware import Device
from local_swarm.hardware.values import INTEL, bus_id, known, new_device, size

# [level_zero:gpu][level_zero:0] PLATFORM, NAME VERSION [DRIVER]; before 2024
# [ext_oneapi_level_zero:gpu:0] PLATFORM, NAME VERSION [DRIVER]
_SYCL = re.compile(
    r"\[(?:ext_oneapi_)?level_zero:gpu(?::\d+)?\](?:\[level_zero:\d+\])?\s*"
    r"[^,]*,\s*(?P<name>.+?)\s+[\d.]+\s*\[(?P<driver>[^\]]+)\]"
)
_DISCRETE = re.compile(r"\bArc\b.*\b[AB]\d{2,3}M?\b|Data Center GPU|\bFlex\b|\bMax\b|\bDG[12]\b")
_SHARED = re.compile(r"\b(U?HD|Iris)\b.*Graphics|\bArc(\(TM\))? Graphics\b")


def integrated_by_name(name: str | None) -> bool | None:
    """Whether Intel graphics of this name are part of the processor; None where it is not said."""
    if name is None or not (_DISCRETE.search(name) or _SHARED.search(name)):
        return None
    return not _DISCRETE.search(name)


def from_xpu_smi(text: str) -> Iterator[Device]:
    """`xpu-smi discovery --dump IDS`: CSV under a line that names the columns."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("Device ID,")), None)
    if start is None:
        return
    try:
        rows = list(csv.DictReader(lines[start:], skipinitialspace=True))
    except csv.Error:
        return
    for row in rows:
        name = known(row.get("Device Name"))
        if name:
            yield new_device(
                INTEL,
                uuid=known(row.get("SOC UUID")) or known(row.get("UUID")),
                name=name,
                total_bytes=size(row.get("Memory Physical Size")),
                driver=known(row.get("Driver Version")),
                bus_id=bus_id(row.get("PCI BDF Address")),
                integrated=integrated_by_name(name),
            )


def from_sycl_ls(text: str) -> Iterator[Device]:
    """The GPUs Level Zero lists; the OpenCL lines are the same cards once more."""
    for line in text.splitlines():
        match = _SYCL.search(line)
        if match and "intel" in line.lower():
            name = match["name"]
            shared = integrated_by_name(name)
            yield new_device(INTEL, name=name, driver=match["driver"], integrated=shared)


def from_clinfo(text: str) -> Iterator[Device]:
    """`clinfo`: Intel's GPUs among the devices. The size is what OpenCL lets one process have."""
    told = text.partition("NULL platform")[0]
    for section in re.split(r"^(?=  Device Name\s)", told, flags=re.MULTILINE)[1:]:
        facts = dict(_clinfo_facts(section))
        if facts.get("Device Vendor ID") != "0x8086" or "GPU" not in facts.get("Device Type", ""):
            continue
        name = known(facts.get("Device Name"))
        shared = {"Yes": True, "No": False}.get(facts.get("Unified memory for Host and Device", ""))
        address = facts.get("Device PCI bus info (KHR)", "").rpartition(" ")[2]
        yield new_device(
            INTEL,
            name=name,
            total_bytes=size(facts.get("Global memory size", "").partition("(")[0]),
            driver=known(facts.get("Driver Version")),
            bus_id=bus_id(address),
            integrated=integrated_by_name(name) if shared is None else shared,
        )


def _clinfo_facts(section: str) -> Iterator[tuple[str, str]]:
    """`  Key   value` lines, the key and the value two blanks or more apart."""
    for line in section.splitlines():
        key, _, value = line.strip().partition("  ")
        if value.strip():
            yield key.strip(), value.strip()
