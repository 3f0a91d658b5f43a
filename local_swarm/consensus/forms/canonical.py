"""One spelling for equal data: canonical JSON, and tool calls made of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from local_swarm.domain.candidate import ToolCall

MAX_JSON_CHARS = 262_144
MAX_JSON_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Part:
    """One call, or a whole JSON document. `name` is the function's (of a document, what it is),
    `value` its data, with a normal form where a string holds a program; `key` spells both."""

    name: str
    value: Any
    key: str


@dataclass(frozen=True, slots=True)
class CanonicalCalls:
    """`sound` says that the arguments of every call are JSON."""

    text: str
    sound: bool


def canonical_json(text: str) -> str | None:
    """Keys sorted, no spaces, `1.0` as `1`, plain ASCII; None where `read_json` raises."""
    try:
        return spell(read_json(text))
    except ValueError:
        return None


def begins_with_json(text: str) -> bool:
    """Whether a whole value stands at its beginning, whatever follows."""
    try:
        json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError, MemoryError):
        return False
    return True


def read_json(text: str) -> Any:
    """The value that `text` writes, whole numbers as int. Of a key given twice the last counts, as
    in every common parser. Raises ValueError where `text` is not JSON, is longer than 256 Ki
    characters or nests deeper than a hundred levels."""
    if len(text) > MAX_JSON_CHARS or _depth(text) > MAX_JSON_DEPTH:
        raise ValueError("too large")
    try:
        return json.loads(text, parse_float=_number, parse_constant=_refuse)
    except (RecursionError, MemoryError) as error:
        raise ValueError("too deep") from error


def spell(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """The one spelling of a value; `default` turns what JSON has no place for into what it has.
    Raises ValueError for what nests too deep."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=default)
    except (RecursionError, MemoryError) as error:
        raise ValueError("too deep") from error


def canonical_calls(calls: Sequence[ToolCall]) -> CanonicalCalls:
    """Names and canonical arguments in the order of the calls; ids do not count. Arguments that
    are not JSON stand as they were written; no arguments at all mean an empty object."""
    parts: list[list[str]] = []
    sound = True
    for call in calls:
        arguments = canonical_json(call.arguments.strip() or "{}")
        sound = sound and arguments is not None
        parts.append([call.name, call.arguments.strip() if arguments is None else arguments])
    return CanonicalCalls(json.dumps(parts, separators=(",", ":")), sound)


def _number(literal: str) -> int | float:
    """What is too large for a float is infinite, as in every common parser."""
    value = float(literal)
    return int(value) if math.isfinite(value) and value.is_integer() else value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _depth(text: str) -> int:
    """How deep brackets nest outside of strings, without recursion; at most their number."""
    if (brackets := text.count("{") + text.count("[")) <= MAX_JSON_DEPTH:
        return brackets
    depth = deepest = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "}]":
            depth -= 1
    return deepest
