from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.errors import InvalidRequest
from local_swarm.wire.choices import CompletionReply
from local_swarm.wire.completions import CompletionRequest
from tests.wire.spoken import ENVELOPE, SWARM, USAGE, answer_of


def text(piece: str, finish: str | None = None, **top: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "text": piece, "finish_reason": finish}], **top}


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        (["a"], ["a"]),
        ([1, 2], [[1, 2]]),
        ([[1, 2]], [[1, 2]]),
        ([1, "a"], [[1, "a"]]),
        (["a", "b"], ["a", "b"]),
        ([[1], "b"], [[1], "b"]),
        ("", [""]),
    ],
)
def test_a_prompt_is_a_text_tokens_or_several_of_them(prompt: Any, prompts: list[Any]) -> None:
    request = CompletionRequest.parse({"prompt": prompt})
    assert request.prompts == prompts
    assert request.body["prompt"] == (prompts[0] if len(prompts) == 1 else prompts)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": "a", "best_of": 0}, "best_of"),
        ({"prompt": "a", "best_of": 2, "n": 3}, "best_of"),
    ],
)
def test_a_malformed_request_names_its_field(body: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CompletionRequest.parse(body)
    assert caught.value.param == param


def test_the_best_of_several_is_what_a_vote_finds() -> None:
    request = CompletionRequest.parse({"prompt": "a", "best_of": 4})
    assert request.swarm.samples == 4
    assert "best_of" not in request.body
    assert CompletionRequest.parse({"prompt": "a", "best_of": 1}).swarm.samples is None


def test_unknown_fields_reach_the_worker() -> None:
    request = CompletionRequest.parse({"prompt": "a", "suffix": "z", "echo": True, "logprobs": 2})
    body = request.upstream_body(model="m", n=2, slot=1, seed_offset=0, temperature=0.8)
    assert (body["suffix"], body["echo"], body["logprobs"]) == ("z", True, 2)
    assert (body["n"], body["id_slot"], body["stream"]) == (2, 1, True)


@given(st.lists(st.text(max_size=600), max_size=20), st.booleans())
def test_a_replay_says_exactly_what_was_said(pieces: list[str], include_usage: bool) -> None:
    options = {"stream_options": {"include_usage": include_usage}}
    answer = answer_of([*map(text, pieces), text("", "stop", usage=USAGE)])
    request = CompletionRequest.parse({"prompt": "p", **options})
    reply = CompletionReply(ENVELOPE, request)
    frames = b"".join(reply.replay([answer], SWARM)).decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    events = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]
    choices = [choice for event in events for choice in event["choices"]]
    said = "".join(choice["text"] for choice in choices)
    whole = CompletionReply(ENVELOPE, request).whole([answer], SWARM)
    assert said == "".join(pieces) == whole["choices"][0]["text"]
    assert choices[-1]["finish_reason"] == "stop"
    assert events[-1]["swarm"] == SWARM == whole["swarm"]
    assert {event["object"] for event in events} == {"text_completion"}
    assert ("usage" in events[-1]) is include_usage


def test_probabilities_of_either_shape_are_kept() -> None:
    first, last = text("a"), text("b", "stop", usage=USAGE)
    first["choices"][0]["logprobs"] = {"tokens": ["a"], "content": [{"id": 1}], "top": None}
    last["choices"][0]["logprobs"] = {"tokens": ["b"], "content": [{"id": 2}], "top": None}
    reply = CompletionReply(ENVELOPE, CompletionRequest.parse({"prompt": "p"}))
    whole = reply.whole([answer_of([first, last])], SWARM)
    assert whole["choices"][0]["logprobs"] == {
        "tokens": ["a", "b"],
        "content": [{"id": 1}, {"id": 2}],
        "top": None,
    }
    assert whole["usage"] == USAGE


def test_an_echo_says_each_prompt_before_its_answer() -> None:
    request = CompletionRequest.parse({"prompt": ["a", "b"], "echo": True})
    assert "echo" not in request.body
    answers = [answer_of([text(piece), text("", "stop", usage=USAGE)]) for piece in ("1", "2")]
    whole = CompletionReply(ENVELOPE, request).whole(answers, SWARM)
    assert [choice["text"] for choice in whole["choices"]] == ["a1", "b2"]
    raw = b"".join(CompletionReply(ENVELOPE, request).replay(answers, SWARM)).decode()
    assert '"text":"a1"' in raw
    assert '"text":"b2"' in raw


def test_a_live_echo_comes_once_before_the_first_word() -> None:
    reply = CompletionReply(ENVELOPE, CompletionRequest.parse({"prompt": "a", "echo": True}))
    word = json.dumps({"id": "w", "choices": [{"index": 0, "text": "1"}]}).encode()
    frames = (reply.live([word]) + reply.live([word])).decode().split("\n\n")[:-1]
    events = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    assert [event["choices"][0]["text"] for event in events] == ["a", "1", "1"]
    assert {event["id"] for event in events} == {"w"}


@pytest.mark.parametrize("prompt", [[1, 2], ["a", [1]]])
def test_an_echo_of_tokens_is_the_engines_business(prompt: Any) -> None:
    assert CompletionRequest.parse({"prompt": prompt, "echo": True}).body["echo"] is True
