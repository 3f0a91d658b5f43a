"""The OpenAI chat completion request as a typed view over the client's own JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from local_swarm.domain.rules import Rules
from local_swarm.errors import InvalidRequest
from local_swarm.wire.media import refuse_remote_media
from local_swarm.wire.request import VotedRequest, common_fields, json_object, objects_of
from local_swarm.wire.rules import rules_of

CHAT_PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class ChatRequest(VotedRequest):
    """A conversation to go on with; other APIs that have one are mapped to it."""

    messages: list[Mapping[str, Any]]

    path: ClassVar[str] = CHAT_PATH

    @classmethod
    def parse(
        cls,
        body: object,
        *,
        strategy_header: str | None = None,
        original: Mapping[str, Any] | None = None,
    ) -> ChatRequest:
        """Checks what the gateway acts on; everything else is the worker's to judge.

        `original` is what the client sent where that was another API's request. Raises
        InvalidRequest naming the field.
        """
        body = json_object(body)
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise InvalidRequest(
                "messages must be a list with at least one message.", param="messages"
            )
        for i, message in enumerate(messages):
            if not isinstance(message, dict):
                raise InvalidRequest(f"messages[{i}] must be an object.", param="messages")
            refuse_remote_media(message.get("content"), f"messages[{i}].content")
        objects_of(body, "tools")
        fields = common_fields(body, body if original is None else original, strategy_header)
        return cls(**fields, messages=messages)

    @property
    def prompt(self) -> str:
        """The text of the last user message."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return text_of(message.get("content"))
        return text_of(self.messages[-1].get("content"))

    @property
    def conversation(self) -> str:
        opening = []
        for message in self.messages[:3]:
            opening.append(f"{message.get('role')}\0{text_of(message.get('content'))}")
            if message.get("role") == "user":
                break
        return hashlib.sha256("\0\0".join(opening).encode("utf-8", "surrogatepass")).hexdigest()

    def rules(self) -> Rules:
        return rules_of(self.body)


def text_of(content: object) -> str:
    """The text in a message's content: a string, or a list of parts; "" for anything else."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (p.get("text") for p in content if isinstance(p, dict))
        return "\n".join(t for t in parts if isinstance(t, str))
    return ""
