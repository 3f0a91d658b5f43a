"""Prompts at the edge of the context, and opencode's configuration, with the real engine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import PATIENCE_S, Lswarm, Up

pytestmark = pytest.mark.engine
CTX = 512


def chat(swarm: Up, words: int, **body: Any) -> tuple[int, str, str]:
    """(status, content type, text) of a chat with so many words."""
    asked = {"messages": [{"role": "user", "content": "word " * words}], "max_tokens": 4, **body}
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions",
        json.dumps({"model": swarm.model, **asked}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.headers.get_content_type(), exc.read().decode()


@pytest.mark.slow
def test_the_last_token_that_fits_is_found_without_the_voters(
    up: Callable[..., Up], lswarm: Lswarm
) -> None:
    swarm = up("--ctx", str(CTX), "--voters", "2")
    _, _, text = chat(swarm, CTX)
    fitting = CTX - 1 - (json.loads(text)["error"]["n_prompt_tokens"] - CTX)
    for model in (swarm.model, f"{swarm.model}:solo"):
        for stream in (False, True):
            body = {"model": model, "stream": stream}
            status, kind, text = chat(
                swarm, fitting, stream_options={"include_usage": True}, **body
            )
            assert (status, kind.split("/")[1]) == (200, "event-stream" if stream else "json")
            assert f'"prompt_tokens":{CTX - 1}' in text
            status, kind, text = chat(swarm, fitting + 1, **body)
            assert (status, kind) == (400, "application/json")
            error = json.loads(text)["error"]
            assert error["message"] == (
                f"request ({CTX} tokens) exceeds the available context size ({CTX} tokens), "
                "try increasing it"
            )
            assert (error["type"], error["n_prompt_tokens"], error["n_ctx"]) == (
                "exceed_context_size_error", CTX, CTX,
            )  # fmt: skip
    assert "exceeds the available context size" not in lswarm("logs").stdout  # no worker said it
    assert swarm.terminate() == 0


def test_opencode_is_told_of_the_running_swarm(up: Callable[..., Up], lswarm: Lswarm) -> None:
    swarm = up("--ctx", "10240", "--voters", "2", LSWARM_SERVER__API_KEYS="very-secret-key")
    done = lswarm("opencode")
    assert done.returncode == 0, done.stderr
    assert "very-secret-key" not in done.stdout + done.stderr
    block = json.loads(done.stdout)
    provider = block["provider"]["lswarm"]
    assert provider["options"] == {
        "baseURL": f"{swarm.url}/v1",
        "apiKey": "{env:LSWARM_API_KEY}",
    }
    assert provider["models"][swarm.model]["limit"] == {"context": 10240, "output": 2560}
    assert block["small_model"] == f"lswarm/{swarm.model}:solo"
    assert lswarm("opencode", "--write").returncode == 0
    assert json.loads((lswarm.home / "opencode.json").read_text()) == block
    assert lswarm.json("opencode")["running"] is True
    assert swarm.terminate() == 0
