"""The engine's own list of devices, and how it overrules ours. Pure.

An engine build can only use the devices it lists, and its figures are those it will allocate from:
CUDA's total leaves out what the driver keeps, Metal's is the real working set.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from local_swarm.domain.hardware import Device
from local_swarm.hardware.combine import name_words, same_name
from local_swarm.hardware.values import AMD, APPLE, INTEL, NVIDIA, QUALCOMM, new_device, size

_LINE = re.compile(r"^\s+(\S[^:]*): (.*) \((\d{1,12}) MiB, (\d{1,12}) MiB free\)\s*$")
_BACKENDS = {"MTL": "Metal", "Metal": "Metal", "GPUOpenCL": "OpenCL", "OpenCL": "OpenCL"}
_VENDORS = {"CUDA": NVIDIA, "Metal": APPLE}
_MAKERS = {
    "nvidia": NVIDIA,
    "geforce": NVIDIA,
    "amd": AMD,
    "radeon": AMD,
    "intel": INTEL,
    "arc": INTEL,
    "apple": APPLE,
    "adreno": QUALCOMM,
}


@dataclass(frozen=True, slots=True)
class EngineDevice:
    """One line of `--list-devices`: `id` is the engine's name of it (CUDA0), `name` the card's."""

    id: str
    name: str
    total_bytes: int | None
    free_bytes: int | None

    @property
    def backend(self) -> str:
        stem = self.id.rstrip("0123456789")
        return _BACKENDS.get(stem, stem)


def parse_list_devices(text: str) -> tuple[EngineDevice, ...] | None:
    """What `llama-server --list-devices` prints; None where it holds no such list.

    `()` is the engine's word that it drives no accelerator. BLAS is a library, not a device.
    """
    _, heading, listing = text.partition("Available devices:")
    if not heading:
        return None
    matches = (_LINE.match(line) for line in listing.splitlines())
    return tuple(
        EngineDevice(m[1], m[2], size(int(m[3]), "MiB"), size(int(m[4]), "MiB"))
        for m in matches
        if m and m[1] != "BLAS"
    )


def merge(
    snapshot_devices: Sequence[Device], engine_devices: Sequence[EngineDevice] | None
) -> tuple[Device, ...]:
    """The devices this engine can use, in its order, by its names and with its sizes.

    Each is matched with one of ours by id and name, else by name, else by backend or vendor in
    order; from there come uuid, driver and the rest. Ours that the engine does not list are
    dropped: it cannot use them. A card that it lists once for each of two backends is listed
    once, by the backend we know it by, else by the first. Where the engine gave no list (None),
    ours stands; so do our CUDA devices where there are MIG instances among them, of which a
    process sees only the one it is pinned to.
    """
    if engine_devices is None:
        return tuple(snapshot_devices)
    pinned: list[Device] = []
    if any(device.backend == "CUDA" for device in engine_devices) and _has_mig(snapshot_devices):
        pinned = [device for device in snapshot_devices if device.backend == "CUDA"]
    ours = [device for device in snapshot_devices if device not in pinned]
    seen = [device for device in engine_devices if not (pinned and device.backend == "CUDA")]
    pairs = _pairs(ours, seen)
    return (*pinned, *_overruled(ours, seen, pairs))


def _pairs(ours: Sequence[Device], seen: Sequence[EngineDevice]) -> dict[int, int]:
    """Index of the engine's device -> index of ours, each used once, best evidence first."""
    pairs: dict[int, int] = {}
    for rule in (_same_id, _same_backend_and_name, _same_named, _same_backend, _same_vendor):
        weak = rule in (_same_backend, _same_vendor)
        for index, device in enumerate(seen):
            if index in pairs or (weak and _is_repeat(device, [seen[i] for i in pairs])):
                continue
            free = (n for n in range(len(ours)) if n not in pairs.values())
            match = next((n for n in free if rule(ours[n], device)), None)
            if match is not None:
                pairs[index] = match
    return pairs


def _overruled(
    ours: Sequence[Device], seen: Sequence[EngineDevice], pairs: dict[int, int]
) -> Iterator[Device]:
    """The engine's devices with our facts, without those that are a second view of one card."""
    kept = [seen[index] for index in pairs]
    spare = {device.vendor for n, device in enumerate(ours) if n not in pairs.values()}
    known_vendors = {device.vendor for device in ours} - spare - {None}
    for index, device in enumerate(seen):
        if index in pairs:
            yield _with_sizes(ours[pairs[index]], device)
        elif not _is_repeat(device, kept) and not _is_view_of(known_vendors, device, kept):
            kept.append(device)
            yield _with_sizes(new_device(_vendor(device), name=device.name), device)


def _is_repeat(device: EngineDevice, kept: Sequence[EngineDevice]) -> bool:
    """Whether a card of this name is there already, through another backend."""
    words = name_words(device.name)
    return any(name_words(k.name) == words and k.backend != device.backend for k in kept)


def _is_view_of(
    vendors: Collection[str | None], device: EngineDevice, kept: Sequence[EngineDevice]
) -> bool:
    """The same for backends that name a card differently: all of its vendor's cards are taken,
    none of them through this backend."""
    vendor = _vendor(device)
    through = {k.backend for k in kept if _vendor(k) == vendor}
    return vendor in vendors and bool(through) and device.backend not in through


def _has_mig(devices: Sequence[Device]) -> bool:
    return any((device.uuid or "").startswith("MIG-") for device in devices)


def _same_id(device: Device, seen: EngineDevice) -> bool:
    return device.id == seen.id and (device.name is None or same_name(device.name, seen.name))


def _same_backend_and_name(device: Device, seen: EngineDevice) -> bool:
    return device.backend == seen.backend and same_name(device.name, seen.name)


def _same_named(device: Device, seen: EngineDevice) -> bool:
    return same_name(device.name, seen.name)


def _same_backend(device: Device, seen: EngineDevice) -> bool:
    return device.backend == seen.backend and _vendor(seen) in (device.vendor, None)


def _same_vendor(device: Device, seen: EngineDevice) -> bool:
    return device.vendor is not None and device.vendor == _vendor(seen)


def _with_sizes(device: Device, seen: EngineDevice) -> Device:
    told = seen.total_bytes is not None
    return replace(
        device,
        id=seen.id,
        name=device.name or seen.name,
        backend=seen.backend,
        total_bytes=seen.total_bytes if told else device.total_bytes,
        free_bytes=(seen.free_bytes or 0) if told else device.free_bytes,
    )


def _vendor(seen: EngineDevice) -> str | None:
    words = set(re.findall(r"[a-z]+", seen.name.lower()))
    named = (vendor for word, vendor in _MAKERS.items() if word in words)
    return _VENDORS.get(seen.backend) or next(named, None)
