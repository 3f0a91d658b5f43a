"""Makes one list of devices of what several sources saw. Pure.

Sources come best first. One card seen twice is listed once: the first source's facts stand, later
ones fill what is unknown. Devices are the same by PCI address or UUID; a source that gives neither
(sycl-ls, Windows) is matched to its vendor's cards by name, else by order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace

from local_swarm.domain.hardware import Device
from local_swarm.hardware.base import Findings

_FACTS = tuple(f.name for f in fields(Device) if f.name != "free_bytes")
_PREFIX = {"Metal": "MTL", None: "gpu"}
_NOISE = {"r", "tm", "nvidia", "amd", "ati", "intel", "graphics", "corporation", "inc", "gpu"}


def combine(sources: Sequence[Findings]) -> tuple[Device, ...]:
    """All devices of all sources, each once, in the order they were first seen."""
    listed: list[Device] = []
    complete: frozenset[str] = frozenset()
    for source in sources:
        listed = _joined(listed, source.devices, complete)
        complete |= source.complete
    return tuple(listed)


def numbered(devices: Sequence[Device]) -> tuple[Device, ...]:
    """Gives every device without an `id`, or with one already taken, its backend's next number."""
    taken: set[str] = set()
    out: list[Device] = []
    reserved = {device.id for device in devices}
    for device in devices:
        name = device.id
        if not name or name in taken:
            prefix = _PREFIX.get(device.backend, device.backend)
            number = 0
            while (name := f"{prefix}{number}") in taken | reserved:
                number += 1
        taken.add(name)
        out.append(replace(device, id=name))
    return tuple(out)


def same_name(one: str | None, other: str | None) -> bool:
    """Whether two names mean one model, for all the decoration tools put around it."""
    return one is not None and other is not None and name_words(one) == name_words(other)


def name_words(name: str) -> frozenset[str]:
    """`Intel(R) Arc(TM) B580 Graphics` -> arc, b580; a driver in brackets is left out."""
    plain = re.sub(r"\((?!R\)|TM\))[^()]*\)", " ", name, flags=re.IGNORECASE)
    return frozenset(re.findall(r"[a-z0-9]+", plain.lower())) - _NOISE


def _joined(
    listed: Sequence[Device], later: Sequence[Device], complete: frozenset[str]
) -> list[Device]:
    """`listed`, filled from `later`, and those of `later` that are new."""
    out, added = list(listed), list[Device]()
    taken: set[int] = set()
    for device in later:
        match = _match(listed, device, taken)
        if match is not None:
            taken.add(match)
            out[match] = _filled(out[match], device)
        elif _is_new(listed, device, complete):
            added.append(device)
    return out + added


def _match(listed: Sequence[Device], device: Device, taken: set[int]) -> int | None:
    """The listed device that `device` is."""
    open_ = [index for index in range(len(listed)) if index not in taken]
    for index in open_:
        if device.uuid and device.uuid == listed[index].uuid:
            return index
    on_bus = [i for i in open_ if device.bus_id and device.bus_id == listed[i].bus_id]
    if on_bus:
        return on_bus[0] if len(on_bus) == 1 and not _is_part(listed[on_bus[0]]) else None
    alike = [index for index in open_ if _may_be(listed[index], device)]
    by_name = (index for index in alike if same_name(listed[index].name, device.name))
    return next(by_name, alike[0] if alike else None)


def _is_new(listed: Sequence[Device], device: Device, complete: frozenset[str]) -> bool:
    """A device without an address adds nothing to a vendor whose cards are already listed."""
    if device.vendor in complete:
        return False
    if device.bus_id:
        return all(device.bus_id != other.bus_id for other in listed)
    vendors = {other.vendor for other in listed if other.vendor}
    return device.uuid is not None or device.vendor not in vendors


def _may_be(listed: Device, device: Device) -> bool:
    """Whether nothing known speaks against the two being one, and the vendor speaks for it."""
    facts = ("bus_id", "uuid", "integrated")
    pairs = ((getattr(listed, fact), getattr(device, fact)) for fact in facts)
    clash = any(one is not None and other is not None and one != other for one, other in pairs)
    return listed.vendor is not None and listed.vendor == device.vendor and not clash


def _is_part(device: Device) -> bool:
    """A MIG instance: what is said of the whole card does not hold for it."""
    return (device.uuid or "").startswith("MIG-")


def _filled(device: Device, other: Device) -> Device:
    """`device` with its unknown facts taken from `other`; free memory stays within the total."""
    facts = {}
    for name in _FACTS:
        mine = getattr(device, name)
        facts[name] = getattr(other, name) if mine in (None, "") else mine
    total, free = facts["total_bytes"], device.free_bytes
    if free is None and other.free_bytes is not None and (total or 0) >= other.free_bytes:
        free = other.free_bytes
    return Device(**facts, free_bytes=free)
