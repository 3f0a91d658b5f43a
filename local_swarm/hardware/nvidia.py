"""NVIDIA cards: NVML through pynvml, and what the driver writes under /proc where NVML is silent.

`free_bytes` is the driver's own figure, so what other processes hold is already taken off. MIG
instances are devices of their own, in place of the card they are cut from.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from local_swarm.domain.hardware import Device
from local_swarm.hardware.base import Findings, Roots
from local_swarm.hardware.values import NVIDIA, bus_id, folders, known, new_device, read_text, size


class NvidiaProbe:
    """Asks NVML. Silent without the library, the driver or a card.

    `CUDA_VISIBLE_DEVICES` is obeyed: cards that this process was not given are not listed.
    """

    name = "nvidia"

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def read(self, roots: Roots) -> Findings:
        with _nvml() as nvml:
            if nvml is None:
                return Findings()
            cards = list(_cards(nvml))
        shown = visible(cards, self._environ.get("CUDA_VISIBLE_DEVICES"))
        return Findings(devices=shown, complete=frozenset({NVIDIA}))


class NvidiaProcProbe:
    """Names and addresses from /proc/driver/nvidia, for when NVML is missing or too slow."""

    name = "nvidia-proc"

    def read(self, roots: Roots) -> Findings:
        root = roots.proc / "driver" / "nvidia"
        version = read_text(root / "version").split("Kernel Module")[-1].split()
        driver = next((word for word in version if word[:1].isdigit()), None)
        files = (read_text(entry / "information") for entry in folders(root / "gpus", r".+"))
        return Findings(devices=tuple(_from_information(text, driver) for text in files if text))


def visible(cards: list[tuple[int, Device]], setting: str | None) -> tuple[Device, ...]:
    """The devices that CUDA_VISIBLE_DEVICES names, by number or start of UUID, in its order.

    Like CUDA, stops at the first entry that names nothing.
    """
    if setting is None:
        return tuple(device for _, device in cards)
    shown: list[Device] = []
    for entry in (part.strip() for part in setting.split(",")):
        named = [device for number, device in cards if entry and _is_named(number, device, entry)]
        if not named:
            break
        shown += [device for device in named if device not in shown]
    return tuple(shown)


def free_bytes(uuids: Collection[str]) -> dict[str, int]:
    """What is free now on the cards and MIG instances with these UUIDs.

    Those that NVML does not know, or says nothing of, are left out. Blocks as long as the driver
    does; raises nothing.
    """
    with _nvml() as nvml:
        if nvml is None:
            return {}
        handles = {uuid: _ask(nvml.nvmlDeviceGetHandleByUUID, uuid.encode()) for uuid in uuids}
        told = {u: _memory(nvml, h)[1] for u, h in handles.items() if h is not None}
    return {uuid: free for uuid, free in told.items() if free is not None}


def held_bytes(uuids: Collection[str]) -> dict[str, dict[int, int]]:
    """What each process holds now on the cards and MIG instances with these UUIDs, by pid.

    Processes of which NVML says no amount are left out. In a container it may give the host's pids,
    or none. Blocks as long as the driver does; raises nothing.
    """
    with _nvml() as nvml:
        if nvml is None:
            return {}
        handles = {uuid: _ask(nvml.nvmlDeviceGetHandleByUUID, uuid.encode()) for uuid in uuids}
        told = {u: _by_pid(nvml, h) or {} for u, h in handles.items() if h is not None}
    return {u: {pid: n for pid, n in held.items() if n is not None} for u, held in told.items()}


@contextmanager
def _nvml() -> Iterator[Any]:
    """pynvml, initialised; None without the library or the driver."""
    if not _has_library():
        yield None
        return
    import pynvml as nvml

    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        yield None
        return
    try:
        yield nvml
    finally:
        _ask(nvml.nvmlShutdown)


def _has_library() -> bool:
    """Whether NVML can be there; saves most machines the 40 ms that importing pynvml takes."""
    if sys.platform == "win32":
        return True  # pynvml knows the two places
    import ctypes

    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def _is_named(number: int, device: Device, entry: str) -> bool:
    if entry.isdecimal():
        return int(entry) == number
    return entry[:4] in ("GPU-", "MIG-") and (device.uuid or "").startswith(entry)


def _cards(nvml: Any) -> Iterator[tuple[int, Device]]:
    """Every device with its card's number, which is by PCI address."""
    driver = known(_ask(nvml.nvmlSystemGetDriverVersion))
    for number in range(_ask(nvml.nvmlDeviceGetCount) or 0):
        handle = _ask(nvml.nvmlDeviceGetHandleByIndex, number)
        if handle is None:
            continue
        card = _card(nvml, number, handle, driver)
        if (_ask(_named(nvml, "nvmlDeviceGetMigMode"), handle) or [0])[0]:
            yield from ((number, part) for part in _instances(nvml, handle, card))
        else:
            yield number, card


def _card(nvml: Any, number: int, handle: Any, driver: str | None) -> Device:
    total, free = _memory(nvml, handle)
    address = getattr(_ask(nvml.nvmlDeviceGetPciInfo, handle), "busId", None)
    capability = _ask(nvml.nvmlDeviceGetCudaComputeCapability, handle)
    limit_mw = _ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    return new_device(
        NVIDIA,
        id=f"CUDA{number}",
        uuid=known(_ask(nvml.nvmlDeviceGetUUID, handle)),
        name=known(_ask(nvml.nvmlDeviceGetName, handle)),
        backend="CUDA",
        total_bytes=total,
        free_bytes=free,
        driver=driver,
        bus_id=bus_id(address),
        integrated=False if total else None,  # Tegra and GB10 have no memory to report
        compute_capability=".".join(map(str, capability)) if capability else None,
        others_bytes=_others(nvml, handle),
        power_limit_w=limit_mw / 1000 if limit_mw else None,
    )


def _instances(nvml: Any, handle: Any, card: Device) -> Iterator[Device]:
    """The MIG instances of one card. A worker is pinned to one by its UUID, so that is its id."""
    for index in range(_ask(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        part = _ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        uuid = known(_ask(nvml.nvmlDeviceGetUUID, part)) if part is not None else None
        if uuid is None:
            continue
        total, free = _memory(nvml, part)
        yield new_device(
            NVIDIA,
            id=uuid,
            uuid=uuid,
            name=known(_ask(nvml.nvmlDeviceGetName, part)) or card.name,
            backend="CUDA",
            total_bytes=total,
            free_bytes=free,
            driver=card.driver,
            bus_id=card.bus_id,
            integrated=False,
            compute_capability=card.compute_capability,
            others_bytes=_others(nvml, part),
        )


def _memory(nvml: Any, handle: Any) -> tuple[int | None, int | None]:
    told = _ask(nvml.nvmlDeviceGetMemoryInfo, handle)
    total = size(getattr(told, "total", None))
    return total, getattr(told, "free", None) if total else None


def _others(nvml: Any, handle: Any) -> int | None:
    """Bytes that other processes hold; None where NVML does not say for each of them."""
    by_pid = _by_pid(nvml, handle)
    if by_pid is None:
        return None
    held = [amount for pid, amount in by_pid.items() if pid != os.getpid()]
    return None if None in held else sum(amount for amount in held if amount)


def _by_pid(nvml: Any, handle: Any) -> dict[int, int | None] | None:
    """Bytes that each process holds, which compute and draw; None where the driver does not say."""
    by_pid: dict[int, int | None] = {}
    for kind in ("Compute", "Graphics"):
        name = f"nvmlDeviceGet{kind}RunningProcesses"
        told = _ask(_named(nvml, name), handle)
        if told is None:
            told = _ask(_named(nvml, f"{name}_v2"), handle)
        if told is None and kind == "Compute":
            return None
        by_pid.update((process.pid, process.usedGpuMemory) for process in told or ())
    return by_pid


def _named(nvml: Any, name: str) -> Callable[..., Any]:
    """A function that older or newer pynvml may lack."""

    def missing(*_: Any) -> None:
        return None

    found: Callable[..., Any] = getattr(nvml, name, missing)
    return found


def _ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """One fact; None where this driver, card or permission does not give it."""
    try:
        return function(*arguments)
    except Exception:  # NVMLError (FunctionNotFound, NotSupported, ...) and ctypes' own
        return None


def _from_information(text: str, driver: str | None) -> Device:
    lines = (line.partition(":") for line in text.splitlines())
    facts = {key.strip(): known(value) for key, colon, value in lines if colon}
    uuid = facts.get("GPU UUID")
    return new_device(
        NVIDIA,
        uuid=uuid if uuid and "?" not in uuid else None,  # the driver asleep prints GPU-????
        name=facts.get("Model"),
        backend="CUDA",
        driver=driver,
        bus_id=bus_id(facts.get("Bus Location")),
    )
