"""What AMD's tools print. Pure.

amd-smi answers with a list of cards, since ROCm 7 inside `{"gpu_data": [...]}`; rocm-smi with
`{"card0": {...}, "system": {...}}`, whose keys change their case between versions. Both may warn
before the JSON, and both say "N/A".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local_swarm.domain.hardware import Device
from local_swarm.hardware.values import (
    AMD,
    as_bytes,
    bus_id,
    json_in,
    known,
    left_of,
    mapping,
    new_device,
    size,
)

# Instruction sets of processors with built-in graphics (LLVM, AMDGPUUsage, "APU" in the table).
_APUS = (
    *("gfx801", "gfx902", "gfx909", "gfx90c", "gfx1013", "gfx1033", "gfx1035", "gfx1036"),
    *("gfx1037", "gfx1103", "gfx1150", "gfx1151", "gfx1152", "gfx1153"),
)


def is_apu(gfx: str) -> bool:
    return gfx in _APUS


def from_amd_smi(static: str, metric: str) -> Iterator[Device]:
    """`amd-smi static --json` and `amd-smi metric --mem-usage --json`; either may be missing."""
    used = {card.get("gpu"): mapping(card.get("mem_usage")) for card in _cards(metric)}
    named = {card.get("gpu"): card for card in _cards(static)}
    for number in dict.fromkeys((*named, *used)):
        yield _amd_smi_card(named.get(number, {}), used.get(number, {}))


def from_rocm_smi(text: str) -> Iterator[Device]:
    """`rocm-smi --showmeminfo vram gtt ... --json`."""
    document = mapping(json_in(text))
    system = _lower(document.get("system"))
    for key, value in document.items():
        if key.startswith("card") and isinstance(value, dict):
            yield _rocm_smi_card(_lower(value), known(system.get("driver version")))


def _amd_smi_card(static: dict[str, Any], usage: dict[str, Any]) -> Device:
    asic, vram = mapping(static.get("asic")), mapping(static.get("vram"))
    driver = mapping(static.get("driver"))
    gfx = known(asic.get("target_graphics_version"))
    apu = _apu_by_memory(known(vram.get("type"))) if gfx is None else is_apu(gfx)
    total = (
        size(usage.get("total_vram"), "MB")
        or size(vram.get("size"), "MB")
        or size(vram.get("size_mb"), "MB")
    )
    free = left_of(total, as_bytes(usage.get("used_vram"), "MB"))
    if apu:
        shared = as_bytes(usage.get("total_gtt"), "MB")
        total, free = _with(total, free, shared, as_bytes(usage.get("used_gtt"), "MB"))
    return new_device(
        AMD,
        uuid=_uuid(asic.get("asic_serial")),
        name=_name(asic.get("market_name")),
        total_bytes=total,
        free_bytes=free,
        driver=known(driver.get("version")) or known(driver.get("driver_version")),
        bus_id=bus_id(mapping(static.get("bus")).get("bdf")),
        integrated=apu,
        compute_capability=gfx,
    )


def _rocm_smi_card(card: dict[str, Any], driver: str | None) -> Device:
    gfx = known(card.get("gfx version"))
    total = size(card.get("vram total memory (b)"))
    free = left_of(total, as_bytes(card.get("vram total used memory (b)")))
    if gfx and is_apu(gfx):
        shared = as_bytes(card.get("gtt total memory (b)"))
        total, free = _with(total, free, shared, as_bytes(card.get("gtt total used memory (b)")))
    return new_device(
        AMD,
        uuid=_uuid(card.get("unique id")),
        name=_name(card.get("card series")) or _name(card.get("device name")),
        total_bytes=total,
        free_bytes=free,
        driver=driver,
        bus_id=bus_id(card.get("pci bus")),
        integrated=is_apu(gfx) if gfx else None,
        compute_capability=gfx,
    )


def _with(
    total: int | None, free: int | None, shared: int | None, shared_used: int | None
) -> tuple[int | None, int | None]:
    """An APU's own memory and its share of RAM; unknown unless both are known."""
    shared_free = left_of(shared, shared_used)
    both_free = None if free is None or shared_free is None else free + shared_free
    return (None if total is None or shared is None else total + shared), both_free


def _cards(text: str) -> list[dict[str, Any]]:
    document = json_in(text)
    if isinstance(document, dict):
        document = document.get("gpu_data")
    cards = document if isinstance(document, list) else []
    return [card for card in cards if isinstance(card, dict) and isinstance(card.get("gpu"), int)]


def _lower(value: object) -> dict[str, Any]:
    return {key.lower(): entry for key, entry in mapping(value).items()}


def _apu_by_memory(kind: str | None) -> bool | None:
    """Graphics cards have GDDR or HBM; only an APU works in the machine's own DDR or LPDDR."""
    return kind.upper().startswith(("DDR", "LPDDR")) if kind else None


def _name(value: object) -> str | None:
    """A name; some versions put the bare device number (0x744c) in its place."""
    text = known(value)
    return None if text is None or text.lower().startswith("0x") else text


def _uuid(value: object) -> str | None:
    """The form that HIP's and ROCm's visibility variables take: GPU-<16 hexadecimal digits>."""
    text = (known(value) or "").lower().removeprefix("0x")
    digits = text and all(c in "0123456789abcdef" for c in text) and int(text, 16)
    return f"GPU-{text:0>16}" if digits else None
