"""Addresses of media in a request: workers would fetch them, so they are refused at the door."""

from __future__ import annotations

import re
from collections.abc import Iterator

from local_swarm.errors import InvalidRequest

# What a tool was given or has said, and where a text came from, are no media.
_NOT_MEDIA = frozenset({"annotations", "arguments", "citations", "input_schema", "metadata"})
_CALLS = ("function_call", "server_tool_use", "tool_use")  # no set: a type may have no hash
_SCHEME = re.compile(r"(https?|file|ftp):", re.IGNORECASE)


def refuse_remote_media(content: object, param: str) -> None:
    """Raises InvalidRequest where a part of messages or input names an address to fetch from."""
    if any(not url.startswith("data:") for url in _addresses(content)):
        raise InvalidRequest(
            "Media are taken as data only (data: URLs), never fetched from an address.", param=param
        )


def _addresses(content: object) -> Iterator[str]:
    """What stands where OpenAI's and Anthropic's parts have an address or data."""
    pending = [content]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, dict) and part.get("type") not in _CALLS:
            for key, value in part.items():
                if key in _NOT_MEDIA:
                    continue
                if not isinstance(value, str):
                    pending.append(value)
                elif (
                    key == "url" or key.endswith("_url") or (key == "data" and _SCHEME.match(value))
                ):
                    yield value
