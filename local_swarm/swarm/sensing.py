"""What the memory watch is told of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from local_swarm import hardware
from local_swarm.config import Config
from local_swarm.domain.hardware import Device
from local_swarm.supervisor.memory import Policy, Room, host_room
from local_swarm.supervisor.memory_watch import Sensed


@dataclass(frozen=True, slots=True)
class Senses:
    """`devices` are those that workers may be on, `free` tells their free bytes by id."""

    devices: Sequence[Device]
    free: Callable[[Sequence[Device]], Mapping[str, int]] = hardware.free_memory

    def __call__(self) -> Sensed:
        """Blocks for a millisecond, and for a driver that hangs two seconds."""
        seen = hardware.memory_pressure()
        host = host_room(
            seen.total_bytes, seen.available_bytes, seen.limit_bytes, seen.limit_free_bytes
        )
        return Sensed(host, seen.stalled, seen.oom_kills, self._rooms())

    def _rooms(self) -> dict[str, Room]:
        own = [device for device in self.devices if not device.integrated and device.total_bytes]
        free = self.free(own) if own else {}
        return {d.id: Room(d.total_bytes or 0, free[d.id]) for d in own if d.id in free}


def oom_kills() -> int | None:
    """What the kernel has killed for memory so far."""
    return hardware.memory_pressure().oom_kills


def memory_policy(config: Config) -> Policy | None:
    """None where nothing is to be watched."""
    s = config.supervisor
    if not s.memory_watch:
        return None
    floor = None if s.min_free_bytes == "auto" else s.min_free_bytes
    return Policy(min_free_bytes=floor, relief_s=s.relief_s)
