"""This machine as an engine can use it: what the probes found, by the engine's own list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from local_swarm import hardware
from local_swarm.domain.hardware import Device, HostSnapshot
from local_swarm.engines import Engine, choose, is_pinnable
from local_swarm.errors import EngineError

BUILDS = {
    "NVIDIA": "CUDA",
    "AMD": "ROCm or Vulkan",
    "Intel": "SYCL or Vulkan",
    "Apple": "Metal",
    "Qualcomm": "OpenCL",
}
ANY_BUILD = "Vulkan"


@dataclass(frozen=True, slots=True)
class Machine:
    """`host` has only devices that the engine drives; `notes` are sentences for people about those
    it does not, and what to do about it. `undriven`: there are some, and it can use none."""

    host: HostSnapshot
    notes: tuple[str, ...] = ()
    undriven: bool = False


def machine(engine: Engine) -> Machine:
    """Probes the machine and asks the engine, side by side where its list can add to ours.

    Blocks for two seconds at most, seven where the engine hangs. Raises FitError when CPU or RAM
    stay unknown.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="engine-devices") as pool:
        asked = pool.submit(engine.devices) if engine.finds_devices else None
        host = hardware.snapshot()
        told = asked.result() if asked else engine.devices() if host.devices else None
    return as_driven(host, told, engine_label(engine) if told or host.devices else engine.name)


def found(engine: str, path: str) -> Machine:
    """The same for the engine that the settings name, or for none where it is not installed."""
    try:
        chosen = choose(engine, path=path)
    except EngineError as error:
        return Machine(hardware.snapshot(), (f"{error.message} The devices are the system's own.",))
    return machine(chosen)


def engine_label(engine: Engine) -> str:
    """`xllamacpp 2026.10.11549`: the engine and its version, where it tells one."""
    version = engine.available().version
    return f"{engine.name} {version}" if version else engine.name


def as_driven(host: HostSnapshot, told: str | None, engine: str) -> Machine:
    """`host` with the devices of the engine's list, given as text (None: it gave none). Pure.

    A device that no worker can be pinned to is left out, and so is a second one of the same name.
    """
    listed = hardware.parse_list_devices(told) if told is not None else None
    if listed is None:
        return Machine(host, (_untold(engine),) if host.devices else ())
    merged = hardware.merge(host.devices, listed)
    usable = tuple({d.id: d for d in reversed(merged) if is_pinnable(d.pin)}.values())[::-1]
    unified = all(d.integrated for d in usable) if usable else host.unified
    driven = replace(host, devices=usable, unified=unified)
    notes = tuple(_notes(host.devices, merged, usable, engine))
    return Machine(driven, notes, undriven=bool(notes) and not usable)


def given(host: HostSnapshot) -> Machine:
    """Another machine, whose engine cannot be asked: what workers can be pinned to. Pure."""
    usable = tuple(device for device in host.devices if is_pinnable(device.pin))
    notes = tuple(_left_out(device) for device in host.devices if device not in usable)
    return Machine(replace(host, devices=usable), notes, undriven=bool(notes) and not usable)


def _notes(
    ours: Sequence[Device], merged: Sequence[Device], usable: Sequence[Device], engine: str
) -> Iterator[str]:
    known = {_identity(device) for device in merged}
    undriven = [device for device in ours if _identity(device) not in known]
    if undriven:
        yield _undriven(undriven, engine, none=not merged)
    for device in merged:
        if device not in usable:
            yield _left_out(device)


def _left_out(device: Device) -> str:
    return (
        f"{device.name or device.id} is left out: "
        f"no worker can be given {device.id} and no other device."
    )


def _undriven(devices: Sequence[Device], engine: str, *, none: bool) -> str:
    counts = Counter(device.name or device.id for device in devices)
    names = ", ".join(f"{n} x {name}" if n > 1 else name for name, n in counts.items())
    one = len(devices) == 1
    what = "no GPU" if none else "it" if one else "them"
    verb = "drives" if none else "does not drive"
    builds = dict.fromkeys(BUILDS.get(device.vendor or "", ANY_BUILD) for device in devices)
    return (
        f"{names} {'is' if one else 'are'} here, but the engine {engine} {verb} {what}: "
        f"install a llama-server with {' and '.join(builds)}, on PATH or as `engine.path`."
    )


def _untold(engine: str) -> str:
    return (
        f"The engine {engine} does not say which devices it drives; "
        "the plan takes those that the system shows."
    )


def _identity(device: Device) -> str | None:
    """What stays the same when the engine names a device its own way."""
    return device.uuid or device.bus_id or device.name or device.vendor
