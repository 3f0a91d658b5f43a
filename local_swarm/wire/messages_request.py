"""Anthropic's messages request as the chat completion request that it means.

Fields that are not known here go to the worker as they came, so that its own sampling settings can
be used through this API too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from local_swarm.errors import InvalidRequest
from local_swarm.wire.chat import ChatRequest
from local_swarm.wire.media import refuse_remote_media
from local_swarm.wire.request import json_object, object_of, objects_of, optional

HANDLED = frozenset({
    "messages", "system", "tools", "tool_choice", "stop_sequences", "thinking", "output_config",
    "output_format", "metadata", "n", "n_cmpl", "stream_options",
})  # fmt: skip
"""Mapped, or of no meaning here: this API knows one answer, and always tells its usage."""
THEIRS = frozenset({
    "anthropic_beta", "anthropic_version", "betas", "cache_control", "container",
    "context_management", "inference_geo", "service_tier", "speed",
})  # fmt: skip
"""What only Anthropic's own servers act on."""
PART_NOTES = frozenset({"cache_control", "citations"})
SKIPPED_BLOCKS = ("redacted_thinking",)
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# A stamp that one client puts first in its system prompt and changes with each request: as it
# stands, no prefix of the prompt would ever be found again.
_STAMP = re.compile(r"^(x-anthropic-billing-header:[^\n]*?\bcch=)[0-9A-Za-z]+")


def chat_request(body: object, *, strategy_header: str | None = None) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    original = json_object(body)
    messages = objects_of(original, "messages")
    if not messages:
        raise InvalidRequest("messages must be a list with at least one message.", param="messages")
    refuse_remote_media([original.get("system"), messages], "messages")
    _refuse_servers(original)
    chat = {k: v for k, v in original.items() if k not in HANDLED | THEIRS}
    chat["messages"] = [*_system(original), *_messages(messages)]
    chat |= _tools(original) | _settings(original)
    chat["stream_options"] = {"include_usage": True}
    chat["timings_per_token"] = True  # `message_start` tells the prompt's size before the answer
    return ChatRequest.parse(chat, strategy_header=strategy_header, original=original)


def _refuse_servers(body: Mapping[str, Any]) -> None:
    if body.get("mcp_servers"):
        raise InvalidRequest("mcp_servers are not called from here.", param="mcp_servers")


def _system(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    system = body.get("system")
    if system is None:
        return []
    if isinstance(system, str):
        texts = [system]
    else:
        texts = [str(block.get("text") or "") for block in objects_of(body, "system")]
    text = "\n".join(_STAMP.sub(r"\g<1>0", text) for text in texts if text)
    return [{"role": "system", "content": text}] if text else []


def _messages(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for i, message in enumerate(messages):
        content = message.get("content")
        if content is None or isinstance(content, str):
            yield message
        elif isinstance(content, list) and all(isinstance(block, dict) for block in content):
            yield from _blocks(message, content, f"messages[{i}].content")
        else:
            raise InvalidRequest(
                f"messages[{i}].content must be a text or a list of blocks.", param="messages"
            )


def _blocks(
    message: dict[str, Any], blocks: list[dict[str, Any]], where: str
) -> Iterator[dict[str, Any]]:
    """The results of tools first, for they answer the message before; then what is left of it."""
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    thoughts: list[str] = []
    for block in blocks:
        kind = block.get("type")
        if kind == "tool_result":
            yield _tool_result(block, where)
        elif kind == "tool_use":
            calls.append(_call(block))
        elif kind == "thinking":
            thoughts.append(str(block.get("thinking") or ""))
        elif kind not in SKIPPED_BLOCKS:
            parts.extend(_parts(block, where))
    if not (parts or calls or thoughts):
        return
    rest = {k: v for k, v in message.items() if k != "content"}
    rest["content"] = _content(parts)
    if thoughts:
        rest["reasoning_content"] = "".join(thoughts)
    if calls:
        rest["tool_calls"] = calls
    yield rest


def _content(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Plain where it is one text: any template can write that."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def _parts(block: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """A block that shows the model something, as chat's content parts."""
    kind, source = block.get("type"), block.get("source")
    source = source if isinstance(source, dict) else {}
    if kind == "text":
        yield {k: v for k, v in block.items() if k not in PART_NOTES}
    elif kind == "image" and source.get("type") in ("base64", "url"):
        yield {"type": "image_url", "image_url": {"url": _image(source)}}
    elif kind == "document" and source.get("type") == "text":
        yield {"type": "text", "text": str(source.get("data") or "")}
    elif kind in ("document", "search_result"):
        yield from _nested(source.get("content") or block.get("content"), where)
    else:
        raise InvalidRequest(f"A block of type {kind!r} is not known here.", param=where)


def _image(source: dict[str, Any]) -> str:
    """A data URL: an address was refused before."""
    if source.get("type") == "url":
        return str(source.get("url"))
    return f"data:{source.get('media_type') or 'image/jpeg'};base64,{source.get('data')}"


def _nested(content: object, where: str) -> Iterator[dict[str, Any]]:
    """The parts of what a block holds: a text, or more blocks."""
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, list) and all(isinstance(block, dict) for block in content):
        for block in content:
            yield from _parts(block, where)
    else:
        raise InvalidRequest("Only text and images are taken.", param=where)


def _tool_result(block: dict[str, Any], where: str) -> dict[str, Any]:
    content = block.get("content")
    parts = [] if content is None else list(_nested(content, where))
    if all(part["type"] == "text" for part in parts):
        text: object = "\n".join(str(part.get("text") or "") for part in parts)
    else:
        text = parts
    return {"role": "tool", "tool_call_id": str(block.get("tool_use_id") or ""), "content": text}


def _call(block: dict[str, Any]) -> dict[str, Any]:
    arguments = msgspec.json.encode(block.get("input") or {}).decode()
    function = {"name": str(block.get("name") or ""), "arguments": arguments}
    return {"id": str(block.get("id") or ""), "type": "function", "function": function}


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    tools = objects_of(body, "tools")
    if tools:
        chat["tools"] = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools)]
    choice = object_of(body, "tool_choice")
    if choice:
        chat["tool_choice"] = _tool_choice(choice)
    if choice.get("disable_parallel_tool_use") is True:
        chat["parallel_tool_calls"] = False
    return chat


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom") and "input_schema" not in tool:
        raise InvalidRequest(
            f"{where}: the tool {tool['type']!r} is one of Anthropic's own; "
            "only tools with an input_schema are taken.",
            param="tools",
        )
    function = {"name": tool.get("name"), "parameters": tool.get("input_schema") or {}}
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def _tool_choice(choice: dict[str, Any]) -> object:
    kind = choice.get("type")
    if kind == "tool":
        return {"type": "function", "function": {"name": str(choice.get("name") or "")}}
    if not isinstance(kind, str) or kind not in _CHOICES:
        raise InvalidRequest("tool_choice.type is not known.", param="tool_choice")
    return _CHOICES[kind]


def _settings(body: Mapping[str, Any]) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    if (stop := optional(body, "stop_sequences", list)) is not None:
        chat["stop"] = stop
    thinking = object_of(body, "thinking")
    if thinking.get("type") == "disabled":
        chat["reasoning_effort"] = "none"
    elif isinstance(budget := thinking.get("budget_tokens"), int):
        chat["thinking_budget_tokens"] = budget
    output = object_of(body, "output_config")
    if isinstance(effort := output.get("effort"), str) and "reasoning_effort" not in chat:
        chat["reasoning_effort"] = effort
    wanted = output.get("format") or body.get("output_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        schema = {"name": "output", "schema": wanted.get("schema")}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    if user := object_of(body, "metadata").get("user_id"):
        chat["user"] = user
    return chat
