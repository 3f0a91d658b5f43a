"""Graphics cards as the Linux kernel lists them: /sys/class/drm and /sys/bus/pci."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local_swarm.hardware.base import Roots
from local_swarm.hardware.values import PCI_VENDORS, bus_id, folders, read_number, read_text

_DISPLAY, _ACCELERATOR = 0x03, 0x12


@dataclass(frozen=True, slots=True)
class Card:
    """One PCI function; `path` is its folder in sysfs, `driver` the kernel's driver."""

    path: Path
    vendor: str
    device: int | None
    bus_id: str | None
    driver: str | None


def drm_cards(roots: Roots, vendor: str) -> Iterator[tuple[Path, Card]]:
    """A vendor's cards with a display driver: the card's own folder, and its PCI function."""
    for folder in folders(roots.sys / "class" / "drm", r"card\d+"):
        card = _card(folder / "device")
        if card and card.vendor == vendor:
            yield folder, card


def pci_cards(roots: Roots) -> Iterator[Card]:
    """Every accelerator on the bus of a vendor we know, with or without a driver."""
    for folder in folders(roots.sys / "bus" / "pci" / "devices", r"[0-9a-f:.]+"):
        kind = (read_number(folder / "class") or 0) >> 16
        if kind not in (_DISPLAY, _ACCELERATOR):
            continue
        card = _card(folder)
        # Intel's class-12 devices are NPUs, which no engine here drives.
        if card and (kind == _DISPLAY or card.vendor == "AMD"):
            yield card


def pci_name(roots: Roots, card: Card) -> str | None:
    """The card's name in the system's pci.ids, where that is installed."""
    vendor = next(number for number, name in PCI_VENDORS.items() if name == card.vendor)
    if card.device is None:
        return None
    for path in ("misc/pci.ids", "hwdata/pci.ids"):
        try:
            text = (roots.share / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        section = re.search(rf"^{vendor:04x}\s.*\n((?:[\t#].*\n?)*)", text, re.MULTILINE)
        pattern = rf"^\t{card.device:04x}\s+(.+)$"
        named = re.search(pattern, section[1], re.MULTILINE) if section else None
        return named[1].strip() if named else None
    return None


def _card(folder: Path) -> Card | None:
    vendor = PCI_VENDORS.get(read_number(folder / "vendor") or 0)
    if vendor is None:
        return None
    lines = (line.partition("=") for line in read_text(folder / "uevent").splitlines())
    said = {key: value for key, _, value in lines}
    address = bus_id(said.get("PCI_SLOT_NAME")) or bus_id(folder.name)
    device = read_number(folder / "device")
    return Card(folder, vendor, device, address, said.get("DRIVER") or None)
