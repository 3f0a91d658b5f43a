"""anthropic-python, against /v1/messages of a gateway over fakes."""

from __future__ import annotations

from typing import Any

from tests.clients.running import HELLO, WEATHER, python_program, seen_by

seen = seen_by(lambda: python_program("anthropic_sdk.py", "anthropic"))
Seen = dict[str, Any]


def test_a_plain_message_is_the_votes_answer(seen: Seen) -> None:
    message = seen["plain"]
    assert [(b["type"], b["text"]) for b in message["content"]] == [("text", HELLO)]
    assert (message["role"], message["stop_reason"]) == ("assistant", "end_turn")
    assert message["usage"]["input_tokens"] > 0
    assert message["usage"]["output_tokens"] > 0
    assert message["swarm"]["voters"] == 3


def test_a_streamed_message_is_the_same_message(seen: Seen) -> None:
    streamed = seen["streamed"]
    assert streamed["message"]["content"] == seen["plain"]["content"]
    assert streamed["message"]["stop_reason"] == "end_turn"
    assert streamed["message"]["usage"]["output_tokens"] > 0
    kinds = streamed["kinds"]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert "content_block_delta" in kinds


def test_one_voter_streams_as_it_writes(seen: Seen) -> None:
    assert seen["streamed_by_one"] == {"text": HELLO, "all": HELLO}


def test_a_tool_is_called_and_its_result_is_used(seen: Seen) -> None:
    assert seen["tool_use"] == {
        "stop": "tool_use",
        "name": "get_weather",
        "input": {"city": "Paris"},
        "then": WEATHER,
        "end": "end_turn",
    }


def test_a_streamed_tool_call_is_whole(seen: Seen) -> None:
    assert seen["streamed_tool_use"] == {
        "stop": "tool_use",
        "name": "get_weather",
        "input": {"city": "Paris"},
    }


def test_tokens_are_counted_with_their_tools(seen: Seen) -> None:
    assert 0 < seen["count_tokens"]["few"] < seen["count_tokens"]["more"]


def test_an_answer_that_is_cut_off_says_so(seen: Seen) -> None:
    assert seen["cut_off"] == "max_tokens"


def test_a_prompt_that_is_too_long_is_a_bad_request(seen: Seen) -> None:
    assert seen["too_long"]["status"] == 400
    assert seen["too_long"]["body"]["type"] == "error"
    assert "exceeds the available context size" in seen["too_long"]["body"]["error"]["message"]


def test_three_at_once_with_asyncio(seen: Seen) -> None:
    assert seen["with_asyncio"] == [HELLO] * 3
