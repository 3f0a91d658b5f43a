"""Windows' own list of display adapters, for cards that no vendor's tool told of.

`Win32_VideoController.AdapterRAM` is 32 bits wide and ends at 4 GiB, so the size comes from the
driver's 64-bit registry value (`HardwareInformation.qwMemorySize`) where there is one. What is free
is not told.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from typing import Any

from local_swarm.domain.hardware import Device
from local_swarm.hardware.base import Findings, Roots
from local_swarm.hardware.intel_tools import integrated_by_name
from local_swarm.hardware.tools import Runner, run_tool
from local_swarm.hardware.values import (
    AMD,
    INTEL,
    NVIDIA,
    PCI_VENDORS,
    QUALCOMM,
    json_in,
    known,
    mapping,
    new_device,
    size,
)

_CLASS = r"HKLM:\SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
_SCRIPT = (
    "$ErrorActionPreference='SilentlyContinue';"
    "[Console]::OutputEncoding=[Text.Encoding]::UTF8;"
    "$c=@(Get-CimInstance Win32_VideoController | "
    "Select-Object Name,AdapterRAM,DriverVersion,PNPDeviceID);"
    f"$r=@(Get-ChildItem '{_CLASS}' | Get-ItemProperty | "
    "Select-Object DriverDesc,MatchingDeviceId,'HardwareInformation.qwMemorySize');"
    "@{controllers=$c;registry=$r} | ConvertTo-Json -Depth 3 -Compress"
)
COMMAND = ("powershell.exe", "-NoProfile", "-NonInteractive", "-Command", _SCRIPT)

_CAPPED = (1 << 32) - (1 << 21)  # at and above this, AdapterRAM says "4 GiB or more"
_BACKENDS = {NVIDIA: "CUDA", AMD: "Vulkan", INTEL: "Vulkan", QUALCOMM: "OpenCL"}
_AMD_APU = re.compile(
    r"Radeon(\(TM\))?( RX)?( Vega( \d+)?)? Graphics$|Radeon(\(TM\))? \d{3,4}[MS]\b"
)


class WindowsProbe:
    name = "windows"

    def __init__(self, run: Runner = run_tool, system: str | None = None) -> None:
        self._run = run
        self._system = system or platform.system()

    def read(self, roots: Roots) -> Findings:
        if self._system != "Windows":
            return Findings()
        return Findings(devices=tuple(from_report(self._run(COMMAND))))


def from_report(text: str) -> Iterator[Device]:
    """What `COMMAND` prints. Adapters of no known vendor (remote desktops, basic) are left out."""
    document = mapping(json_in(text))
    registry = _entries(document.get("registry"))
    for controller in _entries(document.get("controllers")):
        place = known(controller.get("PNPDeviceID")) or ""
        vendor = _vendor(place)
        if vendor is None:
            continue
        name = known(controller.get("Name"))
        shared = integrated(vendor, name)
        yield new_device(
            vendor,
            name=name,
            backend=_BACKENDS[vendor],
            total_bytes=None if shared else _memory(controller, place, registry),
            driver=known(controller.get("DriverVersion")),
            integrated=shared,
        )


def integrated(vendor: str, name: str | None) -> bool | None:
    """Whether the adapter works in the host's RAM, by vendor and name; None where unsaid."""
    if vendor in (NVIDIA, QUALCOMM):
        return vendor == QUALCOMM
    if vendor == INTEL:
        return integrated_by_name(name)
    return True if name and _AMD_APU.search(name) else None


def _memory(controller: dict[str, Any], place: str, registry: list[dict[str, Any]]) -> int | None:
    """The registry's size of the same adapter, else AdapterRAM where it can be believed."""
    for entry in registry:
        matching = _ids(known(entry.get("MatchingDeviceId")) or "")
        told = size(entry.get("HardwareInformation.qwMemorySize"))
        if told and matching and matching <= _ids(place):
            return told
    ram = size(controller.get("AdapterRAM"))
    return ram if ram is not None and ram < _CAPPED else None


def _ids(place: str) -> set[str]:
    """`PCI\\VEN_1002&DEV_744C&REV_C8\\6&2F` -> {VEN_1002, DEV_744C, REV_C8}."""
    return {part for part in re.split(r"[\\&]", place.upper()) if re.match(r"[A-Z]+_", part)}


def _vendor(place: str) -> str | None:
    """By PCI id. Arm machines have their graphics on no PCI bus: `ACPI\\QCOM0C36\\0`."""
    match = re.search(r"\bVEN_([0-9A-F]{4})\b", place.upper())
    if match:
        return PCI_VENDORS.get(int(match[1], 16))
    return QUALCOMM if "QCOM" in place.upper() else None


def _entries(value: object) -> list[dict[str, Any]]:
    """PowerShell writes a list of one as the one."""
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if isinstance(entry, dict)]
