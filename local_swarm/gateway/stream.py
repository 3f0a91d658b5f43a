"""Sends events to a client that streams: when the 200 goes out, comments while it waits, errors.

A stream is always answered by a stream once its 200 is out. The 200 goes out when the first worker
has taken the request, or after `first_byte_s`; before that an error is a plain JSON error.

The handler's own task writes what comes, so an event costs no task and no timer; one more task for
each stream sends the 200 where nothing has come yet, and the comments. A client that reads slowly
holds up the writing, and so the reading of `events`: nothing is piled up for it. One that takes
nothing at all is cut off in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from local_swarm.errors import LocalSwarmError, NoVoterAnswered
from local_swarm.gateway.relay import BrokenStream
from local_swarm.wire.errors import error_event
from local_swarm.wire.sse import PING

LAST_WRITE_S = 0.5  # for the error event of a client that may be gone
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds until the 200 at the latest, between two comments, and until a client that takes
    nothing of what is there for it is cut off: it holds up its worker."""

    first_byte_s: float = 10.0
    keepalive_s: float = 5.0
    stalled_s: float = 60.0


async def send(
    request: web.Request,
    events: AsyncGenerator[bytes, None],
    accepted: asyncio.Event,
    pace: Pace,
    headers: Mapping[str, str],
    failed: Callable[[LocalSwarmError], bytes] = error_event,
) -> web.StreamResponse:
    """Writes every piece of `events` (already framed) to the client, each at once.

    The 200 goes out with the first piece, or when `accepted` is set (which this does itself after
    `pace.first_byte_s`). Raises what `events` raises while the 200 is not out; later errors become
    what `failed` makes of them. A client that leaves closes `events`.
    """
    response = web.StreamResponse(headers={**HEADERS, **headers})
    client = _Client(request, response)
    try:
        async with aclosing(events), _kept_alive(client, accepted, pace):
            async for piece in events:
                await client.write(piece)
            await client.open()
        await response.write_eof()
    except ConnectionError:
        pass  # the client is gone: nobody is left to tell
    except (Exception, asyncio.CancelledError) as exc:
        if not response.prepared:
            raise
        await _tell(response, failed, exc)
        if not isinstance(exc, (LocalSwarmError, BrokenStream)):
            raise
    return response


class _Client:
    """One streaming client. `quiet_since` is the loop's time of the last write that ended,
    `held_up` whether one is waiting for the client to make room."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self._opening = asyncio.Lock()
        self._opened = False
        self._loop = asyncio.get_running_loop()
        self.quiet_since = self._loop.time()
        self.held_up = False

    async def open(self) -> None:
        """Sends the 200, once."""
        async with self._opening:
            if not self._opened:
                await self._response.prepare(self._request)
                self._opened = True

    async def write(self, piece: bytes) -> None:
        """Returns when the client has room for more."""
        if not self._opened:
            await self.open()
        self.held_up = True
        await self._response.write(piece)
        self.held_up = False
        self.quiet_since = self._loop.time()

    def cut_off(self) -> None:
        """The handler is told as if the client had left."""
        if self._request.transport is not None:
            self._request.transport.abort()


@asynccontextmanager
async def _kept_alive(client: _Client, accepted: asyncio.Event, pace: Pace) -> AsyncIterator[None]:
    """Nothing is written by itself once this is left: the end of the stream is the end."""
    task = asyncio.create_task(_keep_alive(client, accepted, pace), name="keep-alive")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep_alive(client: _Client, accepted: asyncio.Event, pace: Pace) -> None:
    """The 200 as soon as it may go out, then a comment whenever nothing else was written."""
    loop = asyncio.get_running_loop()
    at_the_latest = loop.call_later(pace.first_byte_s, accepted.set)
    try:
        await accepted.wait()
    finally:
        at_the_latest.cancel()
    with contextlib.suppress(ConnectionError):  # the handler is told by its own write
        await client.open()
        while True:
            left_s = client.quiet_since + pace.keepalive_s - loop.time()
            if left_s > 0:
                await asyncio.sleep(left_s)
            elif not client.held_up:
                await client.write(PING)
            elif loop.time() - client.quiet_since < pace.stalled_s:
                await asyncio.sleep(pace.keepalive_s)
            else:
                client.cut_off()
                return


async def _tell(
    response: web.StreamResponse, failed: Callable[[LocalSwarmError], bytes], error: BaseException
) -> None:
    """Ends a stream that has begun with an error event, if the client is still there."""
    if isinstance(error, BrokenStream):
        shown: LocalSwarmError = error.error
    elif isinstance(error, LocalSwarmError):
        shown = error
    elif isinstance(error, asyncio.CancelledError):
        shown = NoVoterAnswered("The swarm stopped while it answered.")
    else:
        shown = NoVoterAnswered("The gateway failed while it answered.")
    event = failed(shown)
    with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
        await asyncio.wait_for(response.write(event), LAST_WRITE_S)
        await asyncio.wait_for(response.write_eof(), LAST_WRITE_S)
