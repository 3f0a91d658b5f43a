"""Sends events to a client that streams: when the 200 goes out, comments while it waits, errors.

A stream is always answered by a stream once its 200 is out. The 200 goes out when the first worker
has taken the request, or after `first_byte_s`; before that an error is a plain JSON error.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from local_swarm.errors import LocalSwarmError, NoVoterAnswered
from local_swarm.gateway.relay import BrokenStream
from local_swarm.wire.errors import error_body
from local_swarm.wire.sse import PING, encode_event

LAST_WRITE_S = 0.5  # for the error event of a client that may be gone
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds until the 200 at the latest, and between two comments."""

    first_byte_s: float = 10.0
    keepalive_s: float = 5.0


async def send(
    request: web.Request,
    events: AsyncGenerator[bytes, None],
    accepted: asyncio.Event,
    pace: Pace,
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Writes every piece of `events` (already framed) to the client.

    Raises what `events` raises before its first piece while the 200 is not out; later errors
    become an error event. A client that leaves closes `events`.
    """
    response = web.StreamResponse(headers={**HEADERS, **headers})
    coming = asyncio.ensure_future(events.__anext__())
    try:
        await _until_accepted(coming, accepted, pace.first_byte_s)
        if coming.done() and (error := coming.exception()) is not None:
            raise error
        await response.prepare(request)
        with contextlib.suppress(StopAsyncIteration):
            while True:
                await _ping_until(coming, response, pace.keepalive_s)
                await response.write(coming.result())
                coming = asyncio.ensure_future(events.__anext__())
        await response.write_eof()
    except ConnectionError:
        pass  # the client is gone: nobody is left to tell
    except (Exception, asyncio.CancelledError) as exc:
        if not response.prepared:
            raise
        await _tell(response, exc)
        if not isinstance(exc, (LocalSwarmError, BrokenStream)):
            raise
    finally:
        try:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        finally:
            await events.aclose()
    return response


async def _tell(response: web.StreamResponse, error: BaseException) -> None:
    """Ends a stream that has begun with an error event, if the client is still there."""
    if isinstance(error, BrokenStream):
        shown: LocalSwarmError = error.error
    elif isinstance(error, LocalSwarmError):
        shown = error
    elif isinstance(error, asyncio.CancelledError):
        shown = NoVoterAnswered("The swarm stopped while it answered.")
    else:
        shown = NoVoterAnswered("The gateway failed while it answered.")
    event = encode_event(msgspec.json.encode(error_body(shown)))
    with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
        await asyncio.wait_for(response.write(event), LAST_WRITE_S)
        await asyncio.wait_for(response.write_eof(), LAST_WRITE_S)


async def _until_accepted(
    coming: asyncio.Future[bytes], accepted: asyncio.Event, within_s: float
) -> None:
    taken = asyncio.ensure_future(accepted.wait())
    either: set[asyncio.Future[Any]] = {coming, taken}
    try:
        await asyncio.wait(either, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        taken.cancel()


async def _ping_until(
    coming: asyncio.Future[bytes], response: web.StreamResponse, every_s: float
) -> None:
    while not coming.done():
        done, _ = await asyncio.wait({coming}, timeout=every_s)
        if not done:
            await response.write(PING)
