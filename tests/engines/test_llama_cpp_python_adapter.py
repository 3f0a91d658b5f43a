"""The manners that the adapter gives to an application, without the real one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_swarm.engines.llama_cpp_python_adapter import Adapter

CHAT = "/v1/chat/completions"
STREAM = [(b"content-type", b"text/event-stream; charset=utf-8")]
BEGIN = {"type": "http.response.start", "status": 200, "headers": STREAM}
END = {"type": "http.response.body", "body": b"", "more_body": False}


def event(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


class Client:
    """Sends one request to an adapter around a scripted application, and keeps what comes back."""

    def __init__(self, *script: Any) -> None:
        self.script = script
        self.sent: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []
        self.during: list[int] = []  # how many messages had come back after each of the script's

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.heard.append(await receive())
        for step in self.script:
            if isinstance(step, Exception):
                raise step
            await send(step)
            self.during.append(len(self.sent))

    async def ask(self, method: str, path: str, *parts: bytes) -> None:
        pending = [{"type": "http.request", "body": p, "more_body": True} for p in (*parts, b"")]
        pending[-1]["more_body"] = False

        async def receive() -> dict[str, Any]:
            return pending.pop(0) if pending else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)

        scope = {"type": "http", "method": method, "path": path}
        await Adapter(self.app, model="demo")(scope, receive, send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> Any:
        return json.loads(b"".join(m.get("body", b"") for m in self.sent))


async def test_health_asks_nobody() -> None:
    client = Client(ValueError("not asked"))
    await client.ask("GET", "/health")
    assert (client.status, client.body) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/", "/v1/embeddings", "/v1x"])
async def test_what_is_not_offered_is_not_there(path: str) -> None:
    client = Client(BEGIN)
    await client.ask("GET", path)
    assert client.status == 404
    assert client.heard == []


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
async def test_a_request_is_put_into_the_server_s_words(path: str) -> None:
    client = Client(BEGIN, event(b"data: 1\n\n"), END)
    await client.ask("POST", path, b'{"messages": [], "seed"', b": null}")
    (heard,) = client.heard
    assert json.loads(heard["body"])["model"] == "demo"
    assert json.loads(heard["body"])["seed"] >= 0
    assert not heard["more_body"]


@pytest.mark.parametrize("body", [b"{bad", b"[1]", b""])
async def test_what_is_no_object_is_the_server_s_to_refuse(body: bytes) -> None:
    client = Client(BEGIN, END)
    await client.ask("POST", CHAT, body)
    assert client.heard[0]["body"] == body


async def test_a_stream_begins_with_its_first_event() -> None:
    client = Client(BEGIN, event(b"data: 1\n\n"), event(b"data: 2\n\n"), END)
    await client.ask("POST", CHAT, b"{}")
    assert client.during == [0, 2, 3, 3]
    assert client.sent == [BEGIN, event(b"data: 1\n\n"), event(b"data: 2\n\n"), END]


async def test_a_stream_without_an_event_is_still_answered() -> None:
    client = Client(BEGIN, END)
    await client.ask("POST", CHAT, b"{}")
    assert client.sent == [BEGIN, END]


@pytest.mark.parametrize("before", [(), (BEGIN,), (BEGIN, END)])
async def test_an_error_before_the_first_event_is_a_status(before: Any) -> None:
    client = Client(*before, ValueError("no grammar"))
    await client.ask("POST", CHAT, b"{}")
    assert client.status == 400
    assert client.body["error"]["message"] == "no grammar"


async def test_an_error_after_it_is_an_event_and_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = Client(BEGIN, event(b"data: 1\n\n"), END, RuntimeError("secret prompt"))
    await client.ask("POST", CHAT, b"{}")
    last = client.sent[-1]
    assert json.loads(last["body"].removeprefix(b"data: "))["error"]["code"] == 500
    assert not last["more_body"]
    logged = capsys.readouterr().err
    assert "RuntimeError" in logged
    assert "secret prompt" not in logged


async def test_a_request_that_cannot_be_put_into_its_words_is_refused() -> None:
    body = b'{"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}'
    client = Client(BEGIN)
    await client.ask("POST", CHAT, body)
    assert client.status == 400
    assert client.heard == []
