"""Answers to write out, and readers of what was written, for the tests of the API families."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from local_swarm.wire.answer import Answer, Assembly
from local_swarm.wire.family import Envelope

SWARM = {"voters": 3, "agreement": 1.0}
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 4,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 6},
}
ENVELOPE = Envelope(id="x-1", created=7, model="m")


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(index: int, name: str, arguments: str) -> list[dict[str, Any]]:
    """A tool call as an engine streams it: the name first, then its arguments in pieces."""
    head = {"index": index, "id": f"c{index}", "type": "function", "function": {"name": name}}
    half = len(arguments) // 2
    pieces = [
        {"index": index, "function": {"arguments": a}} for a in (arguments[:half], arguments[half:])
    ]
    return [{"tool_calls": [fragment]} for fragment in (head, *pieces)]


def stream_of(deltas: Iterable[dict[str, Any]], finish: str = "stop") -> list[dict[str, Any]]:
    """What a worker sends for one answer."""
    opening = chunk({"role": "assistant", "content": None})
    closing = [chunk({}, finish), {"choices": [], "usage": USAGE}]
    return [opening, *map(chunk, deltas), *closing]


def answer_of(events: Iterable[dict[str, Any]]) -> Answer:
    assembly = Assembly("w0", 1)
    for event in events:
        assembly.take(event, 1.0)
    return assembly.answers[0]


def relayed(events: list[dict[str, Any]]) -> list[bytes]:
    """The same as the relay gives it to a live reply."""
    *others, last = events
    return [json.dumps(event).encode() for event in (*others, {**last, "swarm": SWARM})]


def named_events(raw: bytes) -> list[dict[str, Any]]:
    """The data of framed events, each of which must be named as its type says."""
    events = []
    for frame in raw.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


texts = st.text(max_size=40)
objects = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)


@st.composite
def spoken(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The deltas of an answer: thoughts, then text, then calls, in any pieces."""
    deltas = [{"reasoning_content": piece} for piece in draw(st.lists(texts, max_size=4))]
    deltas += [{"content": piece} for piece in draw(st.lists(texts, max_size=6))]
    for index, arguments in enumerate(draw(st.lists(objects, max_size=3))):
        deltas += call(index, f"tool{index}", json.dumps(arguments))
    return deltas
