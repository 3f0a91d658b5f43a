"""llama-server's own endpoints through a swarm on the real engine."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import PATIENCE_S, Up

pytestmark = pytest.mark.engine
MESSAGES = [{"role": "user", "content": "hi"}]


def call(swarm: Up, path: str, body: Any = None) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(swarm.url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def ask(swarm: Up, path: str, body: Any = None) -> Any:
    status, text = call(swarm, path, body)
    assert status == 200, text
    return json.loads(text)


def test_llama_servers_own_endpoints(up: Callable[..., Up]) -> None:
    swarm = up()
    body = {"prompt": "def add(a, b):", "n_predict": 8, "temperature": 0, "return_tokens": True}

    plain = ask(swarm, "/completion", body)
    assert plain["tokens_predicted"] == len(plain["tokens"]) == 8
    assert plain["id_slot"] == 3  # the lane
    assert plain["generation_settings"]["stream"] is False
    status, text = call(swarm, "/completion", {**body, "stream": True})
    events = [json.loads(e.removeprefix("data: ")) for e in text.split("\n\n") if e]
    assert status == 200
    assert "".join(e["content"] for e in events) == plain["content"]
    assert events[-1]["stop"] is True
    assert len(ask(swarm, "/completion", {**body, "n": 4})) == 4
    assert call(swarm, "/completion", {**body, "n": 5})[0] == 400
    assert call(swarm, "/completion", {"n_predict": 1})[0] == 400

    tokens = ask(swarm, "/tokenize", {"content": "hello world"})
    assert ask(swarm, "/detokenize", tokens) == {"content": "hello world"}
    assert "hi" in ask(swarm, "/apply-template", {"messages": MESSAGES})["prompt"]
    counted = {"model": swarm.model, "max_tokens": 1, "messages": MESSAGES}
    assert ask(swarm, "/v1/messages/count_tokens", counted)["input_tokens"] > 1

    assert ask(swarm, "/props")["model_path"] == "demo.gguf"
    slots = ask(swarm, "/slots")
    assert [(slot["worker"], slot["id"]) for slot in slots] == [("w0", i) for i in range(4)]
    assert not any(slot["is_processing"] for slot in slots)

    for path, sent in (
        ("/infill", {"input_prefix": "a", "input_suffix": "b"}),
        ("/v1/embeddings", {"input": "a"}),
        ("/rerank", {"query": "a", "documents": ["b"]}),
    ):
        status, text = call(swarm, path, sent)
        assert status == 501, text
        assert json.loads(text)["error"]["type"] == "not_supported_error"
    assert call(swarm, "/props", {})[0] == 403
    assert swarm.terminate() == 0


def busy(swarm: Up) -> list[int]:
    return [slot["id"] for slot in ask(swarm, "/slots") if slot["is_processing"]]


def start(swarm: Up, body: Any) -> socket.socket:
    """A completion whose answer nobody reads."""
    sent = json.dumps(body)
    connection = socket.create_connection(("127.0.0.1", int(swarm.port)), PATIENCE_S)
    head = f"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(sent)}\r\n\r\n"
    connection.sendall((head + sent).encode())
    return connection


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_its_slot_while_another_works(
    up: Callable[..., Up], stream: bool
) -> None:
    swarm = up()
    endless = {"prompt": "def", "n_predict": 15_000, "ignore_eos": True}
    deadline = time.monotonic() + PATIENCE_S
    with start(swarm, endless):
        while busy(swarm) != [3]:
            assert time.monotonic() < deadline
        with start(swarm, {**endless, "stream": stream}):
            while busy(swarm) != [2, 3]:
                assert time.monotonic() < deadline
        while busy(swarm) != [3]:
            assert time.monotonic() < deadline
    while busy(swarm):
        assert time.monotonic() < deadline
    assert swarm.terminate() == 0
