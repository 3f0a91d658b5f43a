"""Examples as programs: doctest sessions, and assertions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from local_swarm.consensus.execution import values
from local_swarm.consensus.execution.asked import Asked
from local_swarm.consensus.execution.examples.expressions import (
    MAX_CALL_CHARS,
    Example,
    demanded,
    expression,
)
from local_swarm.consensus.execution.values import NotAValue
from local_swarm.consensus.parsing import syntax

_MAX_LINES = 6
_MAX_TRIED = 64
_PROMPT = re.compile(r"^[ \t]*>>>[ ]?(.*)$")
_ENDS = ('"""', "'''", "```")
_ASSERT = re.compile(r"^[ \t>*`]*(assert\b.*)$", re.MULTILINE)


@dataclass(slots=True)
class _Statement:
    """One statement of a session, and the lines under it."""

    source: str
    start: int
    end: int
    shown: list[str]


def doctests(text: str, asked: Asked) -> Iterator[Example]:
    """`>>> f(x)` and under it the value, or a traceback. Names given a value earlier in the session
    are put in where they are used."""
    known: dict[str, ast.expr] = {}
    for statement in _statements(text):
        module = syntax.parse(statement.source)
        node = module.body[0] if module is not None and len(module.body) == 1 else None
        span = (statement.start, statement.end)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known[node.targets[0].id] = node.value
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare):
            yield from demanded(node.value, asked, span, known)
        elif isinstance(node, ast.Expr):
            call = expression(node.value, asked, known)
            if call is not None and statement.shown:
                yield from _shown(call, "\n".join(statement.shown), span)


def _statements(text: str) -> Iterator[_Statement]:
    current: _Statement | None = None
    place = 0
    for line in text.split("\n"):
        end, bare = place + len(line), line.strip()
        prompt = _PROMPT.match(line)
        if prompt is not None or not bare or bare.startswith(_ENDS):
            if current is not None:
                yield current
            current = _Statement(prompt.group(1), place, end, []) if prompt is not None else None
        elif current is not None:
            current.end = end
            if bare.startswith("...") and not current.shown:
                current.source += "\n" + bare[3:].removeprefix(" ")
            else:
                current.shown.append(bare)
        place = end + 1
    if current is not None:
        yield current


def _shown(call: str, text: str, span: tuple[int, int]) -> Iterator[Example]:
    if text.startswith("Traceback"):
        raised = text.rsplit("\n", 1)[-1].partition(":")[0].strip()
        yield Example(call, None, raised, True, span)
    elif (value := _value(text)) is not None:
        yield Example(call, value[0], "", True, span)


def _value(text: str) -> tuple[Any, int] | None:
    try:
        return values.read(text), len(text)
    except NotAValue:
        return values.leading(text)


def assertions(text: str, asked: Asked) -> Iterator[Example]:
    """`assert f(x) == y` and its like, on one line or as long as its brackets are open."""
    for match in islice(_ASSERT.finditer(text), _MAX_TRIED):
        lines = text[match.start(1) : match.start(1) + MAX_CALL_CHARS].split("\n")
        for count in range(1, min(len(lines), _MAX_LINES) + 1):
            source = "\n".join(lines[:count])
            module = syntax.parse(source.strip().rstrip("`"))
            if module is not None and isinstance(module.body[0], ast.Assert):
                span = (match.start(1), match.start(1) + len(source))
                yield from demanded(module.body[0].test, asked, span)
                break
