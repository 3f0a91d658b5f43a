"""What of a worker's stream the client of a live stream gets."""

from __future__ import annotations

import json
from typing import Any

from local_swarm.gateway.relay import Reading


def reading(*, include_usage: bool = False) -> Reading:
    return Reading("w0", include_usage, {"voters": 1}, 0.0)


def data(finish: str | None = None, index: int = 0, **choice: Any) -> bytes:
    choices = [{"index": index, "finish_reason": finish, **choice}]
    return json.dumps({"choices": choices}, separators=(",", ":")).encode()


ROLE = data(delta={"role": "assistant", "content": None})
WORD = data(delta={"content": "word"})
OTHER = data(index=1, delta={"tool_calls": [{"index": 0}]})


def test_the_role_is_held_back_until_something_shows() -> None:
    read = reading()
    assert read.take([ROLE]) == []
    assert read.take([WORD, WORD]) == [ROLE, WORD, WORD]
    assert read.take([WORD]) == [WORD]


def test_the_text_of_a_completion_shows() -> None:
    text = data(text="word")
    assert reading().take([text]) == [text]


def test_other_choices_are_left_out_whatever_they_hold() -> None:
    read = reading()
    assert read.take([WORD, OTHER, WORD]) == [WORD, WORD]


def test_the_last_event_has_the_facts() -> None:
    read = reading()
    *_, last = read.take([WORD, data("stop", delta={})])
    assert json.loads(last)["swarm"]["voters"] == 1
    assert read.complete


def test_with_usage_the_facts_are_in_it() -> None:
    read = reading(include_usage=True)
    usage = b'{"choices":[],"usage":{"completion_tokens":1}}'
    _, finish, last = read.take([WORD, data("stop", delta={}), usage])
    assert "swarm" not in json.loads(finish)
    assert json.loads(last)["swarm"]["voters"] == 1


def test_what_showed_nothing_comes_at_the_end() -> None:
    read = reading()
    assert read.take([ROLE, data("stop", delta={})]) == []
    assert [json.loads(d)["choices"][0]["finish_reason"] for d in read.rest()] == [None, "stop"]
    assert read.rest() == []


def test_the_facts_are_told_where_an_engine_tells_no_usage() -> None:
    reading = Reading("w0", True, {"voters": 1}, 0.0)
    say = {"id": "x", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]}
    end = {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    reading.take([json.dumps(say).encode(), json.dumps(end).encode()])
    (closing,) = map(json.loads, reading.rest())
    assert (closing["id"], closing["choices"], closing["swarm"]["voters"]) == ("x", [], 1)


def test_usage_in_the_finishing_event_leaves_nothing_to_tell() -> None:
    reading = Reading("w0", True, {"voters": 1}, 0.0)
    end = {"choices": [{"index": 0, "text": "a", "finish_reason": "stop"}], "usage": {"a": 1}}
    shown = json.loads(reading.take([json.dumps(end).encode()])[0])
    assert shown["swarm"]["voters"] == 1
    assert shown["choices"][0]["text"] == "a"
    assert reading.rest() == []
