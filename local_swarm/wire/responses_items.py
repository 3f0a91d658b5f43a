"""The input items of OpenAI's responses as chat messages.

What the assistant thought, said and called in one go are several items there, and one message here.
"""

from __future__ import annotations

from typing import Any

from local_swarm.errors import InvalidRequest

TEXT_PARTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")


def messages_of(given: object) -> list[dict[str, Any]]:
    """Raises InvalidRequest for what no chat can say."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise InvalidRequest("input must be a text or a list of items.", param="input")
    conversation = Conversation()
    for i, item in enumerate(given):
        if not isinstance(item, dict):
            raise InvalidRequest(f"input[{i}] must be an object.", param="input")
        conversation.add(item, f"input[{i}]")
    return conversation.messages


class Conversation:
    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def add(self, item: dict[str, Any], where: str) -> None:
        kind = item.get("type") or ("message" if "role" in item else None)
        if kind == "message":
            self._message(item, where)
        elif kind == "function_call":
            self._assistant().setdefault("tool_calls", []).append(_call(item))
        elif kind == "function_call_output":
            self._output(item, where)
        elif kind == "reasoning":
            self._reasoning(item)
        else:
            raise InvalidRequest(f"{where}: an item of type {kind!r} is not taken.", param="input")

    def _message(self, item: dict[str, Any], where: str) -> None:
        role, content = item.get("role"), _content(item.get("content"), where)
        if role == "assistant":
            message = self._assistant(before=("content", "tool_calls"))
            message["content"] = content
        elif role in ("user", "system", "developer"):
            self.messages.append({"role": role, "content": content})
        else:
            raise InvalidRequest(f"{where}.role {role!r} is not known.", param="input")

    def _output(self, item: dict[str, Any], where: str) -> None:
        message = {
            "role": "tool",
            "tool_call_id": str(item.get("call_id") or ""),
            "content": _content(item.get("output"), where),
        }
        self.messages.append(message)

    def _reasoning(self, item: dict[str, Any]) -> None:
        """As it was thought, or summed up. What is encrypted only its own server could read."""
        text = _text(item.get("content")) or _text(item.get("summary"))
        if text:
            message = self._assistant(before=("content", "tool_calls"))
            thought = [message["reasoning_content"]] if "reasoning_content" in message else []
            message["reasoning_content"] = "\n".join([*thought, text])

    def _assistant(self, before: tuple[str, ...] = ()) -> dict[str, Any]:
        """The assistant's message that is being put together; a new one where it has any of
        `before`, which would come after what is to be added."""
        last = self.messages[-1] if self.messages else {}
        if last.get("role") != "assistant" or any(last.get(key) for key in before):
            last = {"role": "assistant", "content": ""}
            self.messages.append(last)
        return last


def _call(item: dict[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name"), "arguments": item.get("arguments") or "{}"}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def _text(parts: object) -> str:
    listed = parts if isinstance(parts, list) else []
    texts = [part.get("text") for part in listed if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _content(content: object, where: str) -> str | list[dict[str, Any]]:
    """Plain where it is one text: any template can write that."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise InvalidRequest(f"{where}: content must be a text or a list of parts.", param="input")
    parts = [_part(part, where) for part in content]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part(part: dict[str, Any], where: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind in TEXT_PARTS:
        return {"type": "text", "text": str(part.get("text") or "")}
    if kind == "refusal":
        return {"type": "text", "text": str(part.get("refusal") or "")}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    raise InvalidRequest(f"{where}: a part of type {kind!r} is not taken.", param="input")
