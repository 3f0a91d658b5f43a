from __future__ import annotations

import pytest

from local_swarm.errors import InvalidRequest
from local_swarm.wire.chat import ChatRequest, text_of

USER = {"role": "user", "content": "hi"}


def parse(**body: object) -> ChatRequest:
    return ChatRequest.parse({"messages": [USER], **body})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages"),
        ({"messages": [USER], "n": 0}, "n"),
        ({"messages": [USER], "n": True}, "n"),
        ({"messages": [USER], "stream": "yes"}, "stream"),
        ({"messages": [USER], "model": 3}, "model"),
        ({"messages": [USER], "temperature": "hot"}, "temperature"),
        ({"messages": [USER], "seed": 1.5}, "seed"),
        ({"messages": [USER], "stream_options": []}, "stream_options"),
        ({"messages": [USER], "swarm": {"samples": 99}}, "swarm.samples"),
        ({"messages": [USER], "swarm": {"stream": "all"}}, "swarm.stream"),
        ({"messages": [USER], "swarm": {"strategy": 1}}, "swarm.strategy"),
    ],
)
def test_a_malformed_request_names_its_field(body: object, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ChatRequest.parse(body)
    assert caught.value.param == param


def test_unknown_fields_reach_the_worker_and_ours_do_not() -> None:
    chat = parse(top_k=7, tools=[{"type": "x"}], swarm={"samples": 2}, id_slot=9, n=2)
    body = chat.upstream_body(model="m", n=3, slot=1, seed_offset=0, temperature=0.8)
    assert body["top_k"] == 7
    assert body["tools"] == [{"type": "x"}]
    assert "swarm" not in body
    assert (body["id_slot"], body["n"], body["model"]) == (1, 3, "m")
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_the_clients_own_body_is_never_changed() -> None:
    raw = {"messages": [USER], "stream_options": {"x": 1}}
    chat = ChatRequest.parse(raw)
    chat.upstream_body(model="m", n=1, slot=None, seed_offset=0, temperature=0.5)
    assert raw == {"messages": [USER], "stream_options": {"x": 1}}


def test_a_client_that_sets_sampling_keeps_it() -> None:
    def temperature(**body: object) -> object:
        sent = parse(**body).upstream_body(
            model="m", n=1, slot=None, seed_offset=0, temperature=0.8
        )
        return sent.get("temperature")

    assert temperature() == 0.8
    assert temperature(temperature=0.1) == 0.1
    assert temperature(top_p=0.5) is None
    assert temperature(temperature=None, top_p=None) == 0.8


def test_a_clients_seed_is_spread_over_the_voters() -> None:
    body = parse(seed=5).upstream_body(model="m", n=1, slot=None, seed_offset=3, temperature=None)
    assert body["seed"] == 8


def test_the_prompt_is_the_last_user_message() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    chat = ChatRequest.parse(
        {"messages": [USER, {"role": "user", "content": parts}, {"role": "tool", "content": "x"}]}
    )
    assert chat.prompt == "a\nb"
    assert text_of(None) == ""


def test_turns_of_one_conversation_share_a_key_and_others_do_not() -> None:
    later = ChatRequest.parse({"messages": [USER, {"role": "assistant", "content": "x"}, USER]})
    assert parse().conversation == later.conversation
    other = ChatRequest.parse({"messages": [{"role": "user", "content": "ho"}]})
    assert parse().conversation != other.conversation
