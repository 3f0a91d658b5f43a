"""The rules that a request sets for its answer, read from its body."""

from __future__ import annotations

from typing import Any

import pytest

from local_swarm.domain.rules import Calls, Rules
from local_swarm.errors import InvalidRequest
from local_swarm.wire.rules import rules_of

PARAMETERS = {"type": "object", "required": ["path"]}
TOOLS = [
    {"type": "function", "function": {"name": "ls", "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "pwd"}},
]
KNOWN = {"ls": PARAMETERS, "pwd": None}


def test_a_request_without_tools_or_format_sets_no_rules() -> None:
    assert not rules_of({"messages": []})


def test_tools_on_offer_are_rules_but_not_strict_ones() -> None:
    rules = rules_of({"tools": TOOLS, "tool_choice": "auto"})
    assert rules == Rules(functions=KNOWN)
    assert rules
    assert not rules.strict


@pytest.mark.parametrize(
    ("choice", "calls", "function"),
    [
        ("required", Calls.REQUIRED, ""),
        ("none", Calls.NONE, ""),
        ({"type": "function", "function": {"name": "ls"}}, Calls.REQUIRED, "ls"),
        ({"type": "whatever"}, Calls.AUTO, ""),
        ({"function": {"name": 5}}, Calls.AUTO, ""),
        (7, Calls.AUTO, ""),
        ([], Calls.AUTO, ""),
    ],
)
def test_tool_choice(choice: Any, calls: Calls, function: str) -> None:
    rules = rules_of({"tools": TOOLS, "tool_choice": choice})
    assert (rules.calls, rules.function) == (calls, function)
    assert rules.strict == (calls is not Calls.AUTO)


def test_a_function_that_is_not_in_tools_cannot_be_chosen() -> None:
    choice = {"type": "function", "function": {"name": "rm"}}
    with pytest.raises(InvalidRequest, match="rm") as caught:
        rules_of({"tools": TOOLS, "tool_choice": choice})
    assert caught.value.param == "tool_choice"


def test_nothing_is_required_where_there_are_no_tools() -> None:
    assert not rules_of({"tool_choice": "required", "parallel_tool_calls": False})


@pytest.mark.parametrize("odd", [{"type": "custom", "name": "x"}, {"function": {}}, {}])
def test_tools_of_another_kind_are_not_judged(odd: dict[str, Any]) -> None:
    assert rules_of({"tools": [*TOOLS, odd]}).functions is None


def test_parallel_calls_can_be_refused() -> None:
    assert rules_of({"tools": TOOLS, "parallel_tool_calls": False}).one_call
    assert not rules_of({"tools": TOOLS, "parallel_tool_calls": True}).one_call


@pytest.mark.parametrize(
    ("given", "is_json", "schema"),
    [
        ({"type": "json_object"}, True, None),
        ({"type": "json_object", "schema": PARAMETERS}, True, PARAMETERS),
        ({"type": "json_schema", "json_schema": {"schema": PARAMETERS}}, True, PARAMETERS),
        ({"type": "json_schema"}, True, None),
        ({"type": "text"}, False, None),
        ("json", False, None),
    ],
)
def test_response_format(given: Any, is_json: bool, schema: Any) -> None:
    rules = rules_of({"response_format": given})
    assert (rules.json, rules.schema, rules.strict) == (is_json, schema, is_json)
