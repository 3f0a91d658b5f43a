"""GET /v1/swarm/events: what happens in the swarm, as server-sent events.

Each event is `{"type", "time", ...}`; docs/http.md lists them. None holds a prompt or an answer. A
reader that is too slow loses the oldest events and is told how many, so that it costs a bounded
amount of memory and delays nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from local_swarm.errors import Overloaded
from local_swarm.gateway.within import set_within
from local_swarm.wire.sse import PING, encode_event

MAX_SUBSCRIBERS = 16
BUFFERED = 256
RETRY_AFTER_S = 30
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


class Subscription:
    """One reader's events, oldest first; at most `BUFFERED` of them."""

    def __init__(self) -> None:
        self._events: deque[Mapping[str, Any]] = deque()
        self._dropped = 0
        self._change = asyncio.Event()
        self.closed = False

    def put(self, event: Mapping[str, Any]) -> None:
        if len(self._events) == BUFFERED:
            self._events.popleft()
            self._dropped += 1
        self._events.append(event)
        self._change.set()

    def close(self) -> None:
        """`take` gives what is left, and nothing after that."""
        self.closed = True
        self._change.set()

    async def wait(self, within_s: float) -> None:
        """Until there is something to take, it is closed, or the time is up."""
        await set_within(self._change, within_s)

    def take(self) -> list[Mapping[str, Any]]:
        """Everything that waits; first, where some were lost, how many."""
        dropped, self._dropped = self._dropped, 0
        taken = list(self._events)
        self._events.clear()
        if not self.closed:
            self._change.clear()
        return [_event("dropped", {"dropped": dropped}), *taken] if dropped else taken


class Events:
    """Lives on one event loop. Publishing blocks nobody and costs nothing while nobody reads."""

    def __init__(self, now: Callable[[], Mapping[str, Any]] = dict) -> None:
        """`now` is what a new reader is told first: how things stand."""
        self._now = now
        self._subscribers: set[Subscription] = set()
        self._closed = False

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    def publish(self, kind: str, fields: Mapping[str, Any]) -> None:
        if self._subscribers:
            event = _event(kind, fields)
            for subscriber in self._subscribers:
                subscriber.put(event)

    def subscribe(self) -> Subscription:
        """Raises Overloaded where enough read already. The caller must `unsubscribe`."""
        if self._closed or len(self._subscribers) >= MAX_SUBSCRIBERS:
            raise Overloaded(
                f"{MAX_SUBSCRIBERS} readers of events are served at most.",
                retry_after_s=RETRY_AFTER_S,
            )
        subscription = Subscription()
        subscription.put(_event("hello", self._now()))
        self._subscribers.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscribers.discard(subscription)

    def close(self) -> None:
        """Ends every stream once it has sent what waits; new ones are refused."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.close()


class EventStream:
    """The route's handler."""

    def __init__(self, events: Events, keepalive_s: float) -> None:
        self._events = events
        self._keepalive_s = keepalive_s

    async def handle(self, request: web.Request) -> web.StreamResponse:
        subscription = self._events.subscribe()
        response = web.StreamResponse(headers=HEADERS)
        try:
            await response.prepare(request)
            if request.method != "HEAD":
                await self._send(subscription, response)
                await response.write_eof()
        except ConnectionError:
            pass  # the reader has left
        finally:
            self._events.unsubscribe(subscription)
        return response

    async def _send(self, subscription: Subscription, response: web.StreamResponse) -> None:
        while True:
            taken = subscription.take()
            if not taken and subscription.closed:
                return
            framed = b"".join(encode_event(msgspec.json.encode(event)) for event in taken)
            await response.write(framed or PING)
            await subscription.wait(self._keepalive_s)


def _event(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": kind, "time": round(time.time(), 3), **fields}
