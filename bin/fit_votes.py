#!/usr/bin/env python3
"""Fit the weights of `consensus/scoring/weights.py` and measure them by cross-validation.

    bin/fit_votes.py DATA.jsonl [--draws 12] [--folds 5] [--repeats 2] [--seed 1] [--leave NAME ...]

DATA holds lines `{task_id, source, prompt, samples: [{text, passed}]}`; other fields are ignored.
It maximises the probability that the best scored of n drawn answers passes (n = 3, 5, 8, a
conditional logit), every source weighed by how much a vote could gain there. All answers to a task
are in one fold. `--leave` sets a term to 0, for an ablation. Needs numpy; the rest is the vote's
own code, nothing of a candidate is run. Prints the headroom recovered: (voter - random) /
(oracle - random), the mean over the sources.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from local_swarm.consensus.ballot import Entry, prepare
from local_swarm.consensus.lint import FATAL
from local_swarm.consensus.scoring.merits import faults_of, findings
from local_swarm.consensus.scoring.similarity import tree_similarity
from local_swarm.consensus.scoring.weights import DOUBT, FAULTS

SIZES = (3, 5, 8)
NAMES = list(FAULTS)
USUAL = np.array([-2.0 if name in FATAL else -0.4 for name in NAMES])
"""What a fault is taken to weigh before any data is seen."""

PULL = 0.1
"""How strongly a fault's weight is pulled towards its usual one."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Group:
    """The answers of one source to one task. `form` maps an answer to its row in the rest."""

    task: str
    source: str
    passed: Array
    form: Array
    faults: Array
    kernel: Array
    standing: Array
    kind: Array


@dataclass(frozen=True)
class Draws:
    """Votes of one size: (votes, n), but `group` and `gain` (votes), `faults` (.., n, faults) and
    `kernel` (.., n, n)."""

    group: Array
    passed: Array
    faults: Array
    kernel: Array
    weight: Array
    able: Array
    gain: Array

    def of(self, groups: Iterable[int]) -> Draws:
        kept = np.isin(self.group, list(groups))
        return Draws(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))


@dataclass
class Model:
    faults: Array = field(default_factory=lambda: USUAL.copy())
    likeness: float = 0.5

    def scores(self, draws: Draws) -> Array:
        merit, _, given = self.parts(draws)
        return np.where(draws.able, merit + self.likeness * given, -np.inf)

    def parts(self, draws: Draws) -> tuple[Array, Array, Array]:
        """Merits, the weight of each one's word, and what the others testify."""
        merit = draws.faults @ self.faults
        word = draws.weight * np.exp(DOUBT * merit)
        return merit, word, np.einsum("vej,vj->ve", draws.kernel, word)


def read(path: Path) -> list[Group]:
    with path.open(encoding="utf-8") as lines:
        return [_group(json.loads(line)) for line in lines if line.strip()]


def _group(row: dict[str, Any]) -> Group:
    ballot = prepare(row["prompt"], [sample["text"] for sample in row["samples"]])
    seen: dict[tuple[object, ...], int] = {}
    firsts: list[Entry] = []
    form = []
    for entry in ballot.entries:
        same = (entry.form.key, entry.standing, entry.answer.kind)
        if same not in seen:
            seen[same] = len(firsts)
            firsts.append(entry)
        form.append(seen[same])
    faults = np.zeros((len(firsts), len(NAMES)))
    for at, entry in enumerate(firsts):
        for name, size in faults_of(findings(ballot, entry)):
            faults[at, NAMES.index(name)] = size
    return Group(
        row["task_id"],
        row["source"],
        np.array([bool(sample["passed"]) for sample in row["samples"]]),
        np.array(form),
        faults,
        np.array(tree_similarity(firsts)) ** 2,
        np.array([int(entry.standing) for entry in firsts]),
        np.array([[*type(entry.answer.kind)].index(entry.answer.kind) for entry in firsts]),
    )


def draw(groups: Sequence[Group], n: int, times: int, seed: int) -> Draws:
    found: list[tuple[Any, ...]] = []
    for at, group in enumerate(groups):
        for time in range(times if len(group.form) >= n else 0):
            chance = random.Random(f"{seed}|{group.source}|{group.task}|{n}|{time}")
            picked = np.array(chance.sample(range(len(group.form)), n))
            form = group.form[picked]
            weight = np.array([0.0, 0.5, 1.0])[group.standing[form]]
            of_class = _of_class(group.kind[form], weight)
            best = group.standing[form] == group.standing[form][of_class].max()
            found.append(
                (
                    at,
                    group.passed[picked],
                    group.faults[form],
                    group.kernel[np.ix_(form, form)],
                    weight * of_class,
                    of_class & best,
                )
            )
    group_of, passed, faults, kernel, weight, able = map(np.stack, zip(*found, strict=True))
    gain = _gains(groups, group_of, passed)
    return Draws(group_of, passed, faults, kernel, weight, able, gain)


def _of_class(kinds: Array, weights: Array) -> Array:
    """Which answers are of the class that most are."""
    totals = np.bincount(kinds, weights, minlength=16)
    return np.equal(kinds, totals.argmax())


def _gains(groups: Sequence[Group], group_of: Array, passed: Array) -> Array:
    """What one vote weighs, so that every source counts by its headroom."""
    source = np.array([group.source for group in groups])[group_of]
    gains = np.zeros(len(group_of))
    for name in set(source):
        here = source == name
        room = (passed[here].any(1) - passed[here].mean(1)).sum()
        gains[here] = 1 / max(room, 1e-9)
    return gains


def fit(every: Sequence[Draws], fixed: Sequence[str] = (), steps: int = 250) -> Model:
    """Gradient ascent (Adam) on the log-likelihood; no fault ever speaks for an answer, and no
    likeness against one."""
    model = Model()
    free = np.array([name not in fixed for name in NAMES])
    model.faults = np.where(free, model.faults, 0.0)
    usual = np.where(free, USUAL, 0.0)
    values = np.append(model.faults, model.likeness)
    highest = np.append(np.zeros(len(NAMES)), np.inf)
    lowest = np.append(np.full(len(NAMES), -np.inf), 0.0)
    loose = np.append(free, True)
    first, second = np.zeros_like(values), np.zeros_like(values)
    mixed = [_mixed(part) for part in every]
    for step in range(1, steps + 1):
        model = Model(values[:-1], float(values[-1]))
        slope = np.sum([_slope(model, part) for part in mixed], 0) / len(mixed)
        slope[:-1] -= 2 * PULL * (model.faults - usual)
        slope *= loose
        first = 0.9 * first + 0.1 * slope
        second = 0.99 * second + 0.01 * slope**2
        move = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        rate = 0.05 * (1 - step / (steps + 1))
        values = np.clip(values + rate * move, lowest, highest)
    return Model(values[:-1], float(values[-1]))


def _mixed(draws: Draws) -> Draws:
    """Those that can be won and lost."""
    able = draws.passed & draws.able
    kept = able.any(1) & (draws.able & ~draws.passed).any(1)
    return Draws(*(getattr(draws, name)[kept] for name in draws.__dataclass_fields__))


def _slope(model: Model, draws: Draws) -> Array:
    merit, word, given = model.parts(draws)
    score = np.where(draws.able, merit + model.likeness * given, -np.inf)
    chance = np.exp(score - score.max(1, keepdims=True))
    chance /= chance.sum(1, keepdims=True)
    right = chance * draws.passed
    slope = draws.gain[:, None] * (right / right.sum(1, keepdims=True) - chance)
    heard = np.einsum("ve,vej->vj", slope, draws.kernel) * model.likeness * word
    by_merit = slope + DOUBT * heard
    return np.append(np.einsum("ve,vef->f", by_merit, draws.faults), (slope * given).sum())


def pick(model: Model, draws: Draws) -> Array:
    """The winners; ties by chance, always the same."""
    score = model.scores(draws)
    score = score + 1e-7 * np.random.default_rng(0).random(score.shape)
    return np.asarray(score.argmax(1))


def headroom(groups: Sequence[Group], draws: Draws, winners: Array) -> dict[str, float]:
    source = np.array([group.source for group in groups])[draws.group]
    found = {}
    for name in sorted(set(source)):
        here = source == name
        passed = draws.passed[here]
        voter = passed[np.arange(len(passed)), winners[here]].mean()
        chance, best = passed.mean(), passed.any(1).mean()
        found[name] = 100 * (voter - chance) / (best - chance)
    return {"mean": float(np.mean([*found.values()])), **found}


def folds(groups: Sequence[Group], count: int, seed: int) -> list[list[int]]:
    tasks = sorted({group.task for group in groups})
    random.Random(seed).shuffle(tasks)
    place = {task: at % count for at, task in enumerate(tasks)}
    return [[i for i, g in enumerate(groups) if place[g.task] == at] for at in range(count)]


def cross_validated(
    groups: Sequence[Group],
    train: Sequence[Draws],
    test: Sequence[Draws],
    count: int,
    seed: int,
    fixed: Sequence[str] = (),
) -> list[dict[str, float]]:
    """The headroom of each size, every vote decided by weights that never saw its task."""
    winners = [np.zeros(len(draws.group), int) for draws in test]
    for fold in folds(groups, count, seed):
        others = set(range(len(groups))) - set(fold)
        model = fit([draws.of(others) for draws in train], fixed)
        for draws, won in zip(test, winners, strict=True):
            won[np.isin(draws.group, fold)] = pick(model, draws.of(fold))
    return [headroom(groups, *pair) for pair in zip(test, winners, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--leave", nargs="*", default=[], help="terms to leave out")
    given = parser.parse_args()
    groups = read(given.data)
    train = [draw(groups, n, given.draws, given.seed) for n in SIZES]
    test = [draw(groups, n, 4 * given.draws, given.seed + 1) for n in SIZES]
    for repeat in range(given.repeats):
        found = cross_validated(groups, train, test, given.folds, repeat, given.leave)
        for n, one in zip(SIZES, found, strict=True):
            print(f"n={n} cross-validated: ", _line(one))
    model = fit(train, given.leave)
    for n, draws in zip(SIZES, test, strict=True):
        print(f"n={n} fitted to all:   ", _line(headroom(groups, draws, pick(model, draws))))
    for name, weight in zip(NAMES, model.faults, strict=True):
        print(f'"{name}": {weight:.2f},')
    print(f"LIKENESS = {model.likeness:.2f}")


def _line(found: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.1f}" for name, value in found.items())


if __name__ == "__main__":
    main()
