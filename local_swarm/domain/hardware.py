"""What a machine has. An unknown fact is None, never invented."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cpu:
    """`physical` and `logical` are cores this process may use."""

    model: str | None
    physical: int | None
    logical: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Host RAM. `limit_bytes` is the container's limit where there is one."""

    total_bytes: int
    available_bytes: int
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator. `backend` is llama.cpp's own name for it (CUDA, Vulkan, Metal, ...)."""

    id: str
    uuid: str | None
    vendor: str | None
    name: str | None
    backend: str | None
    total_bytes: int | None
    free_bytes: int | None
    driver: str | None


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """One machine at one moment; every plan is a pure function of it."""

    os: str
    arch: str
    cpu: Cpu
    memory: Memory
    unified: bool = False
    devices: tuple[Device, ...] = ()
