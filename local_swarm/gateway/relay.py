"""Streams one voter as it writes: `ID:solo` and `leader`.

Events pass through as the worker sent them; only those that end the answer are read. Until the
second event nothing has been shown, and a worker that dies is tried again; after that the
stream ends in an error.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from local_swarm.errors import DeadlineExceeded, NoVoterAnswered, RequestError
from local_swarm.gateway.fanout import CHAT_PATH, Ask, Fanout
from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.trouble import Trouble
from local_swarm.gateway.upstream import Lost, TooLate, Upstream, UpstreamError, parse_event
from local_swarm.wire.answer import Assembly

FINISH = b'"finish_reason"'
NO_FINISH = b'"finish_reason":null'
READ_MARKS = (b'"usage"', b'"error"')
FIRST_CHOICE = b'"index":0'


class BrokenStream(Exception):
    """The stream failed after content was shown; `error` is what the client is told."""

    def __init__(self, error: RequestError) -> None:
        super().__init__(error.message)
        self.error = error


class Relay:
    def __init__(self, fanout: Fanout, ledger: Ledger, upstream: Upstream) -> None:
        self._fanout = fanout
        self._ledger = ledger
        self._upstream = upstream

    async def events(self, ask: Ask, facts: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """The data of each event for the client; the last one carries `facts` as `swarm`.

        Raises a RequestError before the first event, BrokenStream after it.
        """
        started = time.monotonic()
        deadline = started + ask.within_s
        trouble = Trouble()
        again = False
        while True:
            need = Need(want=1, solo=ask.solo, conversation=ask.conversation)
            left = max(0.0, deadline - time.monotonic())
            leases = await self._ledger.acquire(need, within_s=left, again=again)
            again = True
            shown = False
            try:
                attempt = self._attempt(ask, leases[0], facts, started)
                async with aclosing(attempt) as events:
                    async for data in events:
                        shown = True
                        yield data
                return
            except UpstreamError as exc:
                if shown:
                    raise BrokenStream(_broken(exc)) from exc
                if isinstance(exc, TooLate):
                    raise DeadlineExceeded(f"No answer within {ask.within_s:g} s.") from exc
                failure = exc
            finally:
                self._ledger.release(leases)
            await self._fanout.account_for(leases[0], failure, trouble)
            if (error := trouble.verdict()) is not None:
                raise error

    async def _attempt(
        self, ask: Ask, lease: Lease, facts: dict[str, Any], started: float
    ) -> AsyncGenerator[bytes, None]:
        """One life of the stream. The first event is held back until there is a second."""
        endpoint = lease.endpoint
        body = self._fanout.body(ask, lease, 0)
        assembly = Assembly(endpoint.id, 1)
        asked = time.monotonic()
        left = max(0.001, started + ask.within_s - asked)
        held: bytes | None = None
        stream = self._upstream.stream(
            endpoint, CHAT_PATH, body, within_s=left, accepted=ask.accepted
        )
        async with stream as events:
            async for data in events:
                out: bytes | None = data
                if _must_be_read(data):
                    event = parse_event(data)
                    assembly.take(event, time.monotonic() - asked)
                    elapsed_ms = round(1000 * (time.monotonic() - started))
                    closing = {**facts, "elapsed_ms": elapsed_ms}
                    out = _for_client(event, ask.request.include_usage, closing)
                if held is not None:
                    yield held
                held = out
            if not assembly.complete:
                raise Lost(f"{endpoint.id} ended the stream before the answer")
            if held is not None:
                yield held
        self._fanout.account(endpoint, assembly.answers)


def _must_be_read(data: bytes) -> bool:
    """Whether the event may end the answer, or hold what must not reach the client. Engines
    write compact JSON; an event written otherwise is read too."""
    finishes = FINISH in data and NO_FINISH not in data
    return finishes or FIRST_CHOICE not in data or any(mark in data for mark in READ_MARKS)


def _for_client(event: dict[str, Any], include_usage: bool, facts: dict[str, Any]) -> bytes | None:
    """The event as the client should see it: only choice 0, usage only where asked for, and the
    facts in the last one. None for an event it should not see."""
    choices = [c for c in event.get("choices") or () if c.get("index", 0) == 0]
    is_usage = not event.get("choices") and "usage" in event
    if not choices and not (is_usage and include_usage):
        return None
    finished = any(c.get("finish_reason") for c in choices)
    if is_usage or (finished and not include_usage):
        event["swarm"] = facts
    return msgspec.json.encode({**event, "choices": choices})


def _broken(error: UpstreamError) -> RequestError:
    if isinstance(error, TooLate):
        return DeadlineExceeded("The answer did not end in time.")
    return NoVoterAnswered(f"The worker was lost while it answered: {error.message}")
