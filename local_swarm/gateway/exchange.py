"""One HTTP request to a worker, on a connection of its own, by aiohttp's own protocol and parser.

What aiohttp's session adds (a pool, cookies, redirects, proxies) is not wanted for a worker, and
costs as much CPU time again as the rest of the request (`docs/performance.md`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import ceil_timeout

CONNECT_TIMEOUT_S = 10.0
READ_BUFFER_BYTES = 256 * 1024  # of what the client has not taken; twice as much stops the reading


class Exchange:
    """`begin` it, read `content`, and `close` it in any case: a worker is told by that.

    `within_s` seconds are for all of it; then `begin` and `content` raise asyncio.TimeoutError.
    """

    status: int
    headers: Mapping[str, str]
    content: StreamReader

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._loop = asyncio.get_running_loop()
        self._protocol: ResponseHandler | None = None
        self._content: StreamReader | None = None
        self._time_up = self._loop.call_later(within_s, self._end_waiting)

    async def begin(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> None:
        """Returns when status and headers are there.

        Raises OSError, aiohttp's ClientError or HttpProcessingError, and asyncio.TimeoutError.
        """
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        protocol = self._protocol = await self._connect(parts.hostname or "", port, secure)
        if self._loop.time() >= self._time_up.when():
            raise asyncio.TimeoutError  # nobody was there to be told when it was up
        protocol.set_response_params(
            skip_payload=method == "HEAD", read_until_eof=True, read_bufsize=READ_BUFFER_BYTES
        )
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        length = {} if body is None else {"Content-Length": str(len(body))}
        fields = {"Host": parts.netloc, **headers, **length}
        assert protocol.transport is not None
        protocol.transport.write(_head(method, target, fields) + (body or b""))
        message, content = await protocol.read()
        while 100 <= message.code < 200:
            message, content = await protocol.read()
        self.status, self.headers = message.code, message.headers
        self.content = self._content = content

    def close(self) -> None:
        """At once, also in the middle of the answer."""
        self._time_up.cancel()
        if self._protocol is None:
            return
        transport = self._protocol.transport
        if isinstance(transport, asyncio.WriteTransport) and transport.get_write_buffer_size():
            transport.abort()  # else the rest of the request would be sent first
        self._protocol.close()

    async def _connect(self, host: str, port: int, secure: bool) -> ResponseHandler:
        try:
            async with ceil_timeout(min(CONNECT_TIMEOUT_S, self._within_s)):
                _, protocol = await self._loop.create_connection(
                    lambda: ResponseHandler(self._loop),
                    host,
                    port,
                    ssl=_tls() if secure else None,
                )
        except asyncio.TimeoutError as exc:
            if self._within_s <= CONNECT_TIMEOUT_S:
                raise
            raise OSError(f"not within {CONNECT_TIMEOUT_S:g} s") from exc
        return protocol

    def _end_waiting(self) -> None:
        error = asyncio.TimeoutError()
        if self._content is not None:
            self._content.set_exception(error)
        elif self._protocol is not None:
            self._protocol.set_exception(error)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _head(method: str, target: str, fields: Mapping[str, str]) -> bytes:
    """Raises ValueError for a field that would end its line."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {v}" for name, v in fields.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header of a request to a worker holds a line end")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
