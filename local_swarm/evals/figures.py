"""What votes on drawn samples come to: rates, intervals, the share of the headroom that was won.

Headroom is what lies between a random pick and the best possible one. Intervals hold the middle
95% of 1000 resamples of the problems with replacement, always from the same seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from local_swarm.evals.replay import Tally

RESAMPLES = 1000
SEED = 1

Interval = tuple[float, float]
Rates = tuple[float, float, float]  # of voter, random pick, best possible pick


@dataclass(frozen=True, slots=True)
class Row:
    """One group of problems under one strategy with `n` candidates. Rates are 0 to 1; `headroom`
    is None where the best possible pick is no better than a random one, `headroom_ci` where that
    is so in a resample."""

    strategy: str
    source: str
    n: int
    problems: int
    random: float
    oracle: float
    voter: float
    ci: Interval
    gain_ci: Interval
    headroom: float | None
    headroom_ci: Interval | None
    failures: int
    ms_p50: float
    ms_p95: float


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over `sources` groups, each counting the same; intervals draw tasks, with all their
    sources."""

    strategy: str
    n: int
    sources: int
    random: float
    oracle: float
    voter: float
    gain_ci: Interval
    headroom: float | None
    headroom_ci: Interval | None
    failures: int
    ms_p50: float
    ms_p95: float


def report(tallies: Sequence[Tally]) -> dict[str, Any]:
    """`rows` for every strategy, number of candidates and group, and `means` over the groups where
    there are several. Plain values, for JSON."""
    cells: dict[tuple[str, int], dict[str, list[Tally]]] = {}
    for tally in tallies:
        groups = cells.setdefault((tally.strategy, tally.n), {})
        groups.setdefault(tally.group, []).append(tally)
    rows = [row(group) for groups in cells.values() for group in groups.values()]
    means = [mean(list(groups.values())) for groups in cells.values() if len(groups) > 1]
    return {"rows": [asdict(one) for one in rows], "means": [asdict(one) for one in means]}


def row(group: Sequence[Tally]) -> Row:
    """Of tallies of one strategy, number of candidates and group (at least one)."""
    rng = random.Random(SEED)
    size = len(group)
    voters = [tally.voter for tally in group]
    gains = [tally.voter - tally.random for tally in group]
    ci = _interval(lambda: _mean([voters[rng.randrange(size)] for _ in voters]))
    gain_ci = _interval(lambda: _mean([gains[rng.randrange(size)] for _ in gains]))
    voter, chance, best = _means(group)
    times = sorted(ms for tally in group for ms in tally.ms)
    return Row(
        strategy=group[0].strategy,
        source=group[0].group,
        n=group[0].n,
        problems=size,
        random=chance,
        oracle=best,
        voter=voter,
        ci=ci,
        gain_ci=gain_ci,
        headroom=_headroom([(voter, chance, best)]),
        headroom_ci=_headroom_interval([group]),
        failures=sum(tally.failures for tally in group),
        ms_p50=times[len(times) // 2],
        ms_p95=times[int(len(times) * 0.95)],
    )


def mean(groups: Sequence[Sequence[Tally]]) -> Mean:
    """Over groups of one strategy and number of candidates (at least one, none empty)."""
    rng = random.Random(SEED)
    each = [_means(group) for group in groups]
    voter, chance, best = (_mean(values) for values in zip(*each, strict=True))
    gains = [_gain(sums) for sums in _resamples(rng, groups)]
    times = sorted(ms for group in groups for tally in group for ms in tally.ms)
    return Mean(
        strategy=groups[0][0].strategy,
        n=groups[0][0].n,
        sources=len(groups),
        random=chance,
        oracle=best,
        voter=voter,
        gain_ci=_middle(gains),
        headroom=_headroom(each),
        headroom_ci=_headroom_interval(groups),
        failures=sum(tally.failures for group in groups for tally in group),
        ms_p50=times[len(times) // 2],
        ms_p95=times[int(len(times) * 0.95)],
    )


def _means(group: Sequence[Tally]) -> Rates:
    return (
        _mean([tally.voter for tally in group]),
        _mean([tally.random for tally in group]),
        _mean([tally.oracle for tally in group]),
    )


def _gain(groups: Sequence[Rates]) -> float:
    return _mean([voter - chance for voter, chance, _ in groups])


def _headroom(groups: Sequence[Rates]) -> float | None:
    """The mean of the groups' own shares."""
    if any(best <= chance for _, chance, best in groups):
        return None
    return _mean([(voter - chance) / (best - chance) for voter, chance, best in groups])


def _headroom_interval(groups: Sequence[Sequence[Tally]]) -> Interval | None:
    found = [_headroom(rates) for rates in _resamples(random.Random(SEED), groups)]
    known = [share for share in found if share is not None]
    return _middle(known) if len(known) == len(found) else None


def _resamples(rng: random.Random, groups: Sequence[Sequence[Tally]]) -> Iterator[list[Rates]]:
    """The rates of each group when tasks are drawn anew, those of a task in all groups together;
    groups that a draw leaves empty are left out."""
    tasks: dict[str, list[tuple[int, Tally]]] = {}
    for place, group in enumerate(groups):
        for tally in group:
            tasks.setdefault(tally.task_id, []).append((place, tally))
    together = list(tasks.values())
    for _ in range(RESAMPLES):
        drawn: list[list[Tally]] = [[] for _ in groups]
        for task in rng.choices(together, k=len(together)):
            for place, tally in task:
                drawn[place].append(tally)
        yield [_means(group) for group in drawn if group]


def _interval(resample: Callable[[], float]) -> Interval:
    return _middle([resample() for _ in range(RESAMPLES)])


def _middle(values: Sequence[float]) -> Interval:
    """What holds 95% of them."""
    ranked = sorted(values)
    return ranked[len(ranked) * 25 // 1000], ranked[len(ranked) * 974 // 1000]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
