"""What a machine has. An unknown fact is None, never invented."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cpu:
    """`physical` and `logical` are cores this process may use.

    `numa` holds the numbers of those cores by memory node; empty where there is one node, or the
    system does not say.
    """

    model: str | None
    physical: int | None
    logical: int
    numa: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """Host RAM. `limit_bytes` is the container's limit where there is one."""

    total_bytes: int
    available_bytes: int
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator. `backend` is llama.cpp's own name for it (CUDA, Vulkan, Metal, ...).

    `id` is llama.cpp's name of the device (CUDA0), or the UUID of a MIG instance. `bus_id` is the
    PCI address (0000:01:00.0). An `integrated` device has no memory of its own: its bytes are part
    of the host's RAM. `compute_capability` is the vendor's name of the instruction set (8.9,
    gfx1100). `others_bytes` is what other processes hold on it now.
    """

    id: str
    uuid: str | None
    vendor: str | None
    name: str | None
    backend: str | None
    total_bytes: int | None
    free_bytes: int | None
    driver: str | None
    bus_id: str | None = None
    integrated: bool | None = None
    compute_capability: str | None = None
    others_bytes: int | None = None
    power_limit_w: float | None = None

    @property
    def pin(self) -> str:
        """What a worker is shown this device by: NVIDIA's UUID for CUDA, else the id."""
        by_uuid = self.backend == "CUDA" and (self.uuid or "").startswith(("GPU-", "MIG-"))
        return self.uuid if by_uuid and self.uuid else self.id


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """One machine at one moment; every plan is a pure function of it.

    `unified`: what accelerators it has all work in the host's RAM.
    """

    os: str
    arch: str
    cpu: Cpu
    memory: Memory
    unified: bool = False
    devices: tuple[Device, ...] = ()
