from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from local_swarm.errors import NoVoterAnswered
from local_swarm.wire.responses_reply import ResponsesReply
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

ASKED = {"input": "hi", "temperature": 0.5, "metadata": {"a": "b"}}


def whole(*deltas: dict[str, Any], finish: str = "stop") -> dict[str, Any]:
    answer = answer_of(stream_of(deltas, finish))
    return ResponsesReply(ASKED, ENVELOPE).whole([answer], SWARM)


def replayed(*deltas: dict[str, Any], finish: str = "stop") -> list[dict[str, Any]]:
    answer = answer_of(stream_of(deltas, finish))
    return named_events(b"".join(ResponsesReply(ASKED, ENVELOPE).replay([answer], SWARM)))


def live(*deltas: dict[str, Any], finish: str = "stop") -> list[dict[str, Any]]:
    reply = ResponsesReply(ASKED, ENVELOPE)
    pieces = [reply.live([data]) for data in relayed(stream_of(deltas, finish))]
    return named_events(b"".join([*pieces, reply.end()]))


def said(response: dict[str, Any]) -> dict[str, Any]:
    """A response without what is made up each time."""
    random = ("id", "completed_at")
    items = [{k: v for k, v in item.items() if k not in random} for item in response["output"]]
    return {k: v for k, v in response.items() if k not in random} | {"output": items}


def checked(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The last event's response, held against all that the events before it have told."""
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    assert [e["type"] for e in events[:2]] == ["response.created", "response.in_progress"]
    texts: dict[str, str] = {}
    done: list[dict[str, Any]] = []
    for event in events[2:-1]:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(texts) == len(done)
            texts[event["item"]["id"]] = ""
        elif kind.endswith(".delta"):
            texts[event["item_id"]] += event["delta"]
        elif kind in ("response.output_text.done", "response.reasoning_text.done"):
            assert event["text"] == texts[event["item_id"]]
        elif kind == "response.function_call_arguments.done":
            assert event["arguments"] == texts[event["item_id"]]
        elif kind == "response.output_item.done":
            done.append(event["item"])
    response: dict[str, Any] = events[-1]["response"]
    assert response["output"] == done
    assert events[-1]["type"] == f"response.{response['status']}"
    return response


@given(spoken())
def test_whole_replayed_and_live_an_answer_says_the_same(deltas: list[dict[str, Any]]) -> None:
    assert said(checked(replayed(*deltas))) == said(whole(*deltas))
    assert said(checked(live(*deltas))) == said(whole(*deltas))


def test_an_answer_is_a_response_that_says_again_what_was_asked() -> None:
    response = whole({"reasoning_content": "hm"}, {"content": "a"}, *call(0, "ls", '{"p": 1}'))
    thought, message, called = response["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert message["role"] == "assistant"
    assert message["content"][0]["text"] == "a"
    assert (called["call_id"], called["name"], called["arguments"]) == ("c0", "ls", '{"p": 1}')
    assert response["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
    }
    assert (response["status"], response["swarm"]) == ("completed", SWARM)
    assert (response["temperature"], response["metadata"]) == (0.5, {"a": "b"})
    assert response["store"] is False


@pytest.mark.parametrize(
    ("finish", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_was_cut_off_is_incomplete(finish: str, why: str) -> None:
    response = whole({"content": "a"}, finish=finish)
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": why})
    assert response["output"][-1]["status"] == "incomplete"
    assert said(checked(live({"content": "a"}, finish=finish))) == said(response)


def test_probabilities_come_with_the_text_they_belong_to() -> None:
    token = {"token": "a", "logprob": -1.0}
    events = stream_of([{"content": "a"}])
    events[1]["choices"][0]["logprobs"] = {"content": [token]}
    response = ResponsesReply(ASKED, ENVELOPE).whole([answer_of(events)], SWARM)
    assert response["output"][0]["content"][0]["logprobs"] == [token]
    reply = ResponsesReply(ASKED, ENVELOPE)
    shown = named_events(reply.live(relayed(events)))
    (delta,) = [e for e in shown if e["type"] == "response.output_text.delta"]
    assert delta["logprobs"] == [token]


def test_a_stream_that_breaks_off_ends_in_a_failed_response() -> None:
    reply = ResponsesReply(ASKED, ENVELOPE)
    begun = reply.live(relayed(stream_of([{"content": "a"}]))[:2])
    events = named_events(begun + reply.failed(NoVoterAnswered("lost")))
    response = events[-1]["response"]
    assert events[-1]["type"] == "response.failed"
    assert response["status"] == "failed"
    assert (response["error"]["code"], response["error"]["message"]) == (
        "no_voter_answered",
        "lost",
    )
    first = named_events(ResponsesReply(ASKED, ENVELOPE).failed(NoVoterAnswered("lost")))
    assert [e["type"] for e in first] == [
        "response.created",
        "response.in_progress",
        "response.failed",
    ]
