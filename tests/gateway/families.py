"""The four voted APIs, each with a request, and how its answers are read, for the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.swarms import Swarm


@dataclass(frozen=True)
class Api:
    """`asks` is the body of a request for `text`; `text` and `streamed` read what was answered."""

    path: str
    asks: Callable[[str], dict[str, Any]]
    text: Callable[[dict[str, Any]], str]
    streamed: Callable[[list[dict[str, Any]]], str]
    id_prefix: str
    closing: Callable[[dict[str, Any]], Any] = field(default=lambda event: event)

    async def post(
        self,
        swarm: Swarm,
        text: str = "hello",
        /,
        *,
        headers: dict[str, str] | None = None,
        **body: Any,
    ) -> tuple[int, dict[str, Any]]:
        """(status, JSON) of a plain request."""
        url, asked = swarm.gateway.url + self.path, {**self.asks(text), **body}
        async with swarm.client.post(url, json=asked, headers=headers) as response:
            return response.status, await response.json()

    async def stream(
        self, swarm: Swarm, text: str = "hello", /, **body: Any
    ) -> list[dict[str, Any]]:
        """The events of a streamed request, [DONE] left out."""
        url, asked = swarm.gateway.url + self.path, {**self.asks(text), "stream": True, **body}
        async with swarm.client.post(url, json=asked) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "text/event-stream"
            return events_in(await response.text())


def events_in(raw: str) -> list[dict[str, Any]]:
    data = [line[6:] for line in raw.split("\n") if line.startswith("data: ")]
    return [json.loads(d) for d in data if d != "[DONE]"]


def _messages(text: str) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": text}]}


def _choices(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice for event in events for choice in event.get("choices", ())]


CHAT = Api(
    "/v1/chat/completions",
    _messages,
    lambda body: body["choices"][0]["message"]["content"],
    lambda events: "".join(c["delta"].get("content") or "" for c in _choices(events)),
    "chatcmpl-",
)
COMPLETIONS = Api(
    "/v1/completions",
    lambda text: {"model": "fake", "prompt": text},
    lambda body: body["choices"][0]["text"],
    lambda events: "".join(c["text"] for c in _choices(events)),
    "cmpl-",
)
MESSAGES = Api(
    "/v1/messages",
    lambda text: {**_messages(text), "max_tokens": 100},
    lambda body: "".join(b["text"] for b in body["content"] if b["type"] == "text"),
    lambda events: "".join(e["delta"].get("text", "") for e in events if "delta" in e),
    "msg_",
)
RESPONSES = Api(
    "/v1/responses",
    lambda text: {"model": "fake", "input": text},
    lambda body: "".join(i["content"][0]["text"] for i in body["output"] if i["type"] == "message"),
    lambda events: "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta"),
    "resp_",
    closing=lambda event: event["response"],
)
ALL = (CHAT, COMPLETIONS, MESSAGES, RESPONSES)


def told(api: Api, events: list[dict[str, Any]]) -> dict[str, Any]:
    """The vote's facts in a stream: in its last event, or the last but message_stop."""
    (holder,) = [api.closing(e) for e in events if "swarm" in e or "swarm" in e.get("response", {})]
    facts: dict[str, Any] = holder["swarm"]
    return facts
