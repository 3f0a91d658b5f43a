"""Requests to one worker.

What generates is always streamed: a worker stops at once when a stream's connection closes, and
only sometimes when a plain request's does. Never pooled: a pooled connection that fails says
nothing about the worker. The only time limit is the request's own: a busy worker is not a dead one.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from local_swarm.domain.endpoint import Endpoint
from local_swarm.wire.sse import DONE, EventTooLarge, SSEDecoder

CONNECT_TIMEOUT_S = 10.0
MAX_ERROR_BYTES = 64 * 1024


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


class Upstream:
    """Use as an async context manager; it owns the connections."""

    async def __aenter__(self) -> Upstream:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            trust_env=False,
            read_bufsize=256 * 1024,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    @asynccontextmanager
    async def stream(
        self,
        endpoint: Endpoint,
        path: str,
        body: dict[str, Any],
        *,
        within_s: float,
        accepted: Callable[[], None] | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The data of each event of `POST path`, [DONE] left out; leaving closes the connection.

        `accepted` is called once the worker has begun to answer. Raises Refused, Lost and TooLate,
        the last two also from the iteration.
        """
        response = await self._send(endpoint, path, body, within_s)
        try:
            if response.status != 200:
                raise Refused(response.status, await _error_of(response))
            if accepted is not None:
                accepted()
            yield _events(endpoint, response)
        finally:
            response.close()

    async def post(
        self, endpoint: Endpoint, path: str, body: dict[str, Any], *, within_s: float
    ) -> dict[str, Any]:
        """The JSON object that `POST path` answers, for what generates nothing.

        Raises Refused, Lost and TooLate.
        """
        response = await self._send(endpoint, path, body, within_s)
        try:
            if response.status != 200:
                raise Refused(response.status, await _error_of(response))
            answer = msgspec.json.decode(await response.read())
        except asyncio.TimeoutError as exc:
            raise TooLate(f"{endpoint.id} had not ended its answer in time") from exc
        except (aiohttp.ClientError, OSError, msgspec.DecodeError) as exc:
            raise Lost(f"{endpoint.id} broke off: {exc or type(exc).__name__}") from exc
        finally:
            response.close()
        if not isinstance(answer, dict):
            raise Lost(f"{endpoint.id} answered what is not an object")
        return answer

    async def _send(
        self, endpoint: Endpoint, path: str, body: dict[str, Any], within_s: float
    ) -> aiohttp.ClientResponse:
        """The answer as soon as its headers are there. Raises Lost and TooLate."""
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        try:
            return await self._session.post(
                endpoint.base_url + path,
                data=io.BytesIO(msgspec.json.encode(body)),  # aiohttp warns of large raw bytes
                headers={**headers, "Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=within_s, sock_connect=CONNECT_TIMEOUT_S),
            )
        except aiohttp.ConnectionTimeoutError as exc:
            raise Lost(f"no connection to {endpoint.id} within {CONNECT_TIMEOUT_S:g} s") from exc
        except asyncio.TimeoutError as exc:
            raise TooLate(f"{endpoint.id} had not begun to answer in time") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise Lost(f"no connection to {endpoint.id}: {exc or type(exc).__name__}") from exc


async def _events(endpoint: Endpoint, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    decoder = SSEDecoder()
    try:
        async for chunk in response.content.iter_any():
            for data in decoder.feed(chunk):
                if data == DONE:
                    return
                yield data
    except asyncio.TimeoutError as exc:
        raise TooLate(f"{endpoint.id} had not ended its answer in time") from exc
    except (aiohttp.ClientError, OSError, EventTooLarge) as exc:
        raise Lost(f"{endpoint.id} broke off: {exc or type(exc).__name__}") from exc


async def _error_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(await response.content.read(MAX_ERROR_BYTES))
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError, msgspec.DecodeError):
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else {}


def parse_event(data: bytes) -> dict[str, Any]:
    """One event's JSON. Raises Refused for an error event, Lost for what is not JSON."""
    try:
        event = msgspec.json.decode(data)
    except msgspec.DecodeError as exc:
        raise Lost(f"an event that is not JSON: {data[:80]!r}") from exc
    if not isinstance(event, dict):
        raise Lost(f"an event that is not an object: {data[:80]!r}")
    if error := event.get("error"):
        error = error if isinstance(error, dict) else {"message": str(error)}
        code = error.get("code")
        raise Refused(code if isinstance(code, int) and 400 <= code < 600 else 500, error)
    return event
