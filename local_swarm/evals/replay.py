"""Votes on drawn samples, one task at a time, in one process or several."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from local_swarm.consensus import deliberate, vote
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import Evidence
from local_swarm.domain.verdict import Verdict
from local_swarm.evals.draws import Drawn, Item, draw, has


@dataclass(frozen=True, slots=True)
class Plan:
    """What is voted how: every strategy on the same `draws` draws of every number of candidates."""

    strategies: tuple[str, ...]
    counts: tuple[int, ...]
    draws: int
    seed: int
    execute: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """One task, strategy and number of candidates: shares of the draws, 0 to 1, in which the
    winner, a random pick and the best possible pick were right. `failures` are votes that raised
    or chose nobody (the first candidate was taken then), `ms` the times of the votes."""

    group: str
    task_id: str
    strategy: str
    n: int
    voter: float
    random: float
    oracle: float
    failures: int
    ms: tuple[float, ...]


def replay(
    tasks: Sequence[Item], plan: Plan, *, jobs: int = 1, advance: Callable[[], None]
) -> list[Tally]:
    """Votes on all tasks that have enough samples; `advance` is called after each. Blocks: the
    number of votes is tasks x strategies x counts x draws, each of some milliseconds.

    Raises UsageError where a strategy is unknown or cannot be had, before anything is measured.
    """
    for strategy in plan.strategies:
        vote("", [""], strategy=strategy, execute=plan.execute)
    tallies: list[Tally] = []
    with _mapped(jobs) as each:
        for found in each(partial(_task, plan), tasks):
            tallies.extend(found)
            advance()
    return tallies


_Map = Callable[[Callable[[Item], list[Tally]], Sequence[Item]], Iterator[list[Tally]]]


@contextmanager
def _mapped(jobs: int) -> Iterator[_Map]:
    if jobs == 1:
        yield map
        return
    # Ctrl-C is the parent's to handle; a fresh interpreter has none of the parent's threads.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _ignore_interrupts) as pool:
        try:
            yield pool.map
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _task(plan: Plan, item: Item) -> list[Tally]:
    tallies = []
    for n in plan.counts:
        if has(item, n):
            drawn = [draw(item, n, number, plan.seed) for number in range(plan.draws)]
            tallies += [_tally(item, name, plan.execute, drawn) for name in plan.strategies]
    return tallies


def _tally(item: Item, strategy: str, execute: bool, draws: Sequence[Sequence[Drawn]]) -> Tally:
    right = chance = best = 0.0
    failures, times = 0, []
    for drawn in draws:
        passed = [one.sample.passed for one in drawn]
        began = time.perf_counter()
        index = _voted(item, drawn, strategy, execute)
        times.append(1000 * (time.perf_counter() - began))
        failures += index is None
        right += passed[index or 0]
        best += any(passed)
        chance += sum(passed) / len(passed)
    count = len(draws)
    return Tally(
        group=item.group,
        task_id=item.task_id,
        strategy=strategy,
        n=len(draws[0]),
        voter=right / count,
        random=chance / count,
        oracle=best / count,
        failures=failures,
        ms=tuple(times),
    )


def _voted(item: Item, drawn: Sequence[Drawn], strategy: str, execute: bool) -> int | None:
    """The winner; None where the vote fails, which is one of the things that are measured."""
    texts = [one.sample.text for one in drawn]
    try:
        if item.weights:
            index = _weighed(item, drawn, strategy).index
        else:
            index = vote(item.prompt, texts, strategy=strategy, execute=execute).index
    except Exception:
        return None
    return index if 0 <= index < len(drawn) else None


def _weighed(item: Item, drawn: Sequence[Drawn], strategy: str) -> Verdict:
    candidates = [Candidate(one.sample.text, model=one.source) for one in drawn]
    evidence = Evidence(skills=item.weights)
    verdict = deliberate(item.prompt, candidates, strategy=strategy, evidence=evidence)
    assert isinstance(verdict, Verdict)  # nothing may be asked for
    return verdict
