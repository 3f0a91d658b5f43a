"""Workers that say exactly what a test tells them to, byte for byte, and a gateway in front of one.

For what no llama-server says: half an answer, other choices, an end without a finish.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from bench.gateway import Steady
from local_swarm.gateway.app import GatewaySettings, listen, serving
from local_swarm.gateway.stream import Pace
from local_swarm.gateway.turns import Served
from local_swarm.gateway.voted import VotedSettings

CTX = 4096
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def event(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> bytes:
    """One chat chunk, framed as an event."""
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}, separators=(",", ":")).encode() + b"\n\n"


ROLE = event({"role": "assistant", "content": None})
FINISH = event({}, "stop")
DONE = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def saying(*parts: bytes | asyncio.Event, end: bytes = END) -> Answer:
    """A stream of these bytes, each in a write of its own; an asyncio.Event is waited for."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM)
        for part in parts:
            if isinstance(part, asyncio.Event):
                await part.wait()
            else:
                writer.write(chunk(part))
                await writer.drain()
        writer.write(end)

    return answer


@asynccontextmanager
async def worker(*answers: Answer) -> AsyncIterator[str]:
    """The address of a worker that answers its first request with the first of `answers`, and so
    on, the last one for ever. Each connection is closed after its answer."""
    left = list(answers)
    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            answer = left.pop(0) if len(left) > 1 else left[0]
            await answer(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def gateway_to(url: str, pace: Pace | None = None) -> AsyncIterator[Client]:
    """A gateway whose one worker is at `url`."""
    settings = GatewaySettings(
        served=Served("raw", ctx=CTX, context_train=CTX, voters=2),
        voted=VotedSettings(pace=pace or Pace(), timeout_s=20.0),
        strategies=frozenset({"auto"}),
    )
    async with (
        serving(settings, Steady(url, workers=1, slots=3), listen("127.0.0.1", 0)) as gateway,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        yield Client(f"{gateway.url}/v1/chat/completions", session)


class Client:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    def post(self, model: str = "raw:solo", **body: Any) -> Any:
        message = {"messages": [{"role": "user", "content": "x"}], "stream": True}
        return self._session.post(self._url, json={"model": model, **message, **body})

    async def stream(self, model: str = "raw:solo", **body: Any) -> list[Any]:
        """The data of all events, as JSON but for [DONE]."""
        async with self.post(model, **body) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "text/event-stream"
            return events_in(await response.text())


def events_in(text: str) -> list[Any]:
    datas = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
    return [data if data == "[DONE]" else json.loads(data) for data in datas]
