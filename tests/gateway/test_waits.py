"""What is said about waiting is true within a factor of two, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from statistics import mean, median

import pytest

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import Overloaded
from local_swarm.gateway.ledger import Lease, Ledger, Need

PATIENCE_S = 1e6


@dataclass
class Now:
    s: float = 0.0

    def __call__(self) -> float:
        return self.s


@dataclass
class Wait:
    need: Need
    said_s: float
    was_s: float


@dataclass
class Model:
    """A ledger whose requests come and end at times of a clock of its own."""

    book: Ledger
    now: Now
    rng: random.Random
    waits: list[Wait] = field(default_factory=list)
    refused: int = 0
    _events: list[tuple[float, int, object]] = field(default_factory=list)
    _number: Iterator[int] = field(default_factory=count)
    _open: dict[asyncio.Task[tuple[Lease, ...]], tuple[Need, float, float, float]] = field(
        default_factory=dict
    )

    def arrive(self, at_s: float, need: Need, hold_s: float) -> None:
        heapq.heappush(self._events, (at_s, next(self._number), (need, hold_s)))

    async def run(self) -> None:
        while self._events:
            self.now.s, _, event = heapq.heappop(self._events)
            if isinstance(event, list):
                self.book.release(event)
            else:
                self._come(*event)  # type: ignore[misc]
            await self._settle()
        assert not self._open, "somebody was never served"

    def _come(self, need: Need, hold_s: float) -> None:
        said = self.book.expected_wait_s(need)
        task = asyncio.ensure_future(self.book.acquire(need, within_s=PATIENCE_S))
        self._open[task] = (need, hold_s, self.now.s, said)

    async def _settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)
        for task in [task for task in self._open if task.done()]:
            need, hold_s, since_s, said = self._open.pop(task)
            if isinstance(task.exception(), Overloaded):
                self.refused += 1
                continue
            self.waits.append(Wait(need, said, self.now.s - since_s))
            leases = list(task.result())
            heapq.heappush(self._events, (self.now.s + hold_s, next(self._number), leases))


def model_of(*, workers: int, slots: int, seed: int, max_waiting: int = 64, pool: int = 0) -> Model:
    now = Now()
    book = Ledger(max_waiting=max_waiting, clock=now)
    ends = [Endpoint(f"w{i}", "", "", slots, 1, 1000, 1, pool=pool) for i in range(workers)]
    book.sync(ends, ends)
    return Model(book, now, random.Random(seed))


def poisson(model: Model, need: Need, *, per_s: float, hold_s: float, number: int) -> None:
    """Requests at random times, their slots held from half to one and a half of `hold_s`."""
    at_s = 0.0
    for _ in range(number):
        at_s += model.rng.expovariate(per_s)
        model.arrive(at_s, need, hold_s * model.rng.uniform(0.5, 1.5))


VOTE = Need(want=3, minimum=2)
SOLO = Need(want=1, solo=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("workers", "slots", "load", "pool"),
    [(1, 4, 0.95, 0), (1, 6, 1.2, 0), (2, 4, 1.2, 0), (1, 4, 1.2, 1600)],
)
async def test_the_estimate_is_within_a_factor_of_two(
    workers: int, slots: int, load: float, pool: int, seed: int
) -> None:
    model = model_of(workers=workers, slots=slots, seed=seed, pool=pool)
    known = Need(3, 2, prompt_tokens=600, answer_tokens=300) if pool else VOTE
    per_s = load * workers / 10.0  # a worker answers one vote of 10 s at a time
    poisson(model, known, per_s=per_s, hold_s=10.0, number=300)
    await model.run()
    waited = [wait for wait in model.waits[30:] if wait.was_s > 5.0]
    assert len(waited) > 50
    said, was = mean(w.said_s for w in waited), mean(w.was_s for w in waited)
    assert was / 2 <= said <= was * 2
    assert 0.5 <= median(w.said_s / w.was_s for w in waited) <= 2
    close = sum(w.was_s / 2 <= w.said_s <= w.was_s * 2 for w in waited)
    assert close / len(waited) > 0.8


@pytest.mark.parametrize("seed", range(5))
async def test_votes_and_solo_requests_have_estimates_of_their_own(seed: int) -> None:
    model = model_of(workers=1, slots=4, seed=seed)
    poisson(model, VOTE, per_s=0.11, hold_s=10.0, number=200)
    poisson(model, SOLO, per_s=0.6, hold_s=2.0, number=900)
    await model.run()
    for need in (VOTE, SOLO):
        waited = [w for w in model.waits[60:] if w.need is need and w.was_s > 1.0]
        assert len(waited) > 30
        said, was = mean(w.said_s for w in waited), mean(w.was_s for w in waited)
        assert was / 2 <= said <= was * 2


@pytest.mark.parametrize("pool", [0, 1600])
async def test_nobody_starves_under_an_endless_row_of_others(pool: int) -> None:
    """All kinds at once, more than can be served, in every order: waits stay near those of the
    others, as in one queue."""
    model = model_of(workers=1, slots=4, seed=7, max_waiting=1000, pool=pool)
    together = Need(want=4, minimum=4, together=True, prompt_tokens=500, answer_tokens=50)
    rare = [
        Need(want=3, minimum=3, prompt_tokens=900, answer_tokens=200),
        Need(want=1, solo=True, prompt_tokens=900, answer_tokens=500),
        together,
    ]
    for at in range(400):
        model.arrive(at * 0.25, Need(1, solo=True, prompt_tokens=10, answer_tokens=20), 1.0)
        model.arrive(at * 0.5, Need(2, 2, prompt_tokens=400, answer_tokens=200), 1.0)
    for number, need in enumerate(rare):
        model.arrive(20.0 + number / 10, need, 1.0)
    await model.run()
    assert len(model.waits) == 803
    ahead_s = 20 * (1 / 0.25 + 1 / 0.5)  # all that came before it, one after the other
    for need in rare:
        (wait,) = [w for w in model.waits if w.need is need]
        assert wait.was_s <= ahead_s


async def test_a_full_queue_refuses_and_says_when_to_come_again() -> None:
    model = model_of(workers=1, slots=4, seed=1, max_waiting=4)
    poisson(model, VOTE, per_s=0.5, hold_s=10.0, number=100)
    await model.run()
    assert model.refused > 40
    assert max(w.was_s for w in model.waits) < 5 * 15.0
    assert 20 <= model.book.retry_after_s(VOTE) * 4 <= 80  # nobody waits now: about one answer


async def test_the_hook_is_told_how_long_each_one_waited() -> None:
    told: list[float] = []
    now = Now()
    book = Ledger(on_wait=told.append, clock=now)
    end = Endpoint("w0", "", "", 3, 0, 1000, 1)
    book.sync([end], [end])
    first = await book.acquire(VOTE, within_s=5)
    second = asyncio.ensure_future(book.acquire(VOTE, within_s=5))
    await asyncio.sleep(0)
    now.s = 4.0
    book.release(first)
    await second
    assert told == [0.0, 4.0]


async def test_who_leaves_the_queue_gives_up_its_place() -> None:
    model = model_of(workers=1, slots=4, seed=1, max_waiting=1)
    held = await model.book.acquire(VOTE, within_s=5)
    left = asyncio.ensure_future(model.book.acquire(VOTE, within_s=5))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    stays = asyncio.ensure_future(model.book.acquire(VOTE, within_s=5))
    await asyncio.sleep(0)
    model.book.release(held)
    assert await stays
