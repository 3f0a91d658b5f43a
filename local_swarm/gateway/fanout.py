"""Asks as many slots as a request wants voters, and collects their answers.

Each worker that takes part gets one upstream request for all its slots (`n`). What ends early is
`gathering`'s to say; the workers still at it are then cut off, which frees their slots at once. A
worker that dies under the request, or breaks off, is asked again, it or another, as long as fewer
than the quorum have answered; nothing of an answer has reached the client by then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import DeadlineExceeded, Overloaded, RequestError
from local_swarm.gateway import sampling
from local_swarm.gateway.cells import answer_tokens, limited
from local_swarm.gateway.gathering import Ask, Collected, Ended, Patience, cancel, gather
from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.trouble import RETRY_PAUSE_S, Trouble
from local_swarm.gateway.upstream import Lost, TooLate, Upstream, UpstreamError, parse_event
from local_swarm.telemetry.logs import get_logger
from local_swarm.telemetry.spans import describe, traced
from local_swarm.wire.answer import Answer, Assembly

__all__ = ["DEATH_NOTICE_S", "Ask", "Fanout", "FanoutSettings"]

log = get_logger(__name__)

DEATH_NOTICE_S = 2.0  # a broken connection is often seen before the exit that caused it


@dataclass(frozen=True, slots=True)
class FanoutSettings:
    """`temperature_spread`: how far above and below the swarm's temperature workers are asked.
    `logprobs`: voters tell how sure they are of their words, where that can be asked for."""

    patience: Patience = field(default_factory=Patience)
    temperature_spread: float = 0.1
    logprobs: bool = False


class Fanout:
    """Shared by all requests; keeps no state of its own between them."""

    def __init__(
        self,
        fleet: Fleet,
        ledger: Ledger,
        upstream: Upstream,
        stats: Stats,
        model_id: str,
        settings: FanoutSettings,
    ) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._upstream = upstream
        self._stats = stats
        self._model_id = model_id
        self._settings = settings

    async def collect(self, ask: Ask) -> Collected:
        """At least one finished answer; as many as `ask` insists on unless time ran out first.

        Raises a RequestError when no answer can be had.
        """
        deadline = time.monotonic() + ask.within_s
        collected = Collected()
        trouble = Trouble()
        try:
            while not collected.enough(ask) and collected.ended is Ended.ALL:
                if (error := trouble.verdict()) is not None:
                    raise error
                collected.ended = await self._round(ask, deadline, collected, trouble)
        except RequestError as exc:
            # Fewer answers than wanted are still answers; none at all is the error.
            if not collected.answers:
                raise
            if isinstance(exc, (DeadlineExceeded, Overloaded)):
                collected.ended = Ended.DEADLINE
        return collected

    async def _round(
        self, ask: Ask, deadline: float, collected: Collected, trouble: Trouble
    ) -> Ended:
        """Asks for the answers still missing, once. Raises DeadlineExceeded, Overloaded."""
        leases = await self._leases(ask, deadline, collected)
        tasks = self._start(ask, leases, collected)
        try:
            ended = await gather(tasks, ask, collected, self._settings.patience, deadline)
        finally:
            cut = not all(task.done() for task in tasks)
            try:
                if cut:
                    await cancel(tasks)
            finally:
                self._ledger.release(leases, cut=cut)
        if ended is Ended.STRAGGLERS and collected.may_grow(ask):
            ended = Ended.ALL  # others are asked in their place
        if ended is Ended.ALL:
            errors = [None if task.cancelled() else task.result() for task in tasks]
            if any(isinstance(error, TooLate) for error in errors):
                ended = Ended.DEADLINE
            elif not collected.enough(ask):
                await self._account_for_all(leases, errors, trouble)
                if await collected.is_settled(ask):
                    ended = Ended.SETTLED
        if ended is Ended.DEADLINE:
            raise _too_late(ask)
        return ended

    def _start(
        self, ask: Ask, leases: Sequence[Lease], collected: Collected
    ) -> list[asyncio.Task[UpstreamError | None]]:
        tasks = []
        spread = sampling.temperatures(ask, len(leases), self._settings.temperature_spread)
        for lease, temperature in zip(leases, spread, strict=True):
            seed_offset = ask.seed_offset + collected.seeds
            asked = replace(ask, temperature=temperature, seed_offset=seed_offset)
            coroutine = self._attempt(asked, lease, collected)
            tasks.append(asyncio.create_task(coroutine, name=f"ask-{lease.endpoint.id}"))
            collected.begin(len(lease.slots))
        return tasks

    async def _account_for_all(
        self, leases: Sequence[Lease], errors: Sequence[UpstreamError | None], trouble: Trouble
    ) -> None:
        """Side by side: it may take DEATH_NOTICE_S to learn what became of a worker."""
        failed = [(lease, e) for lease, e in zip(leases, errors, strict=True) if e is not None]
        await asyncio.gather(*(self.account_for(lease, e, trouble) for lease, e in failed))

    async def _leases(self, ask: Ask, deadline: float, collected: Collected) -> Sequence[Lease]:
        have = len(collected.answers)
        want = self._voters(ask) if collected.rounds == 0 else ask.want - have
        need = Need(
            want=want,
            minimum=max(1, min(ask.quorum - have, want)),
            solo=ask.solo,
            conversation=ask.conversation,
            prompt_tokens=ask.prompt_tokens,
            answer_tokens=answer_tokens(ask.request.body),
        )
        again = collected.rounds > 0
        leases = await self._ledger.acquire(need, within_s=_left(ask, deadline), again=again)
        collected.rounds += 1
        return leases

    def _voters(self, ask: Ask) -> int:
        """How many to ask first: a quorum that can begin at once is better than all voters later,
        but not where the client counts on their number, or a seed is to repeat the vote."""
        first = ask.begin if ask.grows else ask.want
        if ask.solo or ask.exact or ask.request.seed is not None or self._ledger.waiting:
            return first
        free = sum(
            slot not in self._ledger.busy_slots(endpoint.id)
            for endpoint in self._fleet.endpoints()
            for slot in range(endpoint.slots - endpoint.lanes)
        )
        return free if max(2, min(ask.quorum, first)) <= free < first else first

    @traced("attempt")
    async def _attempt(self, ask: Ask, lease: Lease, collected: Collected) -> UpstreamError | None:
        """One upstream request. Adds each answer as it finishes; returns what went wrong."""
        endpoint = lease.endpoint
        describe(worker=endpoint.id, voters=len(lease.slots))
        more = sampling.certainty(ask, endpoint) if self._settings.logprobs else {}
        assembly = Assembly(
            endpoint.id, len(lease.slots), model=self._model_id, hides_logprobs=bool(more)
        )
        error: UpstreamError | None = None
        try:
            await self._read(ask, lease, more, assembly, collected)
        except UpstreamError as exc:
            error = exc
        except Exception as exc:
            log.exception("an answer could not be read", worker=endpoint.id)
            error = Lost(f"{type(exc).__name__}: {exc}")
        finally:
            finished = [a for a in assembly.answers if a.finish_reason]
            unfinished = len(assembly.answers) - len(finished)
            lost = error is not None and not isinstance(error, TooLate)
            collected.left(unfinished, lost=lost)
            collected.hear(sorted(finished, key=lambda a: a.elapsed_s))
            self.account(endpoint, finished)
        return error

    async def _read(
        self,
        ask: Ask,
        lease: Lease,
        more: Mapping[str, Any],
        assembly: Assembly,
        collected: Collected,
    ) -> None:
        """Raises an UpstreamError where the stream ends before its answers do."""
        endpoint = lease.endpoint
        body = {**self.body(ask, lease, ask.seed_offset), **more}
        started = time.monotonic()
        stream = self._upstream.stream(
            endpoint, ask.request.path, body, within_s=ask.within_s, accepted=ask.accepted
        )
        async with stream as events:
            async for batch in events.batches:
                for event in map(parse_event, batch):
                    assembly.take(event, time.monotonic() - started)
                    if event.get("usage"):
                        collected.hear(a for a in assembly.answers if _is_over(a))
        if not assembly.complete:
            raise Lost(f"{endpoint.id} ended the stream before the answer")

    def body(self, ask: Ask, lease: Lease, seed_offset: int) -> dict[str, Any]:
        """What the worker of this lease is asked."""
        body = ask.request.upstream_body(
            model=self._model_id,
            n=len(lease.slots),
            slot=lease.slots[0] if lease.endpoint.capabilities.id_slot else None,
            seed_offset=seed_offset,
            temperature=ask.temperature,
        )
        return limited(body, lease)

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
