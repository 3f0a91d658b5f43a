"""llama_cpp.server's application with the manners of llama-server, as an ASGI application.

GET /health needs no key, and what is not offered is not there. Requests are put into its words
(`llama_cpp_python_words.py`). A stream begins with its first event and not before: an error until
then is an HTTP status, which the server alone would answer with 200 and a cut connection; a later
one is an error event.
"""

from __future__ import annotations

import json
import secrets
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from local_swarm.engines.llama_cpp_python_words import (
    chat_request,
    completion_request,
    error_of,
    refusal,
)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
Words = Callable[..., dict[str, Any]]

HEALTH_PATH = "/health"
WORDS = {"/v1/chat/completions": chat_request, "/v1/completions": completion_request}
# Not its embeddings, which need another start, nor its documentation, which asks for no key.
OFFERED = (*WORDS, "/v1/models", "/extras/")
JSON = (b"content-type", b"application/json")


class Adapter:
    """Around `app`; `model` is the id that answers carry."""

    def __init__(self, app: Application, *, model: str) -> None:
        self._app = app
        self._model = model

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if (scope["method"], scope["path"]) == ("GET", HEALTH_PATH):
            return await _answer(send, 200, {"status": "ok"})
        if not scope["path"].startswith(OFFERED):
            return await _answer(send, 404, {"error": refusal(404, "Not Found")})
        held = _Held(send)
        try:
            if scope["method"] == "POST" and (words := WORDS.get(scope["path"])):
                receive = await self._adapted(receive, words)
            await self._app(scope, receive, held)
            await held.finish()
        except Exception as error:
            status, said = error_of(error)
            if status >= 500:
                tell(error)
            await held.fail(status, said)

    async def _adapted(self, receive: Receive, words: Words) -> Receive:
        """`receive` with another body. What is no JSON object is the server's to refuse."""
        body, last = await _read(receive)
        try:
            asked = json.loads(body)
        except ValueError:
            asked = None
        if isinstance(asked, dict):
            seed = secrets.randbits(31)
            body = json.dumps(words(asked, model=self._model, seed=seed)).encode()
        pending = [{**last, "body": body}]

        async def replayed() -> Message:
            return pending.pop() if pending else await receive()

        return replayed


class _Held:
    """Sends on, but the start of a stream not before its first event, and its end not before the
    application has returned: sse-starlette ends its stream also where it then raises."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._end: Message | None = None
        self._started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_stream(message):
            self._start = message
        elif message["type"] == "http.response.body" and not message.get("body"):
            self._end = None if message.get("more_body") else message
        else:
            await self._pass(message)

    async def finish(self) -> None:
        if self._end is not None:
            await self._pass(self._end)

    async def fail(self, status: int, said: dict[str, Any]) -> None:
        if self._started:
            event = b"data: " + json.dumps({"error": said}).encode() + b"\n\n"
            await self._send({"type": "http.response.body", "body": event, "more_body": False})
        else:
            await _answer(self._send, status, {"error": said})

    async def _pass(self, message: Message) -> None:
        start, self._start, self._started = self._start, None, True
        if start is not None:
            await self._send(start)
        await self._send(message)


def tell(error: BaseException) -> None:
    """Where it happened, on stderr; not what it says, which may be a prompt."""
    lines = traceback.format_tb(error.__traceback__)
    print(f"{''.join(lines)}{type(error).__name__}", file=sys.stderr, flush=True)


def _is_stream(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in start["headers"]
    )


async def _read(receive: Receive) -> tuple[bytes, Message]:
    """The whole body, and the message that ended it (or said that the client is gone)."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts), message


async def _answer(send: Send, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    headers = [JSON, (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
