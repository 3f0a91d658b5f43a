"""What to do when memory runs short, and when it is back: a pure, total policy.

`decide` takes one reading after the other. When the host or an accelerator has been short in two
readings in a row, one worker gives something up; when nobody can, one rests. One step is taken back
when there has been room for it, and more, for a while. Nothing else is decided until the last
decision has had its effect. docs/reliability.md tells it for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from local_swarm.domain.memory import GIB, format_bytes
from local_swarm.supervisor.memory import (
    Decision,
    Held,
    Nothing,
    Policy,
    Reading,
    Rest,
    Restore,
    Room,
    Shed,
    Where,
)

SHARE, MOST_FLOOR = 0.03, GIB
STALLED, CALM = 0.2, 0.05
"""Shares of ten seconds in which all stood still for memory: more is a shortage, less is none."""
TIGHT = 2
"""So many floors are little room; a stall counts only where there is less, or an OOM kill."""
MARGIN = 0.25
"""What a step takes may be more than was planned by this share."""
MOST_RELAPSES = 5


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered from reading to reading.

    `restored_at` is when the last decision was to restore, else None. `relapses` counts those that
    did not last; each doubles the time before the next.
    """

    readings: tuple[Reading, ...] = ()
    acted_at: float | None = None
    restored_at: float | None = None
    relapses: int = 0


def decide(watch: Watch, reading: Reading, policy: Policy) -> tuple[Watch, Decision]:
    """What to do now, and what to remember. The owner does it, or says so in the next reading."""
    fell = _has_fallen_back(watch, reading)
    watch = replace(watch, readings=_recent(watch.readings, reading, policy))
    if fell:
        return _shed(watch, policy), Nothing()
    if any(worker.moving for worker in reading.workers) or not _settled(watch, policy):
        return watch, Nothing()
    shortage = _shortage(watch, policy)
    decision = _relief(reading, shortage) if shortage else _return(watch, policy)
    return _after(watch, decision, policy), decision


def _recent(readings: tuple[Reading, ...], reading: Reading, policy: Policy) -> tuple[Reading, ...]:
    """Those of the last `relief_s`, the one before them, and always the last two."""
    every = (*readings, reading)
    old = sum(one.at <= reading.at - policy.relief_s for one in every)
    return every[min(max(0, old - 1), len(every) - 2) :] if len(every) > 1 else every


def _settled(watch: Watch, policy: Policy) -> bool:
    now = watch.readings[-1].at
    return watch.acted_at is None or now - watch.acted_at >= policy.settle_s


def _after(watch: Watch, decision: Decision, policy: Policy) -> Watch:
    now = watch.readings[-1].at
    match decision:
        case Nothing():
            return watch
        case Restore():
            return replace(watch, acted_at=now, restored_at=now)
        case Shed() | Rest():
            return _shed(watch, policy)


def _shed(watch: Watch, policy: Policy) -> Watch:
    """After a step down. Soon after one up, that one was too early."""
    now, relapses = watch.readings[-1].at, watch.relapses
    if watch.restored_at is not None:
        soon = now - watch.restored_at < _patience(watch, policy)
        relapses = min(relapses + 1, MOST_RELAPSES) if soon else 0
    return replace(watch, acted_at=now, restored_at=None, relapses=relapses)


def _has_fallen_back(watch: Watch, reading: Reading) -> bool:
    """Whether a worker became smaller after a restore without our doing: it ran out of memory."""
    if watch.restored_at is None or not watch.readings:
        return False
    before = {worker.id: worker.shrunk for worker in watch.readings[-1].workers}
    return any(worker.shrunk > before.get(worker.id, worker.shrunk) for worker in reading.workers)


def _patience(watch: Watch, policy: Policy) -> float:
    return policy.relief_s * float(2**watch.relapses)


# Short of memory ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shortage:
    """`device` is None for the host."""

    device: str | None
    why: str


def _shortage(watch: Watch, policy: Policy) -> _Shortage | None:
    """What is short in this reading and was in the one before, the host first."""
    since = float("-inf") if watch.acted_at is None else watch.acted_at + policy.settle_s
    seen = [reading for reading in watch.readings[-2:] if reading.at >= since]
    if why := _killed(seen[-1], policy):
        return _Shortage(None, why)
    if len(seen) < 2:
        return None
    before, now = ({short.device for short in _all(one, policy)} for one in seen)
    lasting = before & now
    return next((short for short in _all(seen[-1], policy) if short.device in lasting), None)


def _all(reading: Reading, policy: Policy) -> Iterator[_Shortage]:
    if why := _short_host(reading, policy):
        yield _Shortage(None, why)
    for name, room in sorted(reading.devices.items()):
        if room.free_bytes < (floor := _auto_floor(room)):
            yield _Shortage(name, _little(room, floor, name))


def _short_host(reading: Reading, policy: Policy) -> str | None:
    if reading.host is None:
        return None
    floor = _floor(reading.host, policy)
    if reading.host.free_bytes < floor:
        return _little(reading.host, floor, "RAM")
    if (reading.stalled or 0.0) > STALLED and _is_tight(reading, policy):
        return f"everything waited for memory for {reading.stalled:.0%} of ten seconds"
    return None


def _killed(reading: Reading, policy: Policy) -> str | None:
    """At once: the next one that the kernel kills may be a worker."""
    if reading.oom_kills <= 0 or not _is_tight(reading, policy):
        return None
    return "the system killed a process because memory had run out"


def _is_tight(reading: Reading, policy: Policy) -> bool:
    host = reading.host
    return host is not None and _left(reading) < TIGHT * _floor(host, policy)


def _left(reading: Reading) -> int:
    """Free RAM that no worker reads its weights from."""
    return reading.host.free_bytes - reading.mapped_bytes if reading.host else 0


def _floor(host: Room, policy: Policy) -> int:
    return _auto_floor(host) if policy.min_free_bytes is None else policy.min_free_bytes


def _auto_floor(room: Room) -> int:
    return min(int(SHARE * room.total_bytes), MOST_FLOOR)


def _little(room: Room, floor: int, name: str) -> str:
    return f"{format_bytes(room.free_bytes)} of {name} are free, less than {format_bytes(floor)}"


def _relief(reading: Reading, shortage: _Shortage) -> Decision:
    where: Where = "host" if shortage.device is None else "device"
    ready = [worker for worker in reading.workers if worker.ready]
    there = [worker for worker in ready if _held(worker, shortage) > 0]
    can = [worker for worker in there if where in worker.shrinks]
    if can:
        chosen = min(can, key=lambda worker: _cost(worker, shortage))
        return Shed(chosen.id, where, shortage.why)
    if there and len(ready) > 1:
        chosen = min(there, key=lambda worker: _cost(worker, shortage))
        return Rest(chosen.id, shortage.why)
    return Nothing(f"{shortage.why}, and no worker can give up more" if there else "")


def _cost(worker: Held, shortage: _Shortage) -> tuple[bool, bool, int, str]:
    """Cached prompts before all else, idle before busy, the largest first."""
    gives_cache = worker.has_cache and shortage.device is None and "host" in worker.shrinks
    return not gives_cache, worker.busy_slots > 0, -_held(worker, shortage), worker.id


def _held(worker: Held, shortage: _Shortage) -> int:
    if shortage.device is None:
        return worker.host_bytes
    return worker.on_devices.get(shortage.device, 0)


# Memory is back -----------------------------------------------------------------------------


def _return(watch: Watch, policy: Policy) -> Decision:
    """Who rests comes first, then who gave up most; the first for whom there is room."""
    now = watch.readings[-1]
    if watch.readings[0].at > now.at - policy.relief_s:
        return Nothing()
    if watch.acted_at is not None and now.at - watch.acted_at < _patience(watch, policy):
        return Nothing()
    smaller = [
        worker for worker in now.workers if worker.rested or (worker.ready and worker.shrunk)
    ]
    for worker in sorted(smaller, key=lambda one: (not one.rested, -one.shrunk, one.id)):
        if all(_has_room(reading, worker, policy) for reading in watch.readings):
            return Restore(worker.id, f"there was room for it for {policy.relief_s:g} s")
    return Nothing()


def _has_room(reading: Reading, worker: Held, policy: Policy) -> bool:
    """For what it takes and a margin; memory of which nothing is known has none."""
    if reading.host is None or reading.oom_kills > 0 or (reading.stalled or 0.0) > CALM:
        return False
    host = replace(reading.host, free_bytes=_left(reading))
    needs = ((reading.devices.get(name), size) for name, size in worker.regains_on.items())
    return _fits(worker.regains_bytes, host, _floor(host, policy)) and all(
        room is not None and _fits(size, room, _auto_floor(room)) for room, size in needs
    )


def _fits(wanted: int, room: Room, floor: int) -> bool:
    size = max(0, wanted)
    return room.free_bytes >= floor + floor // 2 + size + int(MARGIN * size)
