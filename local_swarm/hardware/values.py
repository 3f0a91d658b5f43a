"""Single facts out of what tools print and files hold. All take anything and raise nothing."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from local_swarm.domain.hardware import Device
from local_swarm.domain.memory import GIB, KIB, MIB

NVIDIA, AMD, INTEL, APPLE, QUALCOMM = "NVIDIA", "AMD", "Intel", "Apple", "Qualcomm"
PCI_VENDORS = {0x10DE: NVIDIA, 0x1002: AMD, 0x8086: INTEL}

_MOST_BYTES = 1 << 50
_UNKNOWN = {"", "n/a", "[n/a]", "na", "none", "null", "unknown", "not supported", "error", "-"}
# Vendors' tools say MB and mean MiB.
_UNITS = {"b": 1, "bytes": 1, "kb": KIB, "kib": KIB, "mb": MIB, "mib": MIB, "gb": GIB, "gib": GIB}
_BUS = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-9a-f])")
_MOST_TRIES = 64


def new_device(vendor: str | None, **facts: Any) -> Device:
    """A device of which only `facts` are known, and whose number is not."""
    fields = ("uuid", "name", "backend", "total_bytes", "free_bytes", "driver")
    unknown: dict[str, Any] = dict.fromkeys(fields)
    return Device(**{"id": "", "vendor": vendor, **unknown, **facts})


def known(value: object) -> str | None:
    """The text, or None where the tool's text is one of the many ways of saying nothing."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        return None
    text = value.strip().strip("\0").strip()
    return None if text.lower() in _UNKNOWN else text


def as_bytes(value: object, unit: str = "B") -> int | None:
    """`24560`, `"24560"`, `"24560 MB"` or `{"value": 24560, "unit": "MB"}`; None if no size."""
    if isinstance(value, dict):
        return as_bytes(value.get("value"), str(value.get("unit") or unit))
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*", value)
        if not match:
            return None
        value, unit = float(match[1]) if "." in match[1] else int(match[1]), match[2] or unit
    factor = _UNITS.get(unit.lower())
    if isinstance(value, bool) or not isinstance(value, (int, float)) or factor is None:
        return None
    if not math.isfinite(value) or not 0 <= value * factor < _MOST_BYTES:
        return None
    return int(value * factor)


def size(value: object, unit: str = "B") -> int | None:
    """Like `as_bytes`; no memory at all is not knowing."""
    return as_bytes(value, unit) or None


def left_of(total_bytes: int | None, used_bytes: int | None) -> int | None:
    if total_bytes is None or used_bytes is None:
        return None
    return max(0, total_bytes - used_bytes)


def bus_id(value: object) -> str | None:
    """A PCI address in the kernel's own form: `00000000:C4:00.0` -> `0000:c4:00.0`."""
    text = known(value)
    match = _BUS.fullmatch(text.lower()) if text else None
    if not match:
        return None
    return f"{int(match[1] or '0', 16):04x}:{match[2]}:{match[3]}.{match[4]}"


def json_in(text: str) -> Any:
    """The first JSON object or array in `text`, whatever is said before and after; else None."""
    decoder = json.JSONDecoder()
    for match in list(re.finditer(r"[{\[]", text))[:_MOST_TRIES]:
        try:
            return decoder.raw_decode(text, match.start())[0]
        except (ValueError, RecursionError):
            continue
    return None


def mapping(value: object) -> dict[str, Any]:
    """`value` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def read_text(path: Path) -> str:
    """A small file's text, stripped; "" where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16).strip()
    except (OSError, ValueError):
        return ""


def read_number(path: Path) -> int | None:
    """A decimal or 0x number; None where there is none."""
    try:
        return int(read_text(path), 0)
    except ValueError:
        return None


def folders(path: Path, pattern: str) -> list[Path]:
    """Entries of `path` whose whole name matches, by name with numbers in their order."""
    try:
        found = [entry for entry in path.iterdir() if re.fullmatch(pattern, entry.name)]
    except OSError:
        return []
    return sorted(found, key=lambda e: (int("0" + re.sub(r"\D", "", e.name)), e.name))
