"""A worker that costs next to nothing: answers after a while, with so many tokens as asked for.

It writes what llama-server writes (each event in a write of its own), on plain asyncio, so that
what is in front of it is what is measured. `max_tokens` is the number of content events; `user`
holds further wishes in seconds: "delay=0.05 pause=0.005" (before the first token, between two).
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from bench import child

DELAY_S = 0.05
TOKENS = 8
WORD = " word"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: "
STREAM = HEAD + b"text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client; its requests come one after the other."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._buffer = b""
        self._answer: asyncio.Task[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None:
            self._answer.cancel()
        self._may_write.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _content_length(head)
        if len(body) < length:
            return
        self._buffer = body[length:]
        self._answer = asyncio.ensure_future(self._respond(body[:length]))

    async def _respond(self, body: bytes) -> None:
        request: dict[str, Any] = json.loads(body) if body else {}
        wishes = dict(word.split("=") for word in str(request.get("user") or "").split())
        await asyncio.sleep(float(wishes.get("delay", DELAY_S)))
        tokens = request.get("max_tokens") or TOKENS
        if not request.get("stream"):
            answer = _completion(tokens)
            length = f"{len(answer)}\r\n\r\n".encode()
            head = HEAD + b"application/json\r\nContent-Length: "
            self.transport.write(head + length + answer)
            return
        choices = range(request.get("n") or 1)
        usage = bool((request.get("stream_options") or {}).get("include_usage"))
        first = [_event(i, {"role": "assistant", "content": None}) for i in choices]
        words = b"".join(_event(i, {"content": WORD}) for i in choices)
        self.transport.write(STREAM + b"".join(first) + words)
        pause = float(wishes.get("pause", 0))
        for _ in range(tokens - 1):
            if pause:
                await asyncio.sleep(pause)
            await self._may_write.wait()
            self.transport.write(words)
        for i in choices:
            self.transport.write(_event(i, {}, "stop"))
            if usage:
                self.transport.write(_usage(tokens))
        self.transport.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line[15:])
    return 0


def _completion(tokens: int) -> bytes:
    message = {"role": "assistant", "content": WORD * tokens}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(
        {"choices": [choice], **_common("chat.completion"), "usage": _tokens(tokens)}
    ).encode()


def _common(kind: str) -> dict[str, Any]:
    id_ = "chatcmpl-0123456789abcdef0123456789abcdef"
    return {
        "created": 1790000000,
        "id": id_,
        "model": "bench",
        "system_fingerprint": "b1",
        "object": kind,
    }


def _tokens(count: int) -> dict[str, int]:
    return {"prompt_tokens": 10, "completion_tokens": count, "total_tokens": count + 10}


def _event(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"finish_reason": finish, "index": index, "delta": delta}
    return _sse({"choices": [choice], **_common("chat.completion.chunk")})


def _usage(tokens: int) -> bytes:
    return _sse({"choices": [], **_common("chat.completion.chunk"), "usage": _tokens(tokens)})


def _sse(event: dict[str, Any]) -> bytes:
    return _chunk(b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def serve(listener: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    child.main(serve)
