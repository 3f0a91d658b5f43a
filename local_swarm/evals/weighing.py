"""Sources weighed by how often they are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from local_swarm.consensus.scoring.skills import measured, weights
from local_swarm.evals.data import Problem
from local_swarm.evals.draws import Item

Results = Mapping[str, tuple[int, int]]
"""Of each source how many samples passed, of how many."""


def results(problems: Sequence[Problem]) -> Results:
    """Over the tasks that all sources have, so that they can be compared."""
    by_task: dict[str, list[Problem]] = {}
    for problem in problems:
        by_task.setdefault(problem.task_id, []).append(problem)
    sources = {problem.source for problem in problems}
    shared = [
        problem
        for task in by_task.values()
        if {problem.source for problem in task} == sources
        for problem in task
    ]
    return _added(shared)


def weighed(tasks: Sequence[Item]) -> list[Item]:
    """The items with a weight for each of their sources, by its results in the other items."""
    each = [_added(item.problems) for item in tasks]
    total = _added([problem for item in tasks for problem in item.problems])
    return [
        replace(item, weights=_weights(item, _less(total, own)))
        for item, own in zip(tasks, each, strict=True)
    ]


def _weights(item: Item, others: Results) -> dict[str, float]:
    return weights(measured({}, "the other tasks", others), [p.source for p in item.problems])


def _added(problems: Sequence[Problem]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for problem in problems:
        passed, tests = found.get(problem.source, (0, 0))
        right = sum(sample.passed for sample in problem.samples)
        found[problem.source] = passed + right, tests + len(problem.samples)
    return found


def _less(total: Results, part: Results) -> Results:
    def less(source: str) -> tuple[int, int]:
        passed, tests = part.get(source, (0, 0))
        return total[source][0] - passed, total[source][1] - tests

    return {source: less(source) for source in total}
