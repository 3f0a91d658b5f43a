"""How many tokens a prompt has at most and at least, as far as its bytes tell. Pure.

A token stands for at least one byte of the prompt, and for no more than the vocabulary's longest
word has.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from local_swarm.wire.chat import text_of

TEMPLATE_TOKENS = 2048  # a template's own system prompt and its words about tools
MESSAGE_TOKENS = 32  # the marks around one message, which are mostly one token each
TOOL_TOKENS = 64  # the same around one tool
TURN_TOKENS = 128  # where a template writes a message otherwise once it is not the last
ENDS_TOKENS = 2  # the marks at the beginning and the end of a plain prompt
REMEMBERED = 256  # conversations
RENDERED_ROLES = ("user", "tool")  # no set: a client may send a role that has no hash
"""Of these every template writes the whole text; it may leave out what an assistant thought."""


def most_tokens(body: Mapping[str, Any]) -> int | None:
    """More tokens than the prompt of this chat request can have; None where its size does not
    tell (what stands for an image has nothing to do with its bytes)."""
    messages, tools = body.get("messages") or (), body.get("tools") or ()
    if any(_has_media(message.get("content")) for message in messages):
        return None
    marks = TEMPLATE_TOKENS + MESSAGE_TOKENS * len(messages) + TOOL_TOKENS * len(tools)
    return len(msgspec.json.encode(body)) + marks


def least_tokens(body: Mapping[str, Any], token_bytes: int) -> int:
    """Fewer tokens than the prompt of this chat request can have; `token_bytes` is the length of
    the longest token, 0 where it is not known."""
    texts = (
        text_of(message.get("content")).strip()  # templates strip it too
        for message in body.get("messages") or ()
        if message.get("role") in RENDERED_ROLES
    )
    return sum(least_tokens_of(text, token_bytes) for text in texts)


def least_tokens_of(text: str, token_bytes: int) -> int:
    """The same of a plain text."""
    return _size(text) // token_bytes if token_bytes else 0


def most_tokens_of(text: str) -> int:
    """More tokens than a plain text can have, with the marks at its ends."""
    return _size(text) + ENDS_TOKENS


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class _Counted:
    """A request whose prompt was counted: its messages, and a digest of all that it said."""

    messages: int
    digest: bytes
    tokens: int


class Counts:
    """What was counted lately, by conversation."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Counted] = OrderedDict()

    def remember(self, conversation: str, body: dict[str, Any], tokens: int) -> None:
        count = len(body["messages"])
        self._known[conversation] = _Counted(count, _digest(body, count), tokens)
        self._known.move_to_end(conversation)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def most_tokens(self, conversation: str, body: dict[str, Any]) -> int | None:
        """More tokens than the prompt can have, where it goes on from one that was counted."""
        known = self._known.get(conversation)
        messages = body["messages"]
        if known is None or len(messages) < known.messages:
            return None
        added = messages[known.messages :]
        if any(_has_media(message.get("content")) for message in added):
            return None
        if _digest(body, known.messages) != known.digest:
            return None
        size = len(msgspec.json.encode(added)) + MESSAGE_TOKENS * len(added)
        return known.tokens + size + TURN_TOKENS


def _digest(body: dict[str, Any], messages: int) -> bytes:
    opening = {**body, "messages": body["messages"][:messages]}
    return hashlib.sha256(msgspec.json.encode(opening)).digest()


def _has_media(content: object) -> bool:
    parts = content if isinstance(content, list) else ()
    return any(isinstance(part, dict) and part.get("type", "text") != "text" for part in parts)
