"""How much of a host a plan may use: the RAM, and each accelerator that takes part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from local_swarm.budget.wishes import Wishes
from local_swarm.domain.hardware import Cpu, Device, HostSnapshot, Memory
from local_swarm.domain.memory import format_bytes
from local_swarm.domain.plan import CPU_DEVICE
from local_swarm.errors import UsageError

RAM_SHARE = 0.5
PHONE_SHARE = 0.25
PHONE = "android"


@dataclass(frozen=True, slots=True)
class Pool:
    """One device's memory: `total = others + reserve + usable` bytes, and the sentence that says
    why.

    `others` is what is in use now. What lies on an `integrated` device lies in RAM, and counts
    there too. `pin` is what a worker is pinned to the device by; one that is `alone`
    cannot be pinned together with others.
    """

    device: str
    total_bytes: int
    usable_bytes: int
    others_bytes: int
    reason: str
    backend: str | None = None
    pin: str = ""
    alone: bool = False
    integrated: bool = False

    @property
    def reserve_bytes(self) -> int:
        return max(0, self.total_bytes - self.others_bytes - self.usable_bytes)


@dataclass(frozen=True, slots=True)
class Limits:
    """`gpus` are those that take part, `idle` those that were found too small to; `unused` says of
    others why they do not."""

    ram: Pool
    gpus: tuple[Pool, ...] = ()
    idle: tuple[Pool, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def pools(self) -> tuple[Pool, ...]:
        return (self.ram, *self.gpus, *self.idle)


def limits(host: HostSnapshot, wishes: Wishes) -> Limits:
    """Raises UsageError for a device that is not there."""
    ram = ram_pool(host, wishes)
    found, unused = _taking_part(host, wishes)
    _check_by_hand(wishes, found)
    pools = tuple(_gpu_pool(device, host.memory, ram, wishes) for device in found)
    return Limits(ram, pools, unused=tuple(unused))


def _check_by_hand(wishes: Wishes, devices: Sequence[Device]) -> None:
    split, layers = wishes.tensor_split, wishes.gpu_layers
    if split and len(split) != len(devices):
        raise UsageError(
            f"swarm.tensor_split has {len(split)} parts for {len(devices)} devices.",
            hint="Give one number for each device of swarm.devices.",
        )
    if split and (len({d.backend for d in devices}) > 1 or any(map(_is_alone, devices))):
        names = ", ".join(device.id for device in devices)
        raise UsageError(
            f"No worker can be split over {names}.",
            hint="Name devices of one backend in swarm.devices, and no MIG instances.",
        )
    if not devices and layers != "auto" and layers > 0:
        raise UsageError(
            f"swarm.gpu_layers is {layers}, and no accelerator takes part.",
            hint="Leave it out; lswarm hardware shows what the engine can use.",
        )


def ram_pool(host: HostSnapshot, wishes: Wishes) -> Pool:
    """The share of RAM, never more than is available, less the reserve.

    In a container its limit is what there is.
    """
    memory = host.memory
    share = wishes.ram_fraction
    if share == "auto":
        share = PHONE_SHARE if host.os == PHONE else RAM_SHARE
    ours, whose = memory.total_bytes, ""
    if memory.limit_bytes is not None and memory.limit_bytes < ours:
        ours, whose = memory.limit_bytes, ", the container's limit"
    total = f"{format_bytes(ours)}{whose}"
    ceilings = [
        (int(ours * share), f"{share:.0%} (hardware.ram_fraction) of {total}"),
        (memory.available_bytes, f"what is available now of {total}"),
    ]
    ceiling, name = min(ceilings, key=lambda pair: pair[0])
    usable = max(0, ceiling - wishes.reserve_bytes)
    less = f", less a reserve of {format_bytes(wishes.reserve_bytes)}"
    reason = f"Workers may use {format_bytes(usable)} of RAM: {name}"
    return Pool(
        device=CPU_DEVICE,
        total_bytes=memory.total_bytes,
        usable_bytes=usable,
        others_bytes=max(0, memory.total_bytes - memory.available_bytes),
        reason=f"{reason}{less if wishes.reserve_bytes else ''}.",
    )


def usable_cores(cpu: Cpu) -> int:
    """Threads that work side by side: physical cores where known, at least one."""
    return max(1, min(cpu.physical or cpu.logical, cpu.logical))


def _gpu_pool(device: Device, memory: Memory, ram: Pool, wishes: Wishes) -> Pool:
    if _in_ram(device, memory):
        return _integrated_pool(device, ram)
    total = _own_bytes(device, memory)
    free = device.free_bytes
    others = device.others_bytes or 0
    if free is not None:
        others = max(0, (device.total_bytes or 0) - free)
    usable = max(0, int(total * wishes.gpu_memory_fraction) - others)
    used = f" and {format_bytes(others)} that is in use" if others else ""
    kept = format_bytes(total - int(total * wishes.gpu_memory_fraction))
    return Pool(
        device=device.id,
        total_bytes=total,
        usable_bytes=usable,
        others_bytes=min(others, total),
        reason=(
            f"Workers may use {format_bytes(usable)} of {device.name or device.id}: its"
            f" {format_bytes(total)} less a reserve of {kept}{used}."
        ),
        backend=device.backend,
        pin=device.pin,
        alone=_is_alone(device),
    )


def _integrated_pool(device: Device, ram: Pool) -> Pool:
    total = device.total_bytes or 0
    usable = min(total, ram.usable_bytes)
    why = "all that workers may use of RAM" if usable < total else "all that it can see of RAM"
    return Pool(
        device=device.id,
        total_bytes=total,
        usable_bytes=usable,
        others_bytes=0,
        reason=f"Workers may use {format_bytes(usable)} through {_name(device)}: {why}.",
        backend=device.backend,
        pin=device.pin,
        alone=_is_alone(device),
        integrated=True,
    )


def _is_alone(device: Device) -> bool:
    """A process sees one MIG instance at most, and OpenCL's variable takes one name."""
    return device.pin.startswith("MIG-") or device.backend == "OpenCL"


def _in_ram(device: Device, memory: Memory) -> bool:
    """An integrated device that reports more than all RAM has memory set apart for it."""
    return bool(device.integrated) and (device.total_bytes or 0) <= memory.total_bytes


def _own_bytes(device: Device, memory: Memory) -> int:
    """What is surely the device's own: of an integrated one, what cannot be in RAM."""
    total = device.total_bytes or 0
    return total - memory.total_bytes if device.integrated else total


def _taking_part(host: HostSnapshot, wishes: Wishes) -> tuple[list[Device], list[str]]:
    """All discrete accelerators, else an integrated one; those named by hand, where some are."""
    if wishes.devices:
        return list(_named(host, wishes.devices)), []
    if wishes.gpu_layers == 0:
        return [], [f"{_name(device)} is not used, as asked." for device in host.devices]
    known = [device for device in host.devices if device.total_bytes]
    unused = [
        f"{_name(device)} is not used: it does not say how much memory it has."
        for device in host.devices
        if not device.total_bytes
    ]
    discrete = [device for device in known if not device.integrated]
    apart = [d for d in known if d.integrated and not _in_ram(d, host.memory)]
    own = sum(_own_bytes(device, host.memory) for device in apart)
    if own > sum(device.total_bytes or 0 for device in discrete):
        names = (_name(device) for device in known if device is not apart[0])
        return apart[:1], unused + [f"{name} is not used: it has less memory." for name in names]
    if not discrete:
        return known[:1], unused + [f"{_name(device)} is not used." for device in known[1:]]
    for device in known:
        if device.integrated:
            unused.append(f"{_name(device)} is not used: it would slow down the others.")
    return discrete, unused


def _named(host: HostSnapshot, names: Sequence[str]) -> Iterator[Device]:
    there = {key: device for device in host.devices for key in (device.uuid, device.id) if key}
    if tuple(names) == (CPU_DEVICE,):
        return
    seen: set[str] = set()
    for name in names:
        device = there.get(name)
        if device is None:
            known = ", ".join(each.id for each in host.devices) or "none"
            raise UsageError(
                f"swarm.devices names {name!r}, which is no accelerator here.",
                hint=f'There is {known}; ["cpu"] alone uses none.',
            )
        if not device.total_bytes:
            raise UsageError(
                f"The device {name!r} does not say how much memory it has.",
                hint="Leave it out of swarm.devices.",
            )
        if device.id in seen:
            raise UsageError(f"swarm.devices names {device.id} twice.", hint="Name it once.")
        seen.add(device.id)
        yield device


def _name(device: Device) -> str:
    return f"{device.name} ({device.id})" if device.name else device.id
