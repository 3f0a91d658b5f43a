"""Asks as many slots as a request wants voters, and collects their answers.

Each worker that takes part gets one upstream request for all its slots (`n`). A worker that dies
under it, or breaks off, is asked again, it or another, as long as fewer than the quorum have
answered; nothing of an answer has reached the client by then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import DeadlineExceeded, RequestError
from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.trouble import RETRY_PAUSE_S, Trouble
from local_swarm.gateway.upstream import Lost, Upstream, UpstreamError, parse_event
from local_swarm.telemetry.logs import get_logger
from local_swarm.wire.answer import Answer, Assembly
from local_swarm.wire.chat import ChatRequest

log = get_logger(__name__)

DEATH_NOTICE_S = 2.0  # a broken connection is often seen before the exit that caused it
CHAT_PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Ask:
    """What to collect: `want` answers, at least `quorum`, within `within_s` seconds.

    Where workers are away, fewer are asked and the quorum shrinks with them; `exact` insists on
    `want` answers, in rounds where there are fewer slots. `first` ends with the first answer.
    `temperature` is the swarm's own, for requests that set no sampling; None leaves it to the
    engine. `accepted` is called when the first worker has taken the request. `seed_offset` are the
    seeds that were given out for this request before.
    """

    request: ChatRequest
    want: int
    quorum: int
    within_s: float
    conversation: str = ""
    solo: bool = False
    exact: bool = False
    first: bool = False
    temperature: float | None = None
    accepted: Callable[[], None] = lambda: None
    seed_offset: int = 0


@dataclass(slots=True)
class Collected:
    """The finished answers in order of arrival.

    `asked` is how many voters there were, `seeds` how many seeds were given out (more where
    voters were lost and others asked instead), `rounds` how often slots were taken.
    """

    asked: int = 0
    seeds: int = 0
    rounds: int = 0
    answers: list[Answer] = field(default_factory=list)


class Fanout:
    """Shared by all requests; keeps no state of its own between them."""

    def __init__(
        self, fleet: Fleet, ledger: Ledger, upstream: Upstream, stats: Stats, model_id: str
    ) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._upstream = upstream
        self._stats = stats
        self._model_id = model_id

    async def collect(self, ask: Ask) -> Collected:
        """At least one finished answer; as many as `ask` insists on unless time ran out first.

        Raises a RequestError when no answer can be had.
        """
        deadline = time.monotonic() + ask.within_s
        collected = Collected()
        trouble = Trouble()
        try:
            while True:
                await self._round(ask, deadline, collected, trouble)
                if len(collected.answers) >= _enough(ask, collected):
                    return collected
                if (error := trouble.verdict()) is not None:
                    raise error
        except RequestError:
            # Fewer answers than wanted are still answers; none at all is the error.
            if not collected.answers:
                raise
            return collected

    async def _round(
        self, ask: Ask, deadline: float, collected: Collected, trouble: Trouble
    ) -> None:
        """Asks for the answers still missing, once. Raises DeadlineExceeded, Overloaded."""
        have = len(collected.answers)
        need = Need(
            want=ask.want - have,
            minimum=max(1, ask.quorum - have),
            solo=ask.solo,
            conversation=ask.conversation,
        )
        again = collected.rounds > 0
        leases = await self._ledger.acquire(need, within_s=_left(ask, deadline), again=again)
        collected.rounds += 1
        tasks = []
        for lease in leases:
            coroutine = self._attempt(ask, lease, ask.seed_offset + collected.seeds, collected)
            tasks.append(asyncio.create_task(coroutine, name=f"ask-{lease.endpoint.id}"))
            collected.seeds += len(lease.slots)
        collected.asked = max(collected.asked, have + sum(len(lease.slots) for lease in leases))
        try:
            late = await _wait(
                tasks, deadline, lambda: ask.first and any(_is_over(a) for a in collected.answers)
            )
        finally:
            try:
                await _end(tasks)
            finally:
                self._ledger.release(leases)
        if late:
            raise _too_late(ask)
        for lease, task in zip(leases, tasks, strict=True):
            if not task.cancelled() and (error := task.result()) is not None:
                await self.account_for(lease, error, trouble)

    async def _attempt(
        self, ask: Ask, lease: Lease, offset: int, collected: Collected
    ) -> UpstreamError | None:
        """One upstream request. Adds each answer as it finishes; returns what went wrong."""
        endpoint = lease.endpoint
        body = self.body(ask, lease, offset)
        assembly = Assembly(endpoint.id, len(lease.slots))
        started = time.monotonic()
        try:
            stream = self._upstream.stream(
                endpoint, CHAT_PATH, body, within_s=ask.within_s, accepted=ask.accepted
            )
            async with stream as events:
                async for data in events:
                    assembly.take(parse_event(data), time.monotonic() - started)
                    if ask.first and any(_is_over(a) for a in assembly.answers):
                        return None
            if not assembly.complete:
                raise Lost(f"{endpoint.id} ended the stream before the answer")
        except UpstreamError as exc:
            return exc
        except Exception as exc:
            log.exception("an answer could not be read", worker=endpoint.id)
            return Lost(f"{type(exc).__name__}: {exc}")
        finally:
            finished = [a for a in assembly.answers if a.finish_reason]
            collected.answers.extend(sorted(finished, key=lambda a: a.elapsed_s))
            self.account(endpoint, finished)
        return None

    def body(self, ask: Ask, lease: Lease, seed_offset: int) -> dict[str, Any]:
        """What the worker of this lease is asked."""
        return ask.request.upstream_body(
            model=self._model_id,
            n=len(lease.slots),
            slot=lease.slots[0] if lease.endpoint.capabilities.id_slot else None,
            seed_offset=seed_offset,
            temperature=ask.temperature,
        )

    def account(self, endpoint: Endpoint, finished: list[Answer]) -> None:
        """These answers of one upstream request are complete."""
        if finished:
            self._fleet.served(endpoint.id, endpoint.generation)
            self._stats.finished(endpoint.id, finished)

    async def account_for(self, lease: Lease, error: UpstreamError, trouble: Trouble) -> None:
        """Finds out whether the worker died of it or lives on; in that case pauses a moment."""
        endpoint = lease.endpoint
        within_s = DEATH_NOTICE_S if isinstance(error, Lost) else 0.0
        death = await self._fleet.death_of(endpoint.id, endpoint.generation, within_s)
        if death is not None:
            trouble.died(death)
        else:
            trouble.failed(error)
            await asyncio.sleep(RETRY_PAUSE_S)


def _left(ask: Ask, deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _too_late(ask)
    return left


def _too_late(ask: Ask) -> DeadlineExceeded:
    return DeadlineExceeded(f"No answer within {ask.within_s:g} s.")


def _is_over(answer: Answer) -> bool:
    """Finished, and its usage has been told (an engine that tells none ends its stream)."""
    return answer.finish_reason is not None and answer.usage is not None


def _enough(ask: Ask, collected: Collected) -> int:
    if ask.first:
        return 1
    return ask.want if ask.exact else min(ask.quorum, collected.asked)


async def _wait(
    tasks: list[asyncio.Task[UpstreamError | None]], deadline: float, enough: Callable[[], bool]
) -> bool:
    """Waits until all tasks have ended or there is enough. True when time ran out first."""
    pending = set(tasks)
    while pending and not enough():
        left = deadline - time.monotonic()
        done, pending = await asyncio.wait(
            pending, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            return True
    return False


async def _end(tasks: Iterable[asyncio.Task[UpstreamError | None]]) -> None:
    """Cancels what still runs and waits for it, so that its connection is closed."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
