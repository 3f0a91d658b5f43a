"""What each worker's start took of its devices, as the driver counts it, next to the plan."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from local_swarm.domain.hardware import Device
from local_swarm.domain.memory import MIB
from local_swarm.domain.plan import WorkerPlan
from local_swarm.domain.worker import DeviceMemory
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

FreeMemory = Callable[[Sequence[Device]], Mapping[str, int]]
"""Free bytes by device id; blocks for a moment, raises nothing."""

SHARE = 0.02
LEAST_BYTES = 256 * MIB  # what a driver holds for a process is counted roughly


def is_over(seen: DeviceMemory, total_bytes: int | None) -> bool:
    """Whether a device lost more than the plan explains."""
    allowed = max(LEAST_BYTES, int(SHARE * (total_bytes or 0)))
    return seen.used_bytes > seen.planned_bytes + allowed


class Starts:
    """All starts of one swarm. A device on which two overlap is not measured: nobody could say
    whose the memory is. Safe to use from several threads."""

    def __init__(self, devices: Sequence[Device], read: FreeMemory) -> None:
        self._devices = {device.id: device for device in devices}
        self._read = read
        self._lock = threading.Lock()
        self._starting: Counter[str] = Counter()
        self._moves: Counter[str] = Counter()

    def watcher(self, worker: WorkerPlan) -> Callable[[], StartWatch] | None:
        """Gives a watch for each life of this worker; None for one without a device."""
        devices = [self._devices[id_] for id_ in worker.devices if id_ in self._devices]
        return (lambda: StartWatch(self, worker, devices)) if devices else None

    def free(self, devices: Sequence[Device]) -> Mapping[str, int]:
        return self._read(devices)

    def began(self, devices: Sequence[Device]) -> dict[str, int]:
        """The devices where nobody else is starting, each with its count of starts and ends."""
        with self._lock:
            ids = [device.id for device in devices]
            self._moves.update(ids)
            quiet = {id_: self._moves[id_] for id_ in ids if not self._starting[id_]}
            self._starting.update(ids)
            return quiet

    def undisturbed(self, quiet: Mapping[str, int]) -> set[str]:
        """Those of them where nothing has started or ended since."""
        with self._lock:
            return {id_ for id_, moves in quiet.items() if self._moves[id_] == moves}

    def started(self, devices: Sequence[Device]) -> None:
        """A start is over, well or not; what it did to the devices is done."""
        with self._lock:
            self._starting.subtract(device.id for device in devices)
            self._moves.update(device.id for device in devices)

    def moved(self, devices: Sequence[Device]) -> None:
        """A process that had started has ended, and gave its memory back."""
        with self._lock:
            self._moves.update(device.id for device in devices)


class StartWatch:
    """One life of one worker. The supervisor calls `before`, then `ready` unless the life ends
    first, and `ended` in any case. The first two read the driver, and block as it does."""

    def __init__(self, starts: Starts, worker: WorkerPlan, devices: Sequence[Device]) -> None:
        self._starts = starts
        self._worker = worker
        self._devices = devices
        self._lock = threading.Lock()
        self._starting = False
        self._quiet: Mapping[str, int] = {}
        self._free: Mapping[str, int] = {}

    def before(self) -> None:
        self._starting = True
        self._quiet = self._starts.began(self._devices)
        self._free = self._starts.free(self._devices)

    def ready(self) -> tuple[DeviceMemory, ...]:
        """What its devices lost since; left out are those that do not tell, or were shared."""
        after = self._starts.free(self._devices)
        quiet = self._starts.undisturbed(self._quiet)
        self._finish()
        seen = (self._seen(device, after) for device in self._devices if device.id in quiet)
        return tuple(memory for memory in seen if memory is not None)

    def ended(self) -> None:
        self._finish()
        self._starts.moved(self._devices)

    def _finish(self) -> None:
        """Once, although a life may end in the middle of `ready`."""
        with self._lock:
            starting, self._starting = self._starting, False
        if starting:
            self._starts.started(self._devices)

    def _seen(self, device: Device, after: Mapping[str, int]) -> DeviceMemory | None:
        if device.id not in self._free or device.id not in after:
            return None
        parts = self._worker.parts
        planned = sum(part.bytes for part in parts if part.device == device.id)
        seen = DeviceMemory(device.id, planned, self._free[device.id] - after[device.id])
        if is_over(seen, device.total_bytes):
            log.warning(
                "a device lost more memory than planned",
                worker=self._worker.id,
                device=seen.device,
                planned_bytes=seen.planned_bytes,
                used_bytes=seen.used_bytes,
            )
        return seen
