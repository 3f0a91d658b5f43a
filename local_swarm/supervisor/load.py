"""How many workers should run for what clients want: a pure decision, within the plan.

Without requests for a while all are stopped, and the next request wakes them. With `min_workers`
only so many run while there is little to do, but never fewer than a whole vote needs; where one of
those fails, a spare one takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

START_AFTER_S = 2.0  # requests have waited for so long: another worker would help
SPARE_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """`idle_unload_s` 0: never. `min_workers` None: all run all the time. `vote_workers` seat all
    voters of one request."""

    idle_unload_s: float = 0.0
    min_workers: int | None = None
    vote_workers: int = 1


@dataclass(frozen=True, slots=True)
class Load:
    """At `now`: since when requests wait for a slot, since when nothing was wanted, since when one
    worker less would do (monotonic seconds, None: not now); `running` workers, `lasting` ones that
    run or will without anybody's help, and `spare` ones."""

    now: float
    running: int
    lasting: int
    spare: int
    waiting_since: float | None
    unwanted_since: float | None
    roomy_since: float | None


class Move(str, Enum):
    NOTHING = "nothing"
    SLEEP = "sleep"  # all of them
    START = "start"  # a spare one
    SPARE = "spare"  # one


def decide(load: Load, settings: LoadSettings) -> Move:
    if _for(load.now, load.unwanted_since, settings.idle_unload_s or None) and load.running:
        return Move.SLEEP
    least = _least(load, settings)
    is_needed = load.lasting < least or _for(load.now, load.waiting_since, START_AFTER_S)
    if load.spare and is_needed:
        return Move.START
    if load.running > least and _for(load.now, load.roomy_since, SPARE_AFTER_S):
        return Move.SPARE
    return Move.NOTHING


def _least(load: Load, settings: LoadSettings) -> int:
    if settings.min_workers is None:
        return load.lasting + load.spare
    return max(settings.min_workers, settings.vote_workers)


def _for(now: float, since: float | None, at_least_s: float | None) -> bool:
    return since is not None and at_least_s is not None and now - since >= at_least_s
