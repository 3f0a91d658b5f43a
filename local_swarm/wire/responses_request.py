"""OpenAI's responses request as the chat completion request that it means.

No state is kept here: what builds on an answer that the server has stored is refused. Fields that
are not known here go to the worker as they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_swarm.errors import InvalidRequest
from local_swarm.wire.chat import ChatRequest
from local_swarm.wire.media import refuse_remote_media
from local_swarm.wire.request import integer, json_object, object_of, objects_of, optional
from local_swarm.wire.responses_items import messages_of

HANDLED = frozenset({
    "input", "instructions", "tools", "tool_choice", "text", "reasoning", "max_output_tokens",
    "include", "top_logprobs", "n", "n_cmpl", "stream_options",
})  # fmt: skip
"""Mapped, or of no meaning here: this API knows one answer, and always tells its usage."""
THEIRS = frozenset({
    "background", "context_management", "conversation", "max_tool_calls", "metadata",
    "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention", "safety_identifier", "service_tier", "store", "truncation",
})  # fmt: skip
"""What only OpenAI's own servers act on."""
NEEDS_STATE = ("background", "conversation", "previous_response_id", "prompt")
LOGPROBS = "message.output_text.logprobs"


def chat_request(body: object, *, strategy_header: str | None = None) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    original = json_object(body)
    for key in NEEDS_STATE:
        if original.get(key):
            raise InvalidRequest(
                f"{key} is not supported: a swarm stores no answers.",
                hint="Send the whole conversation as input.",
                param=key,
            )
    refuse_remote_media(original.get("input"), "input")
    chat = {k: v for k, v in original.items() if k not in HANDLED | THEIRS}
    instructions = optional(original, "instructions", str)
    system = [{"role": "system", "content": instructions}] if instructions else []
    chat["messages"] = [*system, *messages_of(original.get("input"))]
    chat |= _tools(original) | _settings(original) | _text(original)
    chat["stream_options"] = {"include_usage": True}
    return ChatRequest.parse(chat, strategy_header=strategy_header, original=original)


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    tools = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(objects_of(body, "tools"))]
    choice, allowed = _tool_choice(body.get("tool_choice"))
    if allowed is not None:
        tools = [tool for tool in tools if tool["function"].get("name") in allowed]
    chat: dict[str, Any] = {"tools": tools} if tools else {}
    return chat if choice is None else {**chat, "tool_choice": choice}


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise InvalidRequest(
            f"{where}: a tool of type {tool.get('type')!r} is run by OpenAI's servers; "
            'only tools of type "function" are taken.',
            param="tools",
        )
    function = {k: v for k, v in tool.items() if k != "type" and v is not None}
    return {"type": "function", "function": function}


def _tool_choice(choice: object) -> tuple[object, list[object] | None]:
    """Chat's tool_choice, and the names of the tools that it leaves, None for all."""
    if choice is None or isinstance(choice, str):
        return choice, None
    kind = choice.get("type") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and kind == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}, None
    if isinstance(choice, dict) and kind == "allowed_tools":
        names = [tool.get("name") for tool in objects_of(choice, "tools")]
        return choice.get("mode") or "auto", names
    raise InvalidRequest(
        'tool_choice must be "auto", "none", "required", or name functions.', param="tool_choice"
    )


def _settings(body: Mapping[str, Any]) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    most = integer(body, "max_output_tokens", None, 1, 2**31 - 1)
    if most is not None:
        chat["max_tokens"] = most
    if isinstance(effort := object_of(body, "reasoning").get("effort"), str):
        chat["reasoning_effort"] = effort
    if LOGPROBS in (optional(body, "include", list) or ()):
        chat["logprobs"] = True
        if body.get("top_logprobs") is not None:
            chat["top_logprobs"] = body["top_logprobs"]
    return chat


def _text(body: Mapping[str, Any]) -> dict[str, Any]:
    wanted = object_of(object_of(body, "text"), "format", "text.format")
    kind = wanted.get("type")
    if kind == "json_object":
        return {"response_format": wanted}
    if kind == "json_schema":
        schema = {k: v for k, v in wanted.items() if k != "type" and v is not None}
        return {"response_format": {"type": kind, "json_schema": schema}}
    if kind in (None, "text"):
        return {}
    raise InvalidRequest(f"text.format.type {kind!r} is not known.", param="text.format.type")
