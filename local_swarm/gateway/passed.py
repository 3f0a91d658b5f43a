"""What generates without a vote and is passed through: /completion, /infill, embeddings, rerank.

Each request takes one slot (llama-server runs the prompts of a list one after the other in the slot
that is named; `n` takes so many slots of one worker). A worker that dies or breaks off is tried
again as long as nothing of the answer was sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from local_swarm.errors import DeadlineExceeded, InvalidRequest, NoVoterAnswered
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.attempts import Attempts
from local_swarm.gateway.bodies import read_json, session_of
from local_swarm.gateway.cells import LIMITS, answer_tokens, limited
from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.length import Length
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.present import too_many
from local_swarm.gateway.purposes import check_vectors
from local_swarm.gateway.relay import BrokenStream
from local_swarm.gateway.stats import Stats, tokens_told
from local_swarm.gateway.stream import Pace, send
from local_swarm.gateway.turns import Served, is_solo
from local_swarm.gateway.upstream import (
    Lost,
    Refused,
    Reply,
    TooLate,
    Upstream,
    UpstreamError,
    parse_event,
)
from local_swarm.wire.native import Joined, fields_asked
from local_swarm.wire.passed import PassedBody
from local_swarm.wire.sse import encode_event

T = TypeVar("T")
NOTHING = b"null"  # llama-server's first event of a list of prompts
ERROR = b'"error"'
TOO_LONG = "too large to process"


class Turnstile:
    """A slot for one passed-through request, and another try where a worker was lost."""

    def __init__(
        self, fleet: Fleet, ledger: Ledger, stats: Stats, activity: Activity, *, timeout_s: float
    ) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._stats = stats
        self._timeout_s = timeout_s
        self.activity = activity

    def need(self, slots: int, conversation: str) -> Need:
        """Raises InvalidRequest for more slots than one worker has."""
        most = self._ledger.most_slots
        if slots > max(1, most):
            raise too_many(slots, most)
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
            leases = await self._ledger.acquire(need, within_s=attempts.left_s, again=again)
            endpoint, again, shown, cut = leases[0].endpoint, True, False, True
            asked, tokens = time.monotonic(), 0
            try:
                async with aclosing(attempt(leases[0], attempts.left_s)) as values:
                    async for value in values:
                        shown = True
                        tokens += tokens_told(value) if isinstance(value, bytes) else 0
                        yield value
                cut = False
                self._fleet.served(endpoint.id, endpoint.generation)
                self._stats.passed(endpoint.id, time.monotonic() - asked, tokens)
                return
            except UpstreamError as exc:
                if shown:
                    raise BrokenStream(_broken(exc)) from exc
                failure = exc
            finally:
                self._ledger.release(leases, cut=cut)
            await attempts.failed(endpoint, failure)


class Completions:
    """POST /completion, /infill. A worker is always asked for a stream: only then it notices that
    the client has left. A client that wants none gets the events put together."""

    def __init__(
        self,
        served: Served,
        turnstile: Turnstile,
        upstream: Upstream,
        pace: Pace,
        *,
        length: Length,
        length_s: float,
    ) -> None:
        self._served = served
        self._length = length
        self._length_s = length_s
        self._turnstile = turnstile
        self._upstream = upstream
        self._pace = pace

    async def handle(self, request: web.Request, path: str) -> web.StreamResponse:
        body = await read_body(request, self._served)
        with self._turnstile.activity:
            need = await self._sized(self._need(request, path, body), path, body)
            return await self._answer(request, path, body, need)

    async def _sized(self, need: Need, path: str, body: PassedBody) -> Need:
        """With what it takes at most of a pool. Raises ContextExceeded, InvalidRequest."""
        limits = {name: body.value(name) for name in LIMITS}
        if path.endswith("infill"):
            return need  # its prompt is put together by the worker
        prompt_tokens = await self._length.check_prompt(
            body.value("prompt"), within_s=self._length_s
        )
        return replace(need, prompt_tokens=prompt_tokens, answer_tokens=answer_tokens(limits))

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
                limited(body.upstream(_slot(lease)), lease),
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
            upstream_body = limited(body.upstream(_slot(lease), **put), lease)
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

    def __init__(self, served: Served, turnstile: Turnstile, upstream: Upstream) -> None:
        self._served = served
        self._turnstile = turnstile
        self._upstream = upstream

    async def handle(self, request: web.Request, path: str) -> web.StreamResponse:
        body = await read_body(request, self._served)
        check_vectors(self._served, path)

        async def attempt(lease: Lease, within_s: float) -> AsyncGenerator[Reply, None]:
            upstream_body = body.upstream(_slot(lease))
            try:
                yield await self._upstream.plain(
                    lease.endpoint, "POST", path, upstream_body, within_s=within_s
                )
            except Refused as refused:
                if TOO_LONG in refused.message:  # a 500, and no worker would take it
                    raise InvalidRequest(refused.message, param="input") from refused
                raise

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
