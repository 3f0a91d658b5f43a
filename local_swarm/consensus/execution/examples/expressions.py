"""Expressions around one call of the asked function, and what they are to give."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local_swarm.consensus.execution import values
from local_swarm.consensus.execution.asked import Asked
from local_swarm.consensus.execution.values import NotAValue

MAX_CALL_CHARS = 2_048


@dataclass(frozen=True, slots=True)
class Example:
    """`call` is a Python expression around one call of the asked function, `expected` what it is
    to give (or the exception class that it `raises`); `span` is where it stands in the prompt. One
    that is not `trusted` may be misread: it counts for an answer, never against."""

    call: str
    expected: Any
    raises: str
    trusted: bool
    span: tuple[int, int]


def expression(
    node: ast.expr, asked: Asked, known: Mapping[str, ast.expr] | None = None
) -> str | None:
    """The text of an expression with one proper call of the asked function in it: its arguments
    are values, and nothing else is called but functions of Python's own. `known` are expressions
    to be put in for names."""
    node = _Filled(known).visit(node) if known else node
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    own = [call for call in calls if _name(call) == asked.name]
    if len(own) != 1 or not _fits(own[0], asked):
        return None
    inside = {id(part) for part in ast.walk(own[0])}
    others = [call for call in calls if id(call) not in inside]
    if not all(hasattr(builtins, _name(call) or "-") for call in others):
        return None
    return ast.unparse(ast.fix_missing_locations(_Filled(_SPELLED).visit(node)))


def is_value(node: ast.expr) -> bool:
    """Whether a tree is one plain value."""
    try:
        values.build(node)
    except (NotAValue, TypeError, ValueError, ArithmeticError):
        return False
    return True


def demanded(
    test: ast.expr, asked: Asked, span: tuple[int, int], known: Mapping[str, ast.expr] | None = None
) -> Iterator[Example]:
    """What a test asks for: `f(x) == y`, or `f(x)` and `not f(x)` by themselves."""
    node, wanted = test, test
    result: Any = True
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        node, result = test.operand, False
    elif isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Eq, ast.Is)):
        sides = (test.left, test.comparators[0])
        node, wanted = sides if _mentions(sides[0], asked) else sides[::-1]
        if not is_value(wanted):
            return
        result = values.build(wanted)
    call = expression(node, asked, known)
    if call is not None:
        yield Example(call, result, "", True, span)


def _mentions(node: ast.expr, asked: Asked) -> bool:
    return any(isinstance(part, ast.Name) and part.id == asked.name for part in ast.walk(node))


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _fits(call: ast.Call, asked: Asked) -> bool:
    keywords = {keyword.arg for keyword in call.keywords}
    if not keywords <= {*(parameter.name for parameter in asked.parameters), *asked.named}:
        return False
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    count = len(arguments) - len(keywords.intersection(asked.named))
    return asked.takes(count) and all(map(is_value, arguments))


class _Filled(ast.NodeTransformer):
    """Puts expressions in for names."""

    def __init__(self, known: Mapping[str, ast.expr]) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._known.get(node.id, node)


_SPELLED = {
    "true": ast.Constant(True),
    "false": ast.Constant(False),
    "null": ast.Constant(None),
}
"""As JSON writes them."""
