from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local_swarm.wire.answer import Assembly
from local_swarm.wire.choices import ChatReply
from local_swarm.wire.family import Envelope

ENVELOPE = Envelope(id="chatcmpl-x", created=1, model="m")
SWARM = {"voters": 2}


def delta(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def usage(tokens: int) -> dict[str, Any]:
    return {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": tokens}}


def assembled(*events: dict[str, Any], choices: int = 1) -> Assembly:
    assembly = Assembly("w0", choices)
    for i, event in enumerate(events):
        assembly.take(event, float(i))
    return assembly


def parsed(assembly: Assembly, *, include_usage: bool = False) -> list[Any]:
    reply = ChatReply(ENVELOPE, include_usage=include_usage)
    raw = b"".join(reply.replay(assembly.answers, SWARM)).decode()
    *events, done = [line[6:] for line in raw.split("\n") if line]
    assert done == "[DONE]"
    return [json.loads(event) for event in events]


def test_interleaved_choices_are_kept_apart() -> None:
    assembly = assembled(
        delta(0, role="assistant", content=None),
        delta(1, content="b1 "),
        delta(0, content="a1 "),
        delta(1, content="b2"),
        delta(1, "stop"),
        usage(2),
        delta(0, content="a2"),
        delta(0, "length"),
        usage(3),
        choices=2,
    )
    assert assembly.complete
    first, second = (a.candidate() for a in assembly.answers)
    assert (first.text, first.finish_reason, first.completion_tokens) == ("a1 a2", "length", 3)
    assert (second.text, second.finish_reason, second.completion_tokens) == ("b1 b2", "stop", 2)
    assert second.elapsed_s == 4.0


def test_tool_call_fragments_become_whole_calls() -> None:
    assembly = assembled(
        delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "ls", "arguments": "{"}}]),
        delta(tool_calls=[{"index": 1, "id": "c2", "function": {"name": "cat", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]),
        delta(finish="tool_calls"),
    )
    calls = assembly.answers[0].candidate().tool_calls
    assert [(c.id, c.name, c.arguments) for c in calls] == [("c1", "ls", "{}"), ("c2", "cat", "")]
    fragments = [e["choices"][0]["delta"].get("tool_calls") for e in parsed(assembly)]
    whole = [f[0] for f in fragments if f]
    assert [(f["index"], f["id"], f["type"], f["function"]["name"]) for f in whole] == [
        (0, "c1", "function", "ls"),
        (1, "c2", "function", "cat"),
    ]
    whole = ChatReply(ENVELOPE, include_usage=False).whole(assembly.answers, SWARM)
    message = whole["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"] == {"name": "ls", "arguments": "{}"}


@given(st.lists(st.text(max_size=600), max_size=30))
def test_a_replay_says_exactly_what_was_said(pieces: list[str]) -> None:
    assembly = assembled(*(delta(content=p) for p in pieces), delta(finish="stop"))
    events = parsed(assembly, include_usage=True)
    deltas = [e["choices"][0]["delta"] for e in events if e["choices"]]
    assert "".join(d.get("content") or "" for d in deltas) == "".join(pieces)
    assert deltas[0]["role"] == "assistant"
    assert {e["id"] for e in events} == {"chatcmpl-x"}
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["choices"] == []
    assert events[-1]["swarm"] == {"voters": 2}


def test_without_usage_the_finish_event_is_last_and_carries_the_vote() -> None:
    events = parsed(assembled(delta(content="x"), delta(finish="stop"), usage(1)))
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["swarm"] == {"voters": 2}
    assert all("usage" not in e for e in events)


def test_reasoning_is_kept_apart_and_comes_first() -> None:
    events = parsed(
        assembled(delta(reasoning_content="hm"), delta(content="x"), delta(finish="stop"))
    )
    deltas = [e["choices"][0]["delta"] for e in events]
    assert deltas[1] == {"reasoning_content": "hm"}
    assert deltas[2] == {"content": "x"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=5), c, max_size=3),
    )
)
def test_events_of_another_shape_are_never_fatal(junk: Any) -> None:
    assembly = assembled({"choices": junk, "usage": junk}, {"choices": [{"delta": junk}]})
    assert len(assembly.answers) == 1
