"""The rules that a chat completion request sets for its own answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_swarm.domain.rules import Calls, Rules
from local_swarm.errors import InvalidRequest


def rules_of(body: Mapping[str, Any]) -> Rules:
    """Reads `tools`, `tool_choice`, `parallel_tool_calls` and `response_format`.

    What it does not know sets no rule: it is the worker's to judge. Raises InvalidRequest for a
    tool_choice that no answer could follow.
    """
    functions = _functions(body.get("tools"))
    calls, function = _choice(body.get("tool_choice"))
    if calls is Calls.REQUIRED and not body.get("tools"):
        calls, function = Calls.AUTO, ""
    if function and functions is not None and function not in functions:
        raise InvalidRequest(
            f"tool_choice names {function!r}, which is not in tools.", param="tool_choice"
        )
    is_json, schema = _format(body.get("response_format"))
    return Rules(
        functions=functions,
        calls=calls,
        function=function,
        one_call=body.get("parallel_tool_calls") is False and bool(body.get("tools")),
        json=is_json,
        schema=schema,
    )


def _functions(tools: object) -> dict[str, dict[str, Any] | None] | None:
    """None where there are no tools, or one of them is no function with a name."""
    functions: dict[str, dict[str, Any] | None] = {}
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not isinstance(function, dict):
            return None
        parameters = function.get("parameters")
        functions[name] = parameters if isinstance(parameters, dict) else None
    return functions or None


def _choice(choice: object) -> tuple[Calls, str]:
    if choice in ("required", "none"):
        return Calls(choice), ""
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return (Calls.REQUIRED, name) if isinstance(name, str) and name else (Calls.AUTO, "")


def _format(response_format: object) -> tuple[bool, dict[str, Any] | None]:
    """Whether JSON is asked for, and its schema."""
    if not isinstance(response_format, dict):
        return False, None
    kind = response_format.get("type")
    if kind == "json_object":
        schema = response_format.get("schema")  # llama-server's own
    elif kind == "json_schema":
        inner = response_format.get("json_schema")
        schema = inner.get("schema") if isinstance(inner, dict) else None
    else:
        return False, None
    return True, schema if isinstance(schema, dict) else None
