"""The JSON form of a `HostSnapshot`: what `lswarm hardware --json` prints and plans read.

`{"os","arch","cpu":{"model","physical","logical"},"memory":{"total_bytes","available_bytes",
"limit_bytes"},"unified","devices":[{"id","uuid","vendor","name","backend","total_bytes",
"free_bytes","driver"}]}`; an unknown fact is null. Beyond that, and only where they are known: a
device's `bus_id`, `integrated`, `compute_capability`, `others_bytes`, `power_limit_w`, the CPU's
`numa`. Keys of later versions are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from local_swarm.domain.hardware import Cpu, Device, HostSnapshot
from local_swarm.domain.plan import CPU_DEVICE
from local_swarm.errors import ConfigError

MAX_FILE_BYTES = 1 << 20
MOST_BYTES = 1 << 63  # of memory


def to_dict(host: HostSnapshot) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(host))
    document["cpu"] = _known(document["cpu"], Cpu)
    document["devices"] = [_known(device, Device) for device in document["devices"]]
    return document


def to_json(host: HostSnapshot) -> str:
    return msgspec.json.format(msgspec.json.encode(to_dict(host)), indent=2).decode()


def _known(document: dict[str, Any], kind: type) -> dict[str, Any]:
    """Without the keys beyond the contract (those with a default) that say nothing."""
    optional = {f.name for f in fields(kind) if f.default is not MISSING}
    return {k: v for k, v in document.items() if k not in optional or v not in (None, [])}


def load(path: Path) -> HostSnapshot:
    """Reads one snapshot. `ConfigError` names the file and the place in it that is wrong."""
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_FILE_BYTES)
    except (OSError, ValueError) as error:
        raise _refusal(path, str(error)) from error
    try:
        host = msgspec.convert(msgspec.json.decode(text), HostSnapshot)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(path, str(error)) from error
    problem = _nonsense(host)
    if problem:
        raise _refusal(path, problem)
    return host


def _nonsense(host: HostSnapshot) -> str | None:
    """What no machine can have, with its place."""
    return next(chain(_wrong_sizes(host), _wrong_names(host.devices)), None)


def _wrong_sizes(host: HostSnapshot) -> Iterator[str]:
    cpu, memory = host.cpu, host.memory
    least = [
        ("$.cpu.logical", cpu.logical, 1),
        ("$.cpu.physical", cpu.physical, 1),
        ("$.memory.total_bytes", memory.total_bytes, 1),
        ("$.memory.available_bytes", memory.available_bytes, 0),
        ("$.memory.limit_bytes", memory.limit_bytes, 0),
    ]
    for index, device in enumerate(host.devices):
        least.append((f"$.devices[{index}].total_bytes", device.total_bytes, 0))
        least.append((f"$.devices[{index}].free_bytes", device.free_bytes, 0))
        least.append((f"$.devices[{index}].others_bytes", device.others_bytes, 0))
    for place, value, smallest in least:
        if value is not None and value < smallest:
            yield f"{value} is too small - at `{place}`"
        if value is not None and place.endswith("_bytes") and value > MOST_BYTES:
            yield f"{value} is too large - at `{place}`"


def _wrong_names(devices: Sequence[Device]) -> Iterator[str]:
    """A plan tells devices apart by their ids, and pins them by their uuids."""
    ids: dict[str, int] = {}
    uuids: dict[str, int] = {}
    for index, device in enumerate(devices):
        if device.id in ("", CPU_DEVICE):
            yield f"{device.id!r} is no accelerator's name - at `$.devices[{index}].id`"
        if (first := ids.setdefault(device.id, index)) != index:
            yield f"{device.id!r} is $.devices[{first}] already - at `$.devices[{index}].id`"
        if device.uuid is not None and (first := uuids.setdefault(device.uuid, index)) != index:
            yield f"{device.uuid!r} is $.devices[{first}] already - at `$.devices[{index}].uuid`"


def _refusal(path: Path, problem: str) -> ConfigError:
    return ConfigError(
        f"The hardware file {path} cannot be used: {problem}.",
        hint="Write one with: lswarm hardware --json > FILE",
    )
