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

from local_swarm.errors import NoVoterAnswered
from local_swarm.gateway.fanout import CHAT_PATH, Ask, Fanout
from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.trouble import Trouble
from local_swarm.gateway.upstream import Lost, Upstream, UpstreamError, parse_event
from local_swarm.wire.answer import Assembly

LAST_EVENTS = (b'"finish_reason":"', b'"usage"', b'"error"')


class BrokenStream(Exception):
    """The worker was lost after content was shown; `error` is what the client is told."""

    def __init__(self, error: NoVoterAnswered) -> None:
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
        deadline = time.monotonic() + ask.within_s
        trouble = Trouble()
        while True:
            need = Need(want=1, solo=ask.solo, conversation=ask.conversation)
            left = max(0.0, deadline - time.monotonic())
            leases = await self._ledger.acquire(need, within_s=left)
            shown = False
            try:
                async with aclosing(self._attempt(ask, leases[0], facts)) as events:
                    async for data in events:
                        shown = True
                        yield data
                return
            except UpstreamError as exc:
                if shown:
                    lost = NoVoterAnswered(f"The worker was lost while it answered: {exc.message}")
                    raise BrokenStream(lost) from exc
                death = await self._fanout.death_behind(leases[0], exc)
                if death is not None:
                    trouble.died(death)
                else:
                    trouble.failed(exc)
            finally:
                self._ledger.release(leases)
            if (error := trouble.verdict()) is not None:
                raise error

    async def _attempt(
        self, ask: Ask, lease: Lease, facts: dict[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        """One life of the stream. The first event is held back until there is a second."""
        endpoint = lease.endpoint
        body = self._fanout.body(ask, lease, 0)
        assembly = Assembly(endpoint.id, 1)
        started = time.monotonic()
        held: bytes | None = None
        stream = self._upstream.stream(endpoint, CHAT_PATH, body, accepted=ask.accepted)
        async with stream as events:
            async for data in events:
                out: bytes | None = data
                if any(mark in data for mark in LAST_EVENTS):
                    event = parse_event(data)
                    assembly.take(event, time.monotonic() - started)
                    out = _closing(event, ask.request.include_usage, facts)
                if held is not None:
                    yield held
                held = out
            if not assembly.complete:
                raise Lost(f"{endpoint.id} ended the stream before the answer")
            if held is not None:
                yield held
        self._fanout.account(endpoint, assembly.answers)


def _closing(event: dict[str, Any], include_usage: bool, facts: dict[str, Any]) -> bytes | None:
    """An event near the end as the client should see it; None for usage it did not ask for."""
    has_choices = bool(event.get("choices"))
    if not has_choices and not include_usage:
        return None
    finished = has_choices and any(c.get("finish_reason") for c in event["choices"])
    if (finished and not include_usage) or not has_choices:
        event["swarm"] = facts
    return msgspec.json.encode(event)
