"""Which layouts are worth trying: workers x slots, who votes, and what is kept for the rest.

A lane is a slot kept for unvoted requests. Each worker keeps one where enough slots are left to
vote; where none can be kept, votes and unvoted requests take turns.
"""

from __future__ import annotations

from dataclasses import dataclass

from local_swarm.budget.wishes import Count, Wishes
from local_swarm.errors import UsageError

CPU_VOTERS = 3
GPU_VOTERS = 5
LEAST_VOTERS = 2
LEAST_PROCESSES = 2
MOST_PROCESSES = 8


@dataclass(frozen=True, slots=True)
class Seating:
    """`workers` of `slots` each, the last `lanes` of which do not vote; `voters` over all."""

    workers: int
    slots: int
    lanes: int
    voters: int


def seatings(wishes: Wishes, cores: int, *, gpus: int = 0) -> tuple[Seating, ...]:
    """All that meet the wishes, best first: voters never rise along them.

    On `gpus` that run a worker each, every worker has slots for a whole vote where it can.
    `UsageError` where the numbers given by hand contradict each other or the cores.
    """
    default = GPU_VOTERS if gpus else CPU_VOTERS
    sizes = [
        (workers, slots)
        for workers in _worker_counts(wishes, cores, gpus, default)
        for slots in _slot_counts(wishes, 1 if gpus else workers, workers, default)
    ]
    needed = 1 if wishes.voters == "auto" else wishes.voters
    found = tuple(_seat(wishes.voters, w, s, default) for w, s in sizes if w * s >= needed)
    if not found:
        most = max(workers * slots for workers, slots in sizes)
        raise UsageError(
            f"{needed} voters need {needed} slots, and all workers together have {most}.",
            hint="Ask for fewer voters, or for more slots or workers.",
        )
    return tuple(sorted(found, key=lambda seat: (-seat.voters, -seat.lanes)))


def _seat(voters: Count, workers: int, slots: int, default: int) -> Seating:
    beside_lanes, total = workers * (slots - 1), workers * slots
    if voters == "auto":
        lanes = 1 if beside_lanes >= LEAST_VOTERS else 0
        return Seating(workers, slots, lanes, min(default, beside_lanes if lanes else total))
    return Seating(workers, slots, 1 if voters <= beside_lanes else 0, voters)


def _worker_counts(wishes: Wishes, cores: int, gpus: int, default: int) -> range:
    """How many workers to try, falling. Each needs its threads to itself."""
    room = cores // (1 if wishes.threads == "auto" else wishes.threads)
    if wishes.workers != "auto":
        _check_by_hand(wishes.workers, wishes, room, cores)
        return range(wishes.workers, wishes.workers - 1, -1)
    if not wishes.can.parallel:
        return _single_slots(wishes, room, cores, default)
    if wishes.layout == "auto":
        most = least = max(1, gpus)
    else:
        most, least = min(_processes(wishes, default), max(room, LEAST_PROCESSES)), LEAST_PROCESSES
    if least > room:
        raise _too_few_cores(least, wishes, cores)
    return range(most, least - 1, -1)


def _single_slots(wishes: Wishes, room: int, cores: int, default: int) -> range:
    """A worker for each voter where no worker can have several slots.

    As many voters as were asked for, even if they share cores: there is no other way to have them.
    """
    if wishes.tensor_split:
        most = least = 1
    elif wishes.voters == "auto":
        most, least = min(default, max(room, LEAST_PROCESSES)), 1
    else:
        most = least = wishes.voters
    if wishes.threads != "auto" and least > room:
        raise _too_few_cores(least, wishes, cores)
    return range(most, least - 1, -1)


def _processes(wishes: Wishes, default: int) -> int:
    """As many processes as voters, fewer when each has slots for several and a lane."""
    voters = default if wishes.voters == "auto" else wishes.voters
    each = 1 if wishes.slots == "auto" else max(1, wishes.slots - 1)
    return max(LEAST_PROCESSES, min(MOST_PROCESSES, -(-voters // each)))


def _slot_counts(wishes: Wishes, sharing: int, workers: int, default: int) -> range:
    """How many slots of a worker to try, falling from those for its part of a vote by `sharing`."""
    if wishes.slots != "auto":
        return range(wishes.slots, wishes.slots - 1, -1)
    if wishes.in_processes:
        return range(1, 0, -1)
    if wishes.voters == "auto":
        most, least = default, LEAST_VOTERS
    else:
        most = least = wishes.voters
    return range(-(-most // sharing) + 1, -(-least // workers) - 1, -1)


def _check_by_hand(workers: int, wishes: Wishes, room: int, cores: int) -> None:
    if wishes.layout == "processes" and not LEAST_PROCESSES <= workers <= MOST_PROCESSES:
        raise UsageError(
            f"The processes layout runs {LEAST_PROCESSES} to {MOST_PROCESSES} workers,"
            f" not {workers}.",
            hint='Ask for another number, or for the layout "auto".',
        )
    may_share = wishes.threads == "auto" and not wishes.can.parallel
    if workers > room and not may_share:
        raise _too_few_cores(workers, wishes, cores)


def _too_few_cores(workers: int, wishes: Wishes, cores: int) -> UsageError:
    each = 1 if wishes.threads == "auto" else wishes.threads
    return UsageError(
        f"{workers} worker{'s' if workers > 1 else ''} with {each} thread{'s' if each > 1 else ''}"
        f" each need more than the {cores} core{'s' if cores > 1 else ''} there are.",
        hint="Ask for fewer workers or threads; slots of one worker need no cores of their own.",
    )
