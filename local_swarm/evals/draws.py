"""Which samples stand for election: drawn at random, the same ones for whoever asks again.

A draw depends on the seed, the group's name, the task, the number of candidates and the draw's own
number, and on nothing else; so strategies are compared on the same candidates, and figures of
one data file can be repeated by other programs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local_swarm.evals.data import Problem, Sample

MIX = "mix"
"""The name of the group in which the sources of a task answer side by side."""


@dataclass(frozen=True, slots=True)
class Item:
    """One task of one group: the problem of a source, or those of all sources, to be mixed.
    `weights` say how much a source counts, 1 where it has none."""

    group: str
    task_id: str
    problems: tuple[Problem, ...]
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        return self.problems[0].prompt


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sample, and the source that it is from."""

    source: str
    sample: Sample


def items(
    problems: Sequence[Problem], *, source: str = "", mix: bool = False, limit: int | None = None
) -> list[Item]:
    """The tasks to vote on, group by group, in the order of the file. `source` is a part of the
    names that are wanted; of each group the first `limit` tasks are taken."""
    groups: dict[str, list[Item]] = {}
    wanted = [problem for problem in problems if source in problem.source]
    if mix:
        tasks: dict[str, list[Problem]] = {}
        for problem in wanted:
            tasks.setdefault(problem.task_id, []).append(problem)
        groups[MIX] = [Item(MIX, task, tuple(mixed)) for task, mixed in tasks.items()]
    else:
        for problem in wanted:
            item = Item(problem.source, problem.task_id, (problem,))
            groups.setdefault(problem.source, []).append(item)
    return [item for group in groups.values() for item in group[:limit]]


def has(item: Item, n: int) -> bool:
    """Whether every draw of `n` candidates finds enough samples."""
    most = -(-n // len(item.problems))  # of one source: they take turns
    return all(len(problem.samples) >= most for problem in item.problems)


def draw(item: Item, n: int, number: int, seed: int) -> list[Drawn]:
    """`n` candidates without repetition; mixed, the sources take turns in random order. Raises
    ValueError where there are too few."""
    if not has(item, n):
        raise ValueError(f"{item.task_id} of {item.group} has fewer than {n} samples")
    rng = random.Random(f"{seed}|{item.group}|{item.task_id}|{n}|{number}")
    if len(item.problems) == 1:
        return _drawn(item.problems[0], n, rng)
    order = list(item.problems)
    rng.shuffle(order)
    pools = [_drawn(problem, len(problem.samples), rng) for problem in order]
    chosen = [pools[turn % len(pools)][turn // len(pools)] for turn in range(n)]
    rng.shuffle(chosen)
    return chosen


def _drawn(problem: Problem, count: int, rng: random.Random) -> list[Drawn]:
    return [Drawn(problem.source, sample) for sample in rng.sample(problem.samples, count)]


def left_out(tasks: Sequence[Item], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Where tasks have too few samples: how many of a group, for how many candidates."""
    short = Counter((task.group, n) for n in counts for task in tasks if not has(task, n))
    return [{"source": group, "n": n, "problems": count} for (group, n), count in short.items()]
