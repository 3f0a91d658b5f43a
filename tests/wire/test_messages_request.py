from __future__ import annotations

from typing import Any

import pytest

from local_swarm.domain.rules import Calls
from local_swarm.errors import InvalidRequest
from local_swarm.wire.chat import ChatRequest
from local_swarm.wire.messages_request import chat_request

USER = {"role": "user", "content": "hi"}
TOOL = {"name": "ls", "description": "lists", "input_schema": {"type": "object"}}


def parse(*messages: dict[str, Any], **body: Any) -> ChatRequest:
    return chat_request({"model": "m", "messages": list(messages or (USER,)), **body})


def test_the_system_prompt_comes_first_as_text_or_blocks() -> None:
    assert parse(system="be brief").messages[0] == {"role": "system", "content": "be brief"}
    blocks = [{"type": "text", "text": "a", "cache_control": {}}, {"type": "text", "text": "b"}]
    assert parse(system=blocks).messages[0]["content"] == "a\nb"
    assert parse(system=[]).messages == [USER]


def test_a_stamp_that_changes_with_each_request_does_not_spoil_the_prefix() -> None:
    def system(stamp: str) -> Any:
        text = f"x-anthropic-billing-header: v=1; cch={stamp}; You help. cch=kept"
        return parse(system=[{"type": "text", "text": text}]).messages[0]["content"]

    assert system("a1b2c") == system("9f3e1")
    assert "cch=kept" in system("a1b2c")


def test_a_turn_with_a_tool_is_told_as_chat_tells_it() -> None:
    called = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "looking"},
        {"type": "tool_use", "id": "t1", "name": "ls", "input": {"p": 1}},
    ]
    result = [
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "f"}]},
        {"type": "tool_result", "tool_use_id": "t2"},
        {"type": "text", "text": "go on"},
    ]
    chat = parse(
        USER, {"role": "assistant", "content": called}, {"role": "user", "content": result}
    )
    call = {"id": "t1", "type": "function", "function": {"name": "ls", "arguments": '{"p":1}'}}
    assert chat.messages == [
        USER,
        {
            "role": "assistant",
            "content": "looking",
            "reasoning_content": "hm",
            "tool_calls": [call],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "f"},
        {"role": "tool", "tool_call_id": "t2", "content": ""},
        {"role": "user", "content": "go on"},
    ]


def test_images_are_taken_as_data_in_messages_and_results() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    chat = parse({"role": "user", "content": [result, {"type": "text", "text": "see"}, image]})
    assert chat.messages == [
        {"role": "tool", "tool_call_id": "t", "content": [part]},
        {"role": "user", "content": [{"type": "text", "text": "see"}, part]},
    ]


def test_text_documents_are_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "words"}
    found = {"type": "search_result", "content": [{"type": "text", "text": "found"}]}
    chat = parse({"role": "user", "content": [{"type": "document", "source": source}, found]})
    texts = [{"type": "text", "text": "words"}, {"type": "text", "text": "found"}]
    assert chat.messages[0]["content"] == texts


@pytest.mark.parametrize(
    ("choice", "asked", "calls"),
    [
        ({"type": "auto"}, "auto", Calls.AUTO),
        ({"type": "any"}, "required", Calls.REQUIRED),
        ({"type": "none"}, "none", Calls.NONE),
        (
            {"type": "tool", "name": "ls"},
            {"type": "function", "function": {"name": "ls"}},
            Calls.REQUIRED,
        ),
    ],
)
def test_tools_and_their_rules_hold_as_for_chat(
    choice: dict[str, Any], asked: object, calls: Calls
) -> None:
    chat = parse(tools=[TOOL], tool_choice={**choice, "disable_parallel_tool_use": True})
    function = {"name": "ls", "description": "lists", "parameters": {"type": "object"}}
    assert chat.body["tools"] == [{"type": "function", "function": function}]
    assert chat.body["tool_choice"] == asked
    rules = chat.rules()
    assert (rules.calls, rules.one_call) == (calls, True)


def test_settings_keep_their_meaning_and_unknown_ones_their_name() -> None:
    body = parse(
        max_tokens=9,
        stop_sequences=["x"],
        thinking={"type": "enabled", "budget_tokens": 5},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"a": 1}}},
        metadata={"user_id": "u"},
        service_tier="auto",
        min_p=0.1,
        grammar="g",
        n=4,
    ).body
    assert (body["max_tokens"], body["stop"], body["user"]) == (9, ["x"], "u")
    assert (body["thinking_budget_tokens"], body["reasoning_effort"]) == (5, "low")
    assert body["response_format"]["json_schema"]["schema"] == {"a": 1}
    assert (body["min_p"], body["grammar"]) == (0.1, "g")
    assert not {"metadata", "service_tier", "stop_sequences", "thinking", "n"} & body.keys()
    assert parse(thinking={"type": "disabled"}).body["reasoning_effort"] == "none"


def test_the_swarms_own_options_are_read() -> None:
    chat = chat_request(
        {"messages": [USER], "swarm": {"samples": 2}, "stream": True}, strategy_header="fuzzy"
    )
    assert (chat.swarm.samples, chat.swarm.strategy, chat.stream) == (2, "fuzzy", True)
    assert chat.include_usage
    assert chat.n == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content"),
        ({"messages": [USER], "system": 3}, "system"),
        ({"messages": [USER], "tools": [{"type": "web_search_20250305"}]}, "tools"),
        ({"messages": [USER], "tool_choice": {"type": "odd"}}, "tool_choice"),
        ({"messages": [USER], "tool_choice": "auto"}, "tool_choice"),
        ({"messages": [USER], "stop_sequences": "x"}, "stop_sequences"),
        ({"messages": [USER], "mcp_servers": [{}]}, "mcp_servers"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image", "source": {"type": "url", "url": "http://x"}}
                        ],
                    }
                ]
            },
            "messages",
        ),
    ],
)
def test_what_cannot_be_meant_names_its_field(body: object, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_request(body)
    assert caught.value.param == param
