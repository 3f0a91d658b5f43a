from __future__ import annotations

from typing import Any

import pytest

from local_swarm.domain.rules import Calls
from local_swarm.errors import InvalidRequest
from local_swarm.wire.chat import ChatRequest
from local_swarm.wire.responses_request import chat_request

TOOL = {"type": "function", "name": "ls", "parameters": {"type": "object"}, "strict": True}


def parse(given: object = "hi", **body: Any) -> ChatRequest:
    return chat_request({"model": "m", "input": given, **body})


def test_a_text_is_a_user_message_after_the_instructions() -> None:
    assert parse(instructions="be brief").messages == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ]


def test_items_of_one_turn_become_one_message() -> None:
    chat = parse(
        [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {
                "type": "reasoning",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "hm"}],
            },
            {
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "b"}],
            },
            {"type": "function_call", "call_id": "c1", "name": "ls", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "ls", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "f"},
            {"type": "message", "role": "assistant", "content": "done"},
        ]
    )
    function = {"name": "ls", "arguments": "{}"}
    assert chat.messages == [
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": "b",
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": function},
                {"id": "c2", "type": "function", "function": function},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "f"},
        {"role": "assistant", "content": "done"},
    ]


def test_thoughts_that_follow_each_other_are_all_kept() -> None:
    thoughts = [
        {"type": "reasoning", "id": f"r{i}", "summary": [{"type": "summary_text", "text": text}]}
        for i, text in enumerate(("first", "then"))
    ]
    call = {"type": "function_call", "call_id": "c", "name": "ls", "arguments": "{}"}
    (message,) = parse([*thoughts, call]).messages
    assert message["reasoning_content"] == "first\nthen"
    assert len(message["tool_calls"]) == 1


def test_turns_of_the_assistant_that_follow_each_other_stay_apart() -> None:
    said = [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert parse(said).messages == said


def test_images_are_taken_as_data() -> None:
    url = "data:image/png;base64,AA"
    (message,) = parse(
        [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]
    ).messages
    assert message["content"] == [{"type": "image_url", "image_url": {"url": url}}]


def test_tools_and_their_rules_hold_as_for_chat() -> None:
    chat = parse(tools=[TOOL], tool_choice={"type": "function", "name": "ls"})
    function = {k: v for k, v in TOOL.items() if k != "type"}
    assert chat.body["tools"] == [{"type": "function", "function": function}]
    rules = chat.rules()
    assert (rules.calls, rules.function) == (Calls.REQUIRED, "ls")
    other = {**TOOL, "name": "cat"}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"name": "cat"}]}
    chat = parse(tools=[TOOL, other], tool_choice=allowed)
    assert [t["function"]["name"] for t in chat.body["tools"]] == ["cat"]
    assert chat.body["tool_choice"] == "required"


def test_settings_keep_their_meaning_and_unknown_ones_their_name() -> None:
    schema = {"type": "json_schema", "name": "s", "schema": {"a": 1}, "strict": True}
    body = parse(
        max_output_tokens=9,
        reasoning={"effort": "low"},
        text={"format": schema, "verbosity": "low"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        store=True,
        metadata={"a": "b"},
        min_p=0.1,
        n=4,
    ).body
    assert (body["max_tokens"], body["reasoning_effort"]) == (9, "low")
    wanted = {"name": "s", "schema": {"a": 1}, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": wanted}
    assert (body["logprobs"], body["top_logprobs"], body["min_p"]) == (True, 2, 0.1)
    assert not {"store", "metadata", "text", "include", "n", "input"} & body.keys()
    assert parse(text={"format": {"type": "json_object"}}).rules().json


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": ["hi"]}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input"),
        (
            {
                "input": [
                    {
                        "role": "user",
                        "content": [{"type": "input_image", "image_url": "https://x/y.png"}],
                    }
                ]
            },
            "input",
        ),
        ({"input": "hi", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": "hi", "background": True}, "background"),
        ({"input": "hi", "conversation": "c"}, "conversation"),
        ({"input": "hi", "tools": [{"type": "web_search"}]}, "tools"),
        ({"input": "hi", "tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"input": "hi", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "hi", "text": {"format": {"type": "xml"}}}, "text.format.type"),
    ],
)
def test_what_cannot_be_meant_names_its_field(body: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_request(body)
    assert caught.value.param == param
