"""What becomes of each worker when the plan changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from local_swarm.domain.plan import WorkerPlan


@dataclass(frozen=True, slots=True)
class Runs:
    """What a worker is: its plan, the files of its `model`, and `how` it is run (its arguments and
    environment). Two that are alike in all of that need no restart to be each other. `source` is
    for whoever starts it; `how` has keys in it."""

    plan: WorkerPlan
    model: Hashable = ()
    how: Hashable = field(default=(), repr=False)
    source: Any = field(default=None, compare=False, repr=False)

    @property
    def id(self) -> str:
        return self.plan.id

    def named(self, id_: str) -> Runs:
        return replace(self, plan=replace(self.plan, id=id_))

    def is_like(self, other: Runs) -> bool:
        """What it was estimated to take does not count: that restarts nobody."""
        return (self.bare, self.model, self.how) == (other.bare, other.model, other.how)

    @property
    def bare(self) -> WorkerPlan:
        return replace(self.plan, id="", parts=())


@dataclass(frozen=True, slots=True)
class Difference:
    """`changed` and `added` under the ids that they have or will have; `kept` and `removed` are
    ids. Never are there both `added` and `removed`."""

    kept: tuple[str, ...] = ()
    changed: tuple[Runs, ...] = ()
    added: tuple[Runs, ...] = ()
    removed: tuple[str, ...] = ()


def difference(old: Sequence[Runs], new: Sequence[Runs]) -> Difference:
    """What becomes of each worker. One that is to be as it was keeps its place; the others are
    paired, those on the same devices first."""
    left, wanted = list(old), list(new)
    kept = [was.id for was, _ in _pairs(left, wanted, Runs.is_like)]
    changed = [
        become.named(was.id)
        for such in (_same_devices, _any)
        for was, become in _pairs(left, wanted, such)
    ]
    names = free_names({each.id for each in old})
    added = [become.named(next(names)) for become in wanted]
    removed = tuple(was.id for was in left)
    return Difference(tuple(kept), tuple(changed), tuple(added), removed)


def _pairs(
    left: list[Runs], wanted: list[Runs], such: Callable[[Runs, Runs], bool]
) -> list[tuple[Runs, Runs]]:
    """Pairs of which `such` holds, each with the one of its own name if it can; they are taken
    out of both lists."""
    found = []
    for become in tuple(wanted):
        fitting = [was for was in left if such(was, become)]
        if fitting:
            was = next((each for each in fitting if each.id == become.id), fitting[0])
            left.remove(was)
            wanted.remove(become)
            found.append((was, become))
    return found


def _same_devices(was: Runs, become: Runs) -> bool:
    return was.plan.devices == become.plan.devices


def _any(was: Runs, become: Runs) -> bool:
    return True


def free_names(taken: Collection[str]) -> Iterator[str]:
    """Ids for more workers, the lowest first."""
    return (name for name in (f"w{number}" for number in count()) if name not in taken)
