from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from local_swarm.errors import ContextExceeded, NoVoterAnswered, Overloaded
from local_swarm.wire.messages_reply import MessagesReply
from tests.wire.spoken import (
    ENVELOPE,
    SWARM,
    answer_of,
    call,
    named_events,
    relayed,
    spoken,
    stream_of,
)


def whole(*deltas: dict[str, Any], finish: str = "stop") -> dict[str, Any]:
    answer = answer_of(stream_of(deltas, finish))
    return MessagesReply(ENVELOPE).whole([answer], SWARM)


def replayed(*deltas: dict[str, Any], finish: str = "stop") -> list[dict[str, Any]]:
    answer = answer_of(stream_of(deltas, finish))
    return named_events(b"".join(MessagesReply(ENVELOPE).replay([answer], SWARM)))


def live(*deltas: dict[str, Any], finish: str = "stop") -> list[dict[str, Any]]:
    reply = MessagesReply(ENVELOPE)
    pieces = [reply.live([data]) for data in relayed(stream_of(deltas, finish))]
    return named_events(b"".join([*pieces, reply.end()]))


def put_together(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client makes of the stream, which must be in order."""
    message: dict[str, Any] = dict(events[0]["message"])
    assert events[0]["type"] == "message_start"
    blocks: list[dict[str, Any]] = message["content"]
    inputs: dict[int, str] = {}
    open_index = None
    for event in events[1:]:
        kind = event["type"]
        if kind == "content_block_start":
            assert open_index is None
            assert event["index"] == len(blocks)
            open_index = event["index"]
            blocks.append(event["content_block"])
        elif kind == "content_block_delta":
            assert event["index"] == open_index
            delta = event["delta"]
            if delta["type"] == "input_json_delta":
                inputs[open_index] = inputs.get(open_index, "") + delta["partial_json"]
            else:
                key = delta["type"].removesuffix("_delta")
                blocks[open_index][key] += delta[key]
        elif kind == "content_block_stop":
            assert event["index"] == open_index
            open_index = None
        elif kind == "message_delta":
            message |= event["delta"]
            message |= {"usage": event["usage"], "swarm": event["swarm"]}
    assert open_index is None
    assert events[-1] == {"type": "message_stop"}
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text)
    return message


@given(spoken())
def test_whole_replayed_and_live_an_answer_says_the_same(deltas: list[dict[str, Any]]) -> None:
    assert put_together(replayed(*deltas)) == whole(*deltas)
    assert put_together(live(*deltas)) == whole(*deltas)


def test_an_answer_is_a_message() -> None:
    message = whole({"reasoning_content": "hm"}, {"content": "a"}, *call(0, "ls", '{"p": 1}'))
    assert message == {
        "id": "x-1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "a"},
            {"type": "tool_use", "id": "c0", "name": "ls", "input": {"p": 1}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 4,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 6,
            "output_tokens": 4,
        },
        "swarm": SWARM,
    }


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("something else", "end_turn"),
    ],
)
def test_why_it_stopped_is_said_in_their_words(finish: str, reason: str) -> None:
    assert whole({"content": "x"}, finish=finish)["stop_reason"] == reason
    assert put_together(live({"content": "x"}, finish=finish))["stop_reason"] == reason


def test_a_call_without_an_id_gets_one_and_arguments_that_are_no_object_none() -> None:
    odd = {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{oops"}}]}
    (block,) = whole(odd)["content"]
    assert block["id"]
    assert block["input"] == {}
    (again,) = put_together(replayed(odd))["content"]
    assert again["input"] == {}
    (written,) = [e for e in live(odd) if e["type"] == "content_block_start"]
    assert written["content_block"]["id"]


def test_text_after_a_call_is_a_block_of_its_own() -> None:
    deltas = [{"content": "a"}, *call(0, "f", "{}"), {"content": "b"}]
    blocks = put_together(live(*deltas))["content"]
    assert [block["type"] for block in blocks] == ["text", "tool_use", "text"]


def test_an_answer_without_a_word_is_a_message_without_content() -> None:
    assert whole()["content"] == []
    assert put_together(live())["content"] == []


def test_an_error_in_a_stream_is_their_error_event() -> None:
    error = NoVoterAnswered("The worker was lost.")
    (event,) = named_events(MessagesReply(ENVELOPE).failed(error))
    assert event["error"]["type"] == "api_error"
    assert event["error"]["message"] == "The worker was lost."
    assert event["error"]["code"] == "no_voter_answered"
    (event,) = named_events(MessagesReply(ENVELOPE).failed(Overloaded("full", retry_after_s=1)))
    assert event["error"]["type"] == "overloaded_error"
    too_long = ContextExceeded("too long", extra={"n_ctx": 9})
    (event,) = named_events(MessagesReply(ENVELOPE).failed(too_long))
    assert (event["error"]["type"], event["error"]["n_ctx"]) == ("invalid_request_error", 9)


def test_a_live_answer_tells_its_prompts_size_before_its_first_word() -> None:
    reply = MessagesReply(ENVELOPE)
    head, first, *_ = stream_of([{"content": "a"}], "stop")
    told = {**first, "timings": {"cache_n": 6, "prompt_n": 4}}
    pieces = [reply.live([json.dumps(event).encode()]) for event in (head, told)]
    assert pieces[0] == b""
    usage = named_events(pieces[1])[0]["message"]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (4, 6)
