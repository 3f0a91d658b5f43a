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
from local_swarm.domain.worker import Death
from local_swarm.errors import DeadlineExceeded, RequestError
from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.trouble import Trouble, as_upstream_error
from local_swarm.gateway.upstream import Lost, Upstream, UpstreamError, parse_event
from local_swarm.wire.answer import Answer, Assembly
from local_swarm.wire.chat import ChatRequest

DEATH_NOTICE_S = 2.0  # a broken connection is often seen before the exit that caused it
CHAT_PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Ask:
    """What to collect: `want` answers, at least `quorum`, within `within_s` seconds.

    Where workers are away, fewer are asked and the quorum shrinks with them; `exact` insists on
    `want` answers, in rounds where there are fewer slots. `first` ends with the first answer.
    `temperature` is the swarm's own, for requests that set no sampling; None leaves it to the
    engine. `accepted` is called when the first worker has taken the request.
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


@dataclass(slots=True)
class Collected:
    """The finished answers in order of arrival, and how many voters were asked in the end."""

    asked: int = 0
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
        while True:
            left = deadline - time.monotonic()
            try:
                await self._round(ask, left, collected, trouble)
            except DeadlineExceeded:
                if not collected.answers:
                    raise
                return collected
            if len(collected.answers) >= _enough(ask, collected):
                return collected
            error = trouble.verdict()
            if error is not None:
                return _best_of(collected, error)

    async def _round(self, ask: Ask, left: float, collected: Collected, trouble: Trouble) -> None:
        """Asks for the answers still missing, once."""
        if left <= 0:
            raise DeadlineExceeded(f"No answer within {ask.within_s:.0f} s.")
        have = len(collected.answers)
        need = Need(
            want=ask.want - have,
            minimum=max(1, ask.quorum - have),
            solo=ask.solo,
            conversation=ask.conversation,
        )
        started = time.monotonic()
        leases = await self._ledger.acquire(need, within_s=left)
        left -= time.monotonic() - started
        offset = have
        tasks = []
        for lease in leases:
            coroutine = self._attempt(ask, lease, offset, collected)
            tasks.append(asyncio.create_task(coroutine, name=f"ask-{lease.endpoint.id}"))
            offset += len(lease.slots)
        collected.asked = max(collected.asked, offset)
        try:
            late = await _wait(tasks, max(0.0, left), lambda: ask.first and bool(collected.answers))
        finally:
            await _end(tasks)
            self._ledger.release(leases)
        if late:
            raise DeadlineExceeded(f"No answer within {ask.within_s:.0f} s.")
        for lease, task in zip(leases, tasks, strict=True):
            if not task.cancelled() and (error := task.result()) is not None:
                death = await self.death_behind(lease, error)
                if death is not None:
                    trouble.died(death)
                else:
                    trouble.failed(error)

    async def _attempt(
        self, ask: Ask, lease: Lease, offset: int, collected: Collected
    ) -> UpstreamError | None:
        """One upstream request. Adds each answer as it finishes; returns what went wrong."""
        endpoint = lease.endpoint
        body = self.body(ask, lease, offset)
        assembly = Assembly(endpoint.id, len(lease.slots))
        started = time.monotonic()
        try:
            stream = self._upstream.stream(endpoint, CHAT_PATH, body, accepted=ask.accepted)
            async with stream as events:
                async for data in events:
                    assembly.take(parse_event(data), time.monotonic() - started)
                    if ask.first and any(a.finish_reason for a in assembly.answers):
                        return None
            if not assembly.complete:
                raise Lost(f"{endpoint.id} ended the stream before the answer")
        except UpstreamError as exc:
            return exc
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            return as_upstream_error(exc)
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

    async def death_behind(self, lease: Lease, error: UpstreamError) -> Death | None:
        """The death of the worker that explains the error, None if it lives on."""
        within_s = DEATH_NOTICE_S if isinstance(error, Lost) else 0.0
        return await self._fleet.death_of(lease.endpoint.id, lease.endpoint.generation, within_s)


def _enough(ask: Ask, collected: Collected) -> int:
    if ask.first:
        return 1
    return ask.want if ask.exact else min(ask.quorum, collected.asked)


async def _wait(
    tasks: list[asyncio.Task[UpstreamError | None]], timeout: float, enough: Callable[[], bool]
) -> bool:
    """Waits until all tasks have ended or there is enough. True when time ran out first."""
    deadline = time.monotonic() + timeout
    pending = set(tasks)
    while pending and not enough():
        left = deadline - time.monotonic()
        done, pending = await asyncio.wait(
            pending, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            return True
    return False


def _best_of(collected: Collected, error: RequestError) -> Collected:
    """Fewer answers than the quorum are still answers; none at all is the error."""
    if not collected.answers:
        raise error
    return collected


async def _end(tasks: Iterable[asyncio.Task[UpstreamError | None]]) -> None:
    """Cancels what still runs and waits for it, so that its connection is closed."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
