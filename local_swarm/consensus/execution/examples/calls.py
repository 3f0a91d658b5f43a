"""Examples in running text: `f(x) == y`, `f(x) -> y`, "f(x) should return y"."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from itertools import islice

from local_swarm.consensus.execution import values
from local_swarm.consensus.execution.asked import Asked
from local_swarm.consensus.execution.examples.expressions import (
    MAX_CALL_CHARS,
    Example,
    expression,
    is_value,
)
from local_swarm.consensus.parsing import syntax

_MAX_TRIED = 256

ARROW = r"={1,3}>|-{1,2}>|➞|→|⇒|⟶|➜|↦|>>"
SAYS = (
    r"(?:(?:should|must|will|would|shall|to)\s+)?"
    r"(?:returns?|equals?|gives?|yields?|produces?|outputs?|prints?|evaluates?\s+to|results?\s+in"
    r"|be|is|are|becomes?)(?:\s+(?:equal\s+to|back|the\s+value|exactly))?"
)
_CALL = re.compile(r"(?<![\w.])([A-Za-z_]\w*)[ ]?\(")
_LEADS = re.compile(
    rf"[\s`*]*(?:#\s*)?(?:{ARROW}|={{1,3}}|:|{SAYS}\b)[\s:`*]*",
    re.IGNORECASE,
)
_RAISES = re.compile(r"[\s`*#]*(?:should|must|will|would)?\s*raises?\s+(?:an?\s+)?`?([A-Z]\w+)")
_DOUBT = re.compile(r"[\s`,]*(?:or|if|when|unless|otherwise|and so on)\b|\s*\.\.", re.IGNORECASE)


def calls(text: str, asked: Asked) -> Iterator[Example]:
    """Wherever they stand: in prose, in comments, in backticks. A call of another name that fits is
    taken for one of the asked function, and not trusted."""
    for match in islice(_CALL.finditer(text), _MAX_TRIED):
        end = values.end_of_brackets(text, match.end() - 1)
        if end is None or end - match.start() > MAX_CALL_CHARS:
            continue
        read = _read(text[match.start() : end], asked)
        if read is not None:
            yield from _followed(text, (match.start(), end), *read)


def _followed(text: str, span: tuple[int, int], call: str, trusted: bool) -> Iterator[Example]:
    start, end = span
    if (raises := _RAISES.match(text, end)) is not None:
        yield Example(call, None, raises.group(1), trusted, (start, raises.end()))
        return
    lead = _LEADS.match(text, end)
    value = values.leading(text[lead.end() :]) if lead is not None else None
    if lead is not None and value is not None:
        stop = lead.end() + value[1]
        sure = trusted and _DOUBT.match(text, stop) is None
        yield Example(call, value[0], "", sure, (start, stop))


def _read(source: str, asked: Asked) -> tuple[str, bool] | None:
    """The call, in the asked function's name, and whether it was written just so."""
    module = syntax.parse(source)
    statement = module.body[0] if module is not None and module.body else None
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return None
    node = statement.value
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name != asked.name and (not name or hasattr(builtins, name) or name in asked.context):
        return None
    quoted = _with_words_quoted(node, asked)
    taken = quoted or node
    call = expression(ast.Call(ast.Name(asked.name), taken.args, taken.keywords), asked)
    return None if call is None else (call, name == asked.name and quoted is None)


def _with_words_quoted(node: ast.Call, asked: Asked) -> ast.Call | None:
    """`f(abcd)` as `f('abcd')`; None where no argument is a bare word. Names of parameters, and
    single letters, stand for any value: that is no example."""
    own = {parameter.name for parameter in asked.parameters}
    words = {arg.id for arg in node.args if isinstance(arg, ast.Name) and not is_value(arg)}
    if not words or any(word in own or len(word) < 2 for word in words):
        return None
    args = [
        ast.Constant(arg.id) if isinstance(arg, ast.Name) and arg.id in words else arg
        for arg in node.args
    ]
    return ast.Call(node.func, args, node.keywords)
