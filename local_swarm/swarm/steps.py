"""In which order workers are changed. Pure.

Workers run one model at a time: where the model changes, the old ones end before the first new one
starts. Otherwise they change one by one. At no time do they together need more memory than there is
room for, unless they did already; and one is ready at any time, where memory allows that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from local_swarm.domain.plan import WorkerPlan
from local_swarm.swarm.changes import Difference, Runs, free_names
from local_swarm.swarm.room import Room


@dataclass(frozen=True, slots=True)
class Cycle:
    """Drain the worker, end it and start it as `runs`; or start it, where it rests. Unless
    `alone`, another worker is ready meanwhile."""

    runs: Runs
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """Drain the worker and end it, to be cycled later."""

    worker: str


@dataclass(frozen=True, slots=True)
class Renew:
    """What rests goes on resting, and will be started as `runs`."""

    runs: Runs


@dataclass(frozen=True, slots=True)
class Add:
    """One more worker; `stands_in` for one that is cycled, and goes again."""

    runs: Runs
    stands_in: str = ""


@dataclass(frozen=True, slots=True)
class Remove:
    """Drain the worker, end it and forget it."""

    worker: str


Step = Cycle | Rest | Renew | Add | Remove


def steps(
    old: Sequence[Runs],
    moves: Difference,
    room: Room,
    *,
    ready: Collection[str] | None = None,
    resting: Collection[str] = (),
) -> tuple[Step, ...]:
    """How `moves` are made. `ready` are the workers that take traffic now, all where it is not
    known; those `resting` for lack of memory or of work are not started."""
    now = {each.id: each for each in old}
    up = set(now if ready is None else ready)
    line = _Line(room, now, up)
    models = {each.model for each in (*old, *moves.changed, *moves.added)}
    active = replace(moves, changed=tuple(r for r in moves.changed if r.id not in resting))
    if len(models) > 1:
        _one_model_at_a_time(line, active)
    else:
        _one_by_one(line, active)
    renewed = (Renew(runs) for runs in moves.changed if runs.id in resting)
    return (*line.made, *renewed)


@dataclass(slots=True)
class _Line:
    """The steps so far, and what is there after them: `now` the workers that hold memory, `up`
    those that are ready."""

    room: Room
    now: dict[str, Runs]
    up: set[str]
    made: list[Step] = field(default_factory=list)

    def cycle(self, runs: Runs) -> None:
        self.made.append(Cycle(runs, alone=not self.others_up(runs.id)))
        self.now[runs.id] = runs
        self.up.add(runs.id)

    def rest(self, worker: str) -> None:
        self.made.append(Rest(worker))
        self._gone(worker)

    def add(self, runs: Runs, stands_in: str = "") -> None:
        self.made.append(Add(runs, stands_in))
        self.now[runs.id] = runs
        self.up.add(runs.id)

    def remove(self, worker: str) -> None:
        self.made.append(Remove(worker))
        self._gone(worker)

    def _gone(self, worker: str) -> None:
        self.now.pop(worker, None)
        self.up.discard(worker)

    def others_up(self, worker: str) -> bool:
        return bool(self.up - {worker})

    def fits(self, *more: Runs) -> bool:
        """Whether there is room for these, each in the place of the one of its name."""
        after = self.now | {each.id: each for each in more}
        return self.room.allows(_plans(after), _plans(self.now))


def _plans(workers: Mapping[str, Runs]) -> list[WorkerPlan]:
    return [each.plan for each in workers.values()]


def _one_model_at_a_time(line: _Line, moves: Difference) -> None:
    """The last old worker is ready until all others have ended, and its place stays: requests
    that come meanwhile wait for it."""
    changed = sorted(moves.changed, key=lambda runs: runs.id not in line.up)
    for worker in moves.removed:
        line.remove(worker)
    for runs in changed[1:]:
        line.rest(runs.id)
    for runs in changed:
        line.cycle(runs)
    for runs in moves.added:
        line.add(runs)


def _one_by_one(line: _Line, moves: Difference) -> None:
    changed = sorted(moves.changed, key=lambda runs: runs.id in line.up)
    added, removed = list(moves.added), list(moves.removed)
    while changed or added or removed:
        if runs := next((r for r in changed if line.others_up(r.id) and line.fits(r)), None):
            line.cycle(runs)
            changed.remove(runs)
        elif added and line.fits(added[0]):
            line.add(added.pop(0))
        elif worker := _removable(line, removed, changed):
            line.remove(worker)
            removed.remove(worker)
        elif changed:
            _without_another(line, changed)
        else:
            line.add(added.pop(0))


def _removable(line: _Line, removed: Sequence[str], changed: Sequence[Runs]) -> str | None:
    """One that others can do without, or that is in the way of all that is left to do."""
    is_in_the_way = not any(map(line.fits, changed))
    return next((w for w in removed if is_in_the_way or line.others_up(w)), None)


def _without_another(line: _Line, changed: list[Runs]) -> None:
    """None of them can change while another is ready: one gets a stand-in, or changes alone, or
    rests until there is room."""
    fitting = next((runs for runs in changed if line.fits(runs)), None)
    if fitting is None:
        resting = [runs for runs in changed if runs.id in line.now and line.others_up(runs.id)]
        if resting:
            line.rest(resting[0].id)
            return
        fitting = changed[0]
    stand_in = fitting.named(next(free_names(line.now.keys() | {r.id for r in changed})))
    if line.fits(stand_in) and line.fits(stand_in, fitting):
        line.add(stand_in, stands_in=fitting.id)
        line.cycle(fitting)
        line.remove(stand_in.id)
    else:
        line.cycle(fitting)
    changed.remove(fitting)
