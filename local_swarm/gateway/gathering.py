"""The answers of one request as they come in, and when no more of them are waited for."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from statistics import median
from typing import Any

from local_swarm.gateway.within import set_within
from local_swarm.wire.answer import Answer
from local_swarm.wire.request import VotedRequest

Settled = Callable[[Sequence[Answer], int], Awaitable[bool]]
"""Whether so many more answers cannot change who wins among these."""


class Ended(str, Enum):
    """Why no more answers were waited for."""

    ALL = "all"  # every voter has answered, or was lost
    FIRST = "first"
    SETTLED = "settled"
    STRAGGLERS = "stragglers"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Ask:
    """What to collect: `want` answers, at least `quorum`, within `within_s` seconds.

    Where workers are away, fewer are asked and the quorum shrinks with them; where slots are busy,
    fewer, but a quorum. `exact` insists on `want` answers, in rounds where there are fewer slots.
    `first` ends with the first answer, `settled` when it says that the answers still missing
    change nothing. `begin`: so many are asked first, the others only where these settle nothing; 0
    asks all at once. `guesses`: fewer than half of the answers may settle it.
    `temperature` is the swarm's own, for requests that set no sampling; None leaves it to the
    engine. `accepted` is called when the first worker has taken the request. `seed_offset` are the
    seeds that were given out for this request before. `lenient_after_s`: once the request is so
    old, an answer that breaks its rules is better than an error.
    """

    request: VotedRequest
    want: int
    quorum: int
    within_s: float
    conversation: str = ""
    solo: bool = False
    exact: bool = False
    first: bool = False
    settled: Settled | None = None
    begin: int = 0
    guesses: bool = False
    temperature: float | None = None
    accepted: Callable[[], None] = lambda: None
    seed_offset: int = 0
    prompt_tokens: int | None = None
    lenient_after_s: float = math.inf

    @property
    def grows(self) -> bool:
        """Whether it begins with some of its voters."""
        return 0 < self.begin < self.want


@dataclass(frozen=True, slots=True)
class Patience:
    """With voters that are slow when there is a quorum: they are left behind once they have taken
    `factor` times as long as the median of the answers, and `least_s` seconds. Factor 0 waits for
    all."""

    factor: float = 3.0
    least_s: float = 2.0

    def left_s(self, elapsed_s: Sequence[float], waited_s: float) -> float | None:
        """Seconds still to wait, None for as long as it takes. `elapsed_s`: of the answers."""
        if self.factor == 0 or not elapsed_s:
            return None
        return max(self.least_s, self.factor * median(elapsed_s)) - waited_s


@dataclass(slots=True)
class Collected:
    """The finished answers in order of arrival.

    `asked` is how many voters there were, `seeds` how many seeds were given out (more where
    voters were lost and others asked instead), `rounds` how often slots were taken, `running` how
    many voters are still at work, `lost` how many will not answer and have nobody in their place.
    `changed` is set by every answer and every loss.
    """

    asked: int = 0
    seeds: int = 0
    rounds: int = 0
    running: int = 0
    lost: int = 0
    ended: Ended = Ended.ALL
    answers: list[Answer] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, voters: int) -> None:
        """So many more are at work: in place of those that were lost, as far as there are any."""
        self.seeds += voters
        self.running += voters
        self.asked = max(self.asked, len(self.answers) + self.running)
        self.lost = self.asked - len(self.answers) - self.running

    def left(self, voters: int, *, lost: bool) -> None:
        """So many have ended without an answer: `lost`, or because we did not wait for them."""
        self.running -= voters
        self.lost += voters if lost else 0
        self.changed.set()

    def hear(self, answers: Iterable[Answer]) -> None:
        """Takes those of the answers that are new."""
        for answer in answers:
            if not any(answer is known for known in self.answers):
                self.answers.append(answer)
                self.running -= 1
        self.changed.set()

    def enough(self, ask: Ask) -> bool:
        """Whether no voter is asked again for one that was lost."""
        if ask.first:
            return bool(self.answers)
        all_of_them = ask.exact or self.may_grow(ask)
        return bool(self.rounds) and len(self.answers) >= (
            ask.want if all_of_them else self.quorum(ask)
        )

    def may_grow(self, ask: Ask) -> bool:
        """Whether those that were not asked at first still may be."""
        return ask.grows and self.rounds <= 1

    def quorum(self, ask: Ask) -> int:
        """Answers without which nothing ends early: fewer where fewer could be, or were, asked."""
        if self.may_grow(ask):
            return min(ask.quorum, ask.begin // 2 + 1)
        return ask.quorum if ask.exact else min(ask.quorum, self.asked)

    def missing(self, ask: Ask) -> int:
        """Answers that are still to come, if nothing is lost."""
        all_of_them = ask.exact or self.may_grow(ask)
        return ask.want - len(self.answers) if all_of_them else self.running

    async def is_settled(self, ask: Ask) -> bool:
        have, missing = len(self.answers), self.missing(ask)
        if ask.settled is None or missing <= 0 or have < self.quorum(ask):
            return False
        if have <= missing and not ask.guesses:
            return False  # fewer than half settle nothing: not worth a look
        return await ask.settled(tuple(self.answers), missing)


async def gather(
    tasks: Sequence[asyncio.Task[Any]],
    ask: Ask,
    collected: Collected,
    patience: Patience,
    deadline: float,
) -> Ended:
    """Waits until all tasks have ended, or may be left behind. Cancels none of them."""
    if ask.want == 1:  # nothing can end it early
        _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline - time.monotonic()))
        return Ended.DEADLINE if late else Ended.ALL
    watch = asyncio.create_task(_watch(ask, collected, patience), name="watch-answers")
    work = asyncio.create_task(asyncio.wait(tasks), name="all-answers")
    try:
        left = max(0.0, deadline - time.monotonic())
        await asyncio.wait({watch, work}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return Ended.ALL
        return watch.result() if watch.done() else Ended.DEADLINE
    finally:
        await cancel((watch, work))


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels what still runs and waits for it, so that its connection is closed."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(ask: Ask, collected: Collected, patience: Patience) -> Ended:
    """Returns once the answers still to come need not be waited for."""
    started = time.monotonic()
    looked_at = (0, 0)
    while True:
        collected.changed.clear()
        have = len(collected.answers)
        if ask.first and have:
            return Ended.FIRST
        state = (have, collected.missing(ask))
        if state != looked_at and await collected.is_settled(ask):
            return Ended.SETTLED
        looked_at = state
        left = _patience_left(ask, collected, patience, time.monotonic() - started)
        if left is not None and left <= 0:
            return Ended.STRAGGLERS
        await set_within(collected.changed, left)


def _patience_left(
    ask: Ask, collected: Collected, patience: Patience, waited_s: float
) -> float | None:
    if ask.exact or ask.request.seed is not None:
        return None
    if len(collected.answers) < collected.quorum(ask):
        return None
    if collected.may_grow(ask):
        patience = replace(patience, least_s=0.0)  # others are asked in their place, at once
    return patience.left_s([answer.elapsed_s for answer in collected.answers], waited_s)
