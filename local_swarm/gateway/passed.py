"""What generates without a vote and is passed through: /completion, /infill, embeddings, rerank.

Each request takes one slot (llama-server runs the prompts of a list one after the other in the slot
that is named; `n` takes so many slots of one worker). A worker that dies or breaks off is tried
again as long as nothing of the answer was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from local_swarm.errors import DeadlineExceeded, InvalidRequest, NoVoterAnswered, Overloaded
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.attempts import Attempts
from local_swarm.gateway.bodies import read_json, session_of
from local_swarm.gateway.exchange import Exchange, Reply
from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.relay import BrokenStream
from local_swarm.gateway.stream import Pace, send
from local_swarm.gateway.turns import Served, is_solo
from local_swarm.gateway.upstream import Lost, TooLate, UpstreamError, parse_event
from local_swarm.wire.native import Joined, fields_asked
from local_swarm.wire.passed import PassedBody
from local_swarm.wire.sse import encode_event

T = TypeVar("T")
NOTHING = b"null"  # llama-server's first event of a list of prompts
ERROR = b'"error"'


class Turnstile:
    """A slot for one passed-through request, and another try where a worker was lost."""

    def __init__(
        self, fleet: Fleet, ledger: Ledger, activity: Activity, *, timeout_s: float
    ) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._timeout_s = timeout_s
        self.activity = activity

    def check_open(self) -> None:
        if self.activity.draining:
            raise Overloaded("The swarm is stopping.", retry_after_s=10)

    def need(self, slots: int, conversation: str) -> Need:
        """Raises InvalidRequest for more slots than one worker has."""
        most = self._ledger.most_slots
        if slots > max(1, most):
            raise InvalidRequest(f"n is {slots}, and a worker here has {most} slots.", param="n")
        return Need(slots, slots, solo=slots == 1, together=slots > 1, conversation=conversation)

    async def tries(
        self, need: Need, attempt: Callable[[Lease, float], AsyncGenerator[T, None]]
    ) -> AsyncGenerator[T, None]:
        """What `attempt` yields, given slots and the seconds left.

        Raises a RequestError before the first value, BrokenStream after it.
        """
        attempts = Attempts(self._fleet, self._timeout_s)
        again = False
        while True:
            leases = await self._slots(need, attempts.left_s, again=again)
            endpoint, again, shown = leases[0].endpoint, True, False
            try:
                async with aclosing(attempt(leases[0], attempts.left_s)) as values:
                    async for value in values:
                        shown = True
                        yield value
                self._fleet.served(endpoint.id, endpoint.generation)
                return
            except UpstreamError as exc:
                if shown:
                    raise BrokenStream(_broken(exc)) from exc
                failure = exc
            finally:
                self._ledger.release(leases)
            await attempts.failed(endpoint, failure)

    async def _slots(self, need: Need, within_s: float, *, again: bool) -> tuple[Lease, ...]:
        try:
            return await self._ledger.acquire(need, within_s=within_s, again=again)
        except DeadlineExceeded as exc:
            if self._fleet.endpoints():
                raise
            retry_after_s = self._ledger.retry_after_s()
            raise Overloaded("No worker is ready.", retry_after_s=retry_after_s) from exc


class Completions:
    """POST /completion, /infill. A worker is always asked for a stream: only then it notices that
    the client has left. A client that wants none gets the events put together."""

    def __init__(
        self, served: Served, turnstile: Turnstile, upstream: Exchange, pace: Pace
    ) -> None:
        self._served = served
        self._turnstile = turnstile
        self._upstream = upstream
        self._pace = pace

    async def handle(self, request: web.Request, path: str) -> web.StreamResponse:
        body = await read_body(request, self._served)
        self._turnstile.check_open()
        with self._turnstile.activity:
            need = self._need(request, path, body)
            return await self._answer(request, path, body, need)

    def _need(self, request: web.Request, path: str, body: PassedBody) -> Need:
        slots = body.n
        conversation = f"solo:{session_of(request)}:{path}:{body.opening}"
        need = self._turnstile.need(slots, conversation)
        if slots == 1 or body.prompts == 1:
            return need
        raise InvalidRequest(
            f"n is {slots}, and there are {body.prompts} prompts.",
            hint="Send each prompt in a request of its own.",
            param="n",
        )

    async def _answer(
        self, request: web.Request, path: str, body: PassedBody, need: Need
    ) -> web.StreamResponse:
        accepted = asyncio.Event()
        if body.stream:
            events = self._turnstile.tries(need, self._streamed(path, body, accepted))
            return await send(request, events, accepted, self._pace, {})
        (answer,) = [a async for a in self._turnstile.tries(need, self._joined(path, body))]
        return web.Response(body=answer, content_type="application/json", charset="utf-8")

    def _streamed(
        self, path: str, body: PassedBody, accepted: asyncio.Event
    ) -> Callable[[Lease, float], AsyncGenerator[bytes, None]]:
        async def attempt(lease: Lease, within_s: float) -> AsyncGenerator[bytes, None]:
            stream = self._upstream.stream(
                lease.endpoint,
                path,
                body.upstream(_slot(lease)),
                within_s=within_s,
                accepted=accepted.set,
            )
            shown = False
            async with stream as events:
                async for data in events:
                    if not shown and ERROR in data:
                        parse_event(data)  # an error before anything else may be tried again
                    shown = True
                    yield encode_event(data)
            if not shown:
                raise Lost(f"{lease.endpoint.id} ended the stream before the answer")

        return attempt

    def _joined(
        self, path: str, body: PassedBody
    ) -> Callable[[Lease, float], AsyncGenerator[bytes, None]]:
        put: dict[str, Any] = {"stream": True}
        fields = fields_asked(body.value("response_fields"))
        if fields is not None:
            put["response_fields"] = fields
        return_tokens = body.value("return_tokens") is True

        async def attempt(lease: Lease, within_s: float) -> AsyncGenerator[bytes, None]:
            joined = Joined(return_tokens=return_tokens, drop_index=fields is not None)
            upstream_body = body.upstream(_slot(lease), **put)
            stream = self._upstream.stream(lease.endpoint, path, upstream_body, within_s=within_s)
            async with stream as events:
                async for data in events:
                    if data != NOTHING:
                        joined.take(parse_event(data))
            if not joined.complete:
                raise Lost(f"{lease.endpoint.id} ended the stream before the answer")
            yield msgspec.json.encode(joined.body())

        return attempt


class Embeddings:
    """POST /v1/embeddings, /rerank and their other names. They cannot be streamed, so a worker may
    not notice that the client has left; they are short."""

    def __init__(self, served: Served, turnstile: Turnstile, upstream: Exchange) -> None:
        self._served = served
        self._turnstile = turnstile
        self._upstream = upstream

    async def handle(self, request: web.Request, path: str) -> web.StreamResponse:
        body = await read_body(request, self._served)
        self._turnstile.check_open()

        async def attempt(lease: Lease, within_s: float) -> AsyncGenerator[Reply, None]:
            upstream_body = body.upstream(_slot(lease))
            yield await self._upstream.plain(
                lease.endpoint, "POST", path, upstream_body, within_s=within_s
            )

        with self._turnstile.activity:
            need = self._turnstile.need(1, "")
            (reply,) = [r async for r in self._turnstile.tries(need, attempt)]
        return web.Response(body=reply.body, headers={"Content-Type": reply.content_type})


async def read_body(request: web.Request, served: Served) -> PassedBody:
    """Raises InvalidRequest, and UnknownModel where names are checked."""
    await read_json(request)  # whether it is JSON at all, from the first byte to the last
    body = PassedBody.parse(await request.read())
    is_solo(body.model, served)
    body.check_media()
    return body


def _slot(lease: Lease) -> int | None:
    return lease.slots[0] if lease.endpoint.capabilities.id_slot else None


def _broken(error: UpstreamError) -> DeadlineExceeded | NoVoterAnswered:
    if isinstance(error, TooLate):
        return DeadlineExceeded("The answer did not end in time.")
    return NoVoterAnswered(f"The worker was lost while it answered: {error.message}")
