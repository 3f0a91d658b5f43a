"""What llama_cpp.server is asked and says, without it."""

from __future__ import annotations

from typing import Any

import pytest

from local_swarm.engines.llama_cpp_python_words import (
    chat_request,
    completion_request,
    error_of,
    refusal,
)

USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def asked(**body: Any) -> dict[str, Any]:
    return chat_request({"messages": [USER], **body}, model="demo", seed=7)


def test_what_is_not_said_is_left_out_and_not_null() -> None:
    assert "temperature" not in asked(temperature=None)
    (message,) = asked(messages=[{"role": "assistant", "content": None, "name": None}])["messages"]
    assert message == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("seed", [None, -1])
def test_a_request_without_a_seed_gets_one(seed: int | None) -> None:
    assert asked(seed=seed)["seed"] == 7
    assert asked(seed=3)["seed"] == 3


def test_the_client_s_model_is_kept() -> None:
    assert asked()["model"] == "demo"
    assert asked(model="x")["model"] == "x"


def test_repeating_is_not_punished_unless_asked() -> None:
    assert asked()["repeat_penalty"] == 1.0
    assert asked(repeat_penalty=1.2)["repeat_penalty"] == 1.2


def test_the_new_name_of_max_tokens_is_understood() -> None:
    assert asked(max_completion_tokens=5)["max_tokens"] == 5
    assert "max_completion_tokens" not in asked(max_completion_tokens=5)


@pytest.mark.parametrize("most", [None, -1, -2])
def test_an_answer_without_a_limit_has_none_here_either(most: int | None) -> None:
    assert asked(max_tokens=most)["max_tokens"] is None
    assert asked(max_tokens=0)["max_tokens"] == 0


def test_a_plain_prompt_is_put_into_its_words_too() -> None:
    body = {"prompt": "def f", "temperature": None, "stop": None}
    assert completion_request(body, model="demo", seed=7) == {
        "prompt": "def f",
        "model": "demo",
        "seed": 7,
        "repeat_penalty": 1.0,
        "max_tokens": None,
    }


def test_developers_are_the_system_and_parts_of_text_are_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    (message,) = asked(messages=[{"role": "developer", "content": parts}])["messages"]
    assert message == {"role": "system", "content": "a\nb"}


def test_an_image_is_refused() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    with pytest.raises(ValueError, match="image_url input is not supported"):
        asked(messages=[{"role": "user", "content": [part]}])


def test_a_schema_is_put_where_the_server_looks_for_it() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    assert asked(response_format=wanted)["response_format"] == {
        "type": "json_object",
        "schema": {"type": "object"},
    }
    plain = {"type": "json_object"}
    assert asked(response_format=plain)["response_format"] == plain


@pytest.mark.parametrize("choice", [None, "auto", "required"])
def test_tools_that_might_be_called_are_refused(choice: str | None) -> None:
    with pytest.raises(ValueError, match="reads no tool calls"):
        asked(tools=[TOOL], tool_choice=choice)


def test_a_named_tool_is_called_and_none_is_not_shown() -> None:
    named = {"type": "function", "function": {"name": "f"}}
    assert asked(tools=[TOOL], tool_choice=named)["tools"] == [TOOL]
    assert "tools" not in asked(tools=[TOOL], tool_choice="none")
    assert asked(tools=[])["tools"] == []


def test_what_is_no_list_of_messages_is_the_server_s_to_refuse() -> None:
    assert asked(messages="x")["messages"] == "x"
    assert asked(messages=["x"])["messages"] == ["x"]


def test_too_long_a_prompt_is_said_as_llama_server_does() -> None:
    status, error = error_of(ValueError("Requested tokens (36009) exceed context window of 16384"))
    assert status == 400
    assert error["type"] == "exceed_context_size_error"
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (36009, 16384)
    assert "exceeds the available context size (16384 tokens)" in error["message"]


class Invalid(Exception):
    def __init__(self, *wrong: dict[str, Any]) -> None:
        super().__init__("secret words")
        self._wrong = list(wrong)

    def errors(self) -> list[dict[str, Any]]:
        return self._wrong


class Group(Exception):
    def __init__(self, *errors: Exception) -> None:
        super().__init__("group")
        self.exceptions = errors


def test_a_validation_error_names_the_place_and_not_what_was_there() -> None:
    wrong = {"loc": ("body", "messages", 0, "role"), "msg": "Input should be 'user'", "input": "x"}
    status, error = error_of(Invalid(wrong))
    assert status == 400
    assert error["message"] == "messages.0.role: Input should be 'user'"
    assert "secret" not in error_of(Invalid())[1]["message"]


def test_the_first_error_of_a_group_counts() -> None:
    assert error_of(Group(Group(ValueError("x"))))[1]["message"] == "x"


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ValueError("no"), 400, "invalid_request_error"),
        (RuntimeError("decode failed"), 500, "server_error"),
        (KeyError("x"), 500, "server_error"),
    ],
)
def test_whose_mistake_it_is(error: Exception, status: int, kind: str) -> None:
    found, said = error_of(error)
    assert (found, said["type"], said["code"]) == (status, kind, status)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "authentication_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (503, "server_error"),
    ],
)
def test_refusals_have_a_type(status: int, kind: str) -> None:
    assert refusal(status, "why") == {"code": status, "message": "why", "type": kind}
