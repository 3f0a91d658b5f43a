"""Requests to one worker.

What generates is always streamed: a worker stops at once when a stream's connection closes, and
only sometimes when a plain request's does. Never pooled: a pooled connection that fails says
nothing about the worker. The only time limit is the request's own: a busy worker is not a dead one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from local_swarm.domain.endpoint import Endpoint
from local_swarm.gateway.exchange import Exchange
from local_swarm.wire.sse import DONE, EventTooLarge, SSEDecoder

MAX_ERROR_BYTES = 64 * 1024
BROKEN = (aiohttp.ClientError, HttpProcessingError, OSError)
"""What the failures of a connection look like; asyncio.TimeoutError may be among them."""
NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the reading of JSON may end with."""


class UpstreamError(Exception):
    """A worker did not answer; `message` is for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Lost(UpstreamError):
    """The connection failed or ended before the answer did."""


class TooLate(UpstreamError):
    """The time given to the answer was up before it ended."""


class Refused(UpstreamError):
    """The worker answered with an error. `status` is its HTTP status (500 for an error event),
    `error` the error object it sent."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message") or f"HTTP {status}"))
        self.status = status
        self.error = error


@dataclass(frozen=True, slots=True)
class Reply:
    """A worker's 200 to a plain request, as the bytes it came in."""

    body: bytes
    content_type: str

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(frozen=True, slots=True)
class EventStream:
    """The data of each event of one streamed answer, [DONE] left out, event by event or, cheaper,
    by `batches`. To be gone through once; raises Lost and TooLate."""

    batches: AsyncIterator[list[bytes]]
    """All events that came with one read; never an empty list."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for batch in self.batches:
            for data in batch:
                yield data


class Upstream:
    """Shared by all requests; holds nothing between them."""

    @asynccontextmanager
    async def stream(
        self,
        endpoint: Endpoint,
        path: str,
        body: dict[str, Any],
        *,
        within_s: float,
        accepted: Callable[[], None] | None = None,
    ) -> AsyncIterator[EventStream]:
        """The events that `POST path` answers; leaving closes the connection.

        `accepted` is called once the worker has begun to answer. Raises Refused, Lost and TooLate,
        the last two also from the iteration.
        """
        response = await self._send(endpoint, "POST", path, body, within_s)
        try:
            if response.status != 200:
                raise Refused(response.status, await _error_of(response))
            if accepted is not None:
                accepted()
            async with aclosing(_batches(endpoint, response)) as batches:
                yield EventStream(batches)
        finally:
            response.close()

    async def plain(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        within_s: float,
        most_bytes: int | None = None,
    ) -> Reply:
        """One plain request, for what takes no slot or cannot be streamed.

        Raises Refused for any status but 200, TooLate, and Lost, also for an answer of more than
        `most_bytes`.
        """
        response = await self._send(endpoint, method, path, body, within_s)
        try:
            if response.status != 200:
                raise Refused(response.status, await _error_of(response))
            content_type = response.headers.get("Content-Type", "application/json")
            read = bytearray()
            async for chunk in response.content.iter_any():
                read += chunk
                if most_bytes is not None and len(read) > most_bytes:
                    raise Lost(f"{endpoint.id} answered more than {most_bytes} bytes")
            return Reply(bytes(read), content_type)
        except asyncio.TimeoutError as exc:
            raise TooLate(f"{endpoint.id} had not ended its answer in time") from exc
        except BROKEN as exc:
            raise Lost(f"{endpoint.id} broke off: {exc or type(exc).__name__}") from exc
        finally:
            response.close()

    async def post(
        self,
        endpoint: Endpoint,
        path: str,
        body: dict[str, Any],
        *,
        within_s: float,
        most_bytes: int | None = None,
    ) -> dict[str, Any]:
        """The JSON object that `POST path` answers, for what generates nothing.

        Raises Refused, Lost and TooLate like `plain`.
        """
        reply = await self.plain(
            endpoint, "POST", path, body, within_s=within_s, most_bytes=most_bytes
        )
        try:
            answer = reply.json()
        except NO_JSON as exc:
            raise Lost(f"{endpoint.id} answered what is not JSON: {exc}") from exc
        if not isinstance(answer, dict):
            raise Lost(f"{endpoint.id} answered what is not an object")
        return answer

    async def _send(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        within_s: float,
    ) -> Exchange:
        """The answer as soon as its headers are there. Raises Lost and TooLate."""
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        data = None if body is None else msgspec.json.encode(body)
        exchange = Exchange(within_s)
        try:
            await exchange.begin(
                method,
                endpoint.base_url + path,
                {**headers, "Content-Type": "application/json"},
                data,
            )
        except BaseException as exc:
            exchange.close()
            if isinstance(exc, asyncio.TimeoutError):
                raise TooLate(f"{endpoint.id} had not begun to answer in time") from exc
            if isinstance(exc, BROKEN):
                raise Lost(f"no connection to {endpoint.id}: {exc or type(exc).__name__}") from exc
            raise
        return exchange


async def _batches(endpoint: Endpoint, response: Exchange) -> AsyncGenerator[list[bytes], None]:
    decoder = SSEDecoder()
    try:
        async for chunk in response.content.iter_any():
            batch = decoder.feed(chunk)
            if DONE in batch:
                if batch := batch[: batch.index(DONE)]:
                    yield batch
                return
            if batch:
                yield batch
    except asyncio.TimeoutError as exc:
        raise TooLate(f"{endpoint.id} had not ended its answer in time") from exc
    except (*BROKEN, EventTooLarge) as exc:
        raise Lost(f"{endpoint.id} broke off: {exc or type(exc).__name__}") from exc


async def _error_of(response: Exchange) -> dict[str, Any]:
    read = bytearray()
    try:
        async for chunk in response.content.iter_any():
            read += chunk
            if len(read) > MAX_ERROR_BYTES:
                return {}
        body = msgspec.json.decode(read)
    except (*BROKEN, *NO_JSON, asyncio.TimeoutError):
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else {}


def parse_event(data: bytes) -> dict[str, Any]:
    """One event's JSON. Raises Refused for an error event, Lost for what is not JSON."""
    try:
        event = msgspec.json.decode(data)
    except NO_JSON as exc:
        raise Lost(f"an event that is not JSON: {data[:80]!r}") from exc
    if not isinstance(event, dict):
        raise Lost(f"an event that is not an object: {data[:80]!r}")
    if error := event.get("error"):
        error = error if isinstance(error, dict) else {"message": str(error)}
        code = error.get("code")
        raise Refused(code if isinstance(code, int) and 400 <= code < 600 else 500, error)
    return event
