"""Streams one voter as it writes: `ID:solo` and `leader`.

Events pass through as the worker sent them; only those that end the answer, or may hold what is not
for the client, are read. What shows nothing yet (the role) is held back, so that a worker that dies
at once is tried again; the first that shows something goes out as it comes. After that a failure
ends the stream in an error.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from local_swarm.errors import DeadlineExceeded, NoVoterAnswered, RequestError
from local_swarm.gateway.cells import answer_tokens
from local_swarm.gateway.fanout import Ask, Fanout
from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.trouble import Trouble
from local_swarm.gateway.upstream import Lost, TooLate, Upstream, UpstreamError, parse_event
from local_swarm.wire.answer import Answer, Assembly

FINISH = b'"finish_reason"'
NO_FINISH = b'"finish_reason":null'
ERROR = b'"error"'
INDEX = b'"index"'
HEAD = ("id", "object", "created", "model", "system_fingerprint")
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

    async def events(self, ask: Ask, facts: dict[str, Any]) -> AsyncGenerator[list[bytes], None]:
        """The data of each event for the client, in batches: all that came with one read, never
        none. The last event carries `facts` as `swarm`.

        Raises a RequestError before the first event, BrokenStream after it.
        """
        started = time.monotonic()
        deadline = started + ask.within_s
        trouble = Trouble()
        again = False
        while True:
            need = Need(
                want=1,
                solo=ask.solo,
                conversation=ask.conversation,
                prompt_tokens=ask.prompt_tokens,
                answer_tokens=answer_tokens(ask.request.body),
            )
            left = max(0.0, deadline - time.monotonic())
            leases = await self._ledger.acquire(need, within_s=left, again=again)
            again = True
            shown, cut = False, True
            try:
                attempt = self._attempt(ask, leases[0], facts, started)
                async with aclosing(attempt) as batches:
                    async for batch in batches:
                        shown = True
                        yield batch
                cut = False
                return
            except UpstreamError as exc:
                if shown:
                    raise BrokenStream(_broken(exc)) from exc
                if isinstance(exc, TooLate):
                    raise DeadlineExceeded(f"No answer within {ask.within_s:g} s.") from exc
                failure = exc
            finally:
                self._ledger.release(leases, cut=cut)
            await self._fanout.account_for(leases[0], failure, trouble)
            if (error := trouble.verdict()) is not None:
                raise error

    async def _attempt(
        self, ask: Ask, lease: Lease, facts: dict[str, Any], started: float
    ) -> AsyncGenerator[list[bytes], None]:
        """One life of the stream."""
        endpoint = lease.endpoint
        body = self._fanout.body(ask, lease, 0)
        asked = time.monotonic()
        left = max(0.001, started + ask.within_s - asked)
        reading = Reading(endpoint.id, ask.request.include_usage, facts, started)
        stream = self._upstream.stream(
            endpoint, ask.request.path, body, within_s=left, accepted=ask.accepted
        )
        async with stream as events:
            async for batch in events.batches:
                if out := reading.take(batch):
                    yield out
            if not reading.complete:
                raise Lost(f"{endpoint.id} ended the stream before the answer")
            if out := reading.rest():
                yield out
        self._fanout.account(endpoint, reading.answers)


class Reading:
    """What of one worker's stream the client gets. Times are monotonic seconds."""

    def __init__(
        self, worker: str, include_usage: bool, facts: dict[str, Any], started: float
    ) -> None:
        self._assembly = Assembly(worker, 1)
        self._include_usage = include_usage
        self._facts = facts
        self._started = started
        self._asked = time.monotonic()
        self._held: list[bytes] | None = []  # None once something was shown
        self._head: dict[str, Any] = {}
        self._told = False  # the facts

    @property
    def complete(self) -> bool:
        return self._assembly.complete

    @property
    def answers(self) -> list[Answer]:
        return self._assembly.answers

    def take(self, batch: list[bytes]) -> list[bytes]:
        """The events to send now. Raises Refused and Lost (see `parse_event`)."""
        out = []
        for data in batch:
            if self._held is None and not _must_be_read(data):
                out.append(data)
                continue
            event = parse_event(data)
            seen = self._read(event, data)
            if seen is not None:
                out.append(seen)
            if self._held is not None and _shows(event):
                out, self._held = self._held + out, None
        if self._held is None:
            return out
        self._held += out
        return []

    def rest(self) -> list[bytes]:
        """What is left at the end: what an answer that showed nothing held back, and the facts,
        where the engine told no usage for them to go with."""
        held, self._held = self._held or [], None
        if self._told:
            return held
        return [*held, msgspec.json.encode({**self._head, "choices": [], "swarm": self._closing()})]

    def _read(self, event: dict[str, Any], data: bytes) -> bytes | None:
        self._assembly.take(event, time.monotonic() - self._asked)
        self._head = {key: event[key] for key in HEAD if key in event}
        self._told = self._told or _is_last(event, self._include_usage)
        return _for_client(event, data, self._include_usage, self._closing())

    def _closing(self) -> dict[str, Any]:
        return {**self._facts, "elapsed_ms": round(1000 * (time.monotonic() - self._started))}


def _must_be_read(data: bytes) -> bool:
    """Whether the event may end the answer, or hold what must not reach the client: anything but
    one choice, the first. Engines write compact JSON; an event written otherwise is read too."""
    return (
        (NO_FINISH not in data and FINISH in data)
        or FIRST_CHOICE not in data
        or data.count(INDEX) != 1
        or ERROR in data
    )


def _shows(event: dict[str, Any]) -> bool:
    """Whether there is more in it than the role."""
    for choice in _choices(event):
        delta = choice.get("delta")
        parts = delta if isinstance(delta, dict) else {"text": choice.get("text")}
        if any(value for key, value in parts.items() if key != "role"):
            return True
    return False


def _choices(event: dict[str, Any]) -> list[dict[str, Any]]:
    choices = event.get("choices")
    return [c for c in choices if isinstance(c, dict)] if isinstance(choices, list) else []


def _for_client(
    event: dict[str, Any], data: bytes, include_usage: bool, facts: dict[str, Any]
) -> bytes | None:
    """The event (its `data` as it came, where nothing is changed) as the client should see it: only
    choice 0, usage only where asked for, and the facts in the last one. None for an event it should
    not see."""
    choices = [c for c in _choices(event) if c.get("index", 0) == 0]
    last = _is_last(event, include_usage)
    if not choices and not last:
        return None
    if last:
        return msgspec.json.encode({**event, "choices": choices, "swarm": facts})
    if choices == event["choices"]:
        return data
    return msgspec.json.encode({**event, "choices": choices})


def _is_last(event: dict[str, Any], include_usage: bool) -> bool:
    """Whether nothing more comes for the client: the finish, or else the usage."""
    choices = [c for c in _choices(event) if c.get("index", 0) == 0]
    if not event.get("choices"):
        return include_usage and "usage" in event
    finished = any(c.get("finish_reason") for c in choices)
    return finished and (not include_usage or bool(event.get("usage")))


def _broken(error: UpstreamError) -> RequestError:
    if isinstance(error, TooLate):
        return DeadlineExceeded("The answer did not end in time.")
    return NoVoterAnswered(f"The worker was lost while it answered: {error.message}")
