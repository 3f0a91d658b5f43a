"""Examples that call by naming the parameters: "Input: a = 1 Output: 2", "For a = 1 it is 2"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from local_swarm.consensus.execution import values
from local_swarm.consensus.execution.asked import Asked
from local_swarm.consensus.execution.examples.calls import ARROW, SAYS
from local_swarm.consensus.execution.examples.expressions import MAX_CALL_CHARS, Example, expression
from local_swarm.consensus.parsing import syntax

_MAX_TRIED = 128
_INPUT = re.compile(
    r"^[ \t>*#-]*(?:sample\s+)?inputs?\b[^\n:=]{0,20}[:=]\**[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_OUTPUT = re.compile(
    r"(?:(?:expected|sample)\s+)?outputs?\b[^\n:=]{0,20}(?:[:=]|=>|->)\**\s*",
    re.IGNORECASE,
)
_COMES_OUT = re.compile(
    r"(?:outputs?|results?|answers?|returns?(?:\s+values?)?|function|gives?|expected)\b[\s`*:]*"
    rf"(?:{SAYS}|{ARROW}|={{1,2}})?[\s`*:]*(?=[\[({{'\"\d+-]|[TF](?:rue|alse)\b|None\b)",
    re.IGNORECASE,
)
_IS = r"[`* ]*(?:={1,2}|:|is)[ `]*"


def pairs(text: str, asked: Asked) -> Iterator[Example]:
    """ "Input:" with every parameter by name, or bare values in their order, then "Output:"."""
    for match in islice(_INPUT.finditer(text), _MAX_TRIED):
        out = _OUTPUT.search(text, match.end(), match.end() + MAX_CALL_CHARS)
        if out is None or _INPUT.search(text, match.end(), out.start()) is not None:
            continue
        given = text[match.end() : out.start()]
        named = _named(given, asked)
        call = named[0] if named is not None else _in_order(given, asked)
        value = values.leading(text[out.end() :])
        if call is not None and value is not None:
            yield Example(call, value[0], "", True, (match.start(), out.end() + value[1]))


def sentences(text: str, asked: Asked) -> Iterator[Example]:
    """Every parameter by name and then what comes out, in one line."""
    names = "|".join(re.escape(parameter.name) for parameter in asked.parameters)
    behind = 0
    starts = re.finditer(rf"(?:\b[Ff]or\s+)?(?<![\w.])(?:{names}){_IS}", text)
    for match in islice(starts, _MAX_TRIED):
        if match.start() < behind:
            continue
        behind = _line_end(text, match.end())
        given = text[match.start() : behind]
        named = _named(given, asked)
        for out in _COMES_OUT.finditer(given, named[1]) if named is not None else ():
            value = values.leading(given[out.end() :])
            if value is not None and named is not None:
                span = (match.start(), match.start() + out.end() + value[1])
                yield Example(named[0], value[0], "", True, span)
                break


def _line_end(text: str, at: int) -> int:
    """Of the line at `at`; brackets over several lines are one, as long as all of them close."""
    is_closed = True
    while at < len(text) and text[at] != "\n":
        end = None
        if is_closed and text[at] in "([{":
            end = values.end_of_brackets(text, at)
            is_closed = end is not None
        at = end or at + 1
    return at


def _named(given: str, asked: Asked) -> tuple[str, int] | None:
    """The call with what `given` says of the parameters, of all that must be there, and where the
    last of it ends."""
    parts, behind = [], 0
    for at, parameter in enumerate(asked.parameters):
        match = re.search(rf"(?<![\w.]){re.escape(parameter.name)}{_IS}", given)
        value = values.leading(given[match.end() :]) if match is not None else None
        if match is None or value is None:
            if at < asked.required:
                return None
            break
        end = match.end() + _length(given[match.end() :], value)
        parts.append(given[match.end() : end].strip())
        behind = max(behind, end)
    return f"{asked.name}({', '.join(parts)})", behind


def _length(text: str, value: tuple[Any, int]) -> int:
    """Of the first value alone: `1, 2` behind a name is no tuple."""
    if not isinstance(value[0], tuple) or text.startswith("("):
        return value[1]
    commas = (match.start() for match in re.finditer(",", text[: value[1]]))
    for end in commas:
        found = values.leading(text[:end])
        if found is not None and found[1] == end:
            return end
    return value[1]


def _in_order(given: str, asked: Asked) -> str | None:
    """Bare values, one for each parameter: behind each other, or one a line."""
    rows = ", ".join(bare for row in given.split("\n") if (bare := row.strip(" \t*`,")))
    module = syntax.parse(f"{asked.name}({rows})")
    statement = module.body[0] if module is not None and len(module.body) == 1 else None
    return expression(statement.value, asked) if isinstance(statement, ast.Expr) else None
