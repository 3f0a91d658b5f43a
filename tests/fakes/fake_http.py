"""Just enough HTTP/1.1 on asyncio for the fake server; imports in 80 ms where aiohttp takes 350."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

MAX_BODY_BYTES = 64 * 1024 * 1024


def dumps(value: Any) -> bytes:
    """JSON as the C++ server writes it: no spaces, UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass
class Request:
    """One request; header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body or b"null")

    async def client_gone(self) -> None:
        """Returns when the client has closed its end (a pipelined request counts as that too)."""
        try:
            await self.reader.read(1)
        except ConnectionError:
            return


class Responder:
    """Writes one response: either `send` once, or `start`, any `write`s and `finish`."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.started = False
        self.keep_alive = True

    def _head(self, status: int, content_type: str, extra: str) -> bytes:
        self.started = True
        connection = "Keep-Alive: timeout=5, max=100" if self.keep_alive else "Connection: close"
        return (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nServer: fake-llama\r\n"
            f"Content-Type: {content_type}\r\n{extra}{connection}\r\n\r\n"
        ).encode()

    async def send(
        self, status: int, body: Any, content_type: str = "application/json; charset=utf-8"
    ) -> None:
        data = body.encode() if isinstance(body, str) else dumps(body)
        self.keep_alive = self.keep_alive and status < 400
        self._writer.write(
            self._head(status, content_type, f"Content-Length: {len(data)}\r\n") + data
        )
        await self._writer.drain()

    async def start(self, content_type: str = "text/event-stream") -> None:
        extra = "X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n"
        self._writer.write(self._head(200, content_type, extra))
        await self._writer.drain()

    async def write(self, data: bytes) -> None:
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._writer.drain()

    async def finish(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def cut(self) -> None:
        """Closes the socket in the middle of whatever it was saying."""
        self.keep_alive = False
        self._writer.close()


Handler = Callable[[Request, Responder], Awaitable[None]]


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(min(int(headers.get("content-length", 0)), MAX_BODY_BYTES))
    parts = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(parts)


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    """The next request, or None when the client has no more."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:] if line)
    }
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    url = urlsplit(target)
    body = await _read_body(reader, headers)
    return Request(method, url.path, dict(parse_qsl(url.query)), headers, body, reader)


def connection_handler(
    handle: Handler,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Serves requests of one connection one after the other."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader, writer)) is not None:
                responder = Responder(writer)
                if request.headers.get("connection", "").lower() == "close":
                    responder.keep_alive = False
                await handle(request, responder)
                if not responder.keep_alive:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return serve
