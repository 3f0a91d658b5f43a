"""The last resort on Linux: accelerators on the PCI bus that nothing else told of.

Their memory is unknown, and no backend is claimed for a card that may have no driver.
"""

from __future__ import annotations

from local_swarm.hardware.base import Findings, Roots
from local_swarm.hardware.drm import Card, pci_cards, pci_name
from local_swarm.hardware.values import INTEL, new_device

INTEL_GRAPHICS = "0000:00:02.0"  # Intel's processors have their graphics here, and only they


class PciProbe:
    name = "pci"

    def read(self, roots: Roots) -> Findings:
        cards = (card for card in pci_cards(roots) if card.driver != "vfio-pci")
        return Findings(
            devices=tuple(
                new_device(
                    card.vendor,
                    name=pci_name(roots, card),
                    bus_id=card.bus_id,
                    integrated=intel_integrated(card) if card.vendor == INTEL else None,
                )
                for card in cards
            )
        )


def intel_integrated(card: Card) -> bool | None:
    return None if card.bus_id is None else card.bus_id == INTEL_GRAPHICS
