"""Whether a function returns the kinds of values that it is asked for."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from local_swarm.consensus.lint import flow
from local_swarm.consensus.lint.infer import infer
from local_swarm.consensus.lint.kinds import (
    ANY,
    NONE,
    Kind,
    may_equal,
    of,
    of_value,
)
from local_swarm.consensus.lint.source import Function, Source
from local_swarm.consensus.lint.task import Task

_Return = tuple[ast.expr | None, Kind]


@dataclass(frozen=True, slots=True)
class Judged:
    """`errors`, `risks`, `unequal`: see `infer.Inferred`. `wrong` returns can never equal what is
    asked for; `only_wrong`: there is no other. `missed` outputs of the examples cannot come out of
    any `return`."""

    errors: int = 0
    risks: int = 0
    unequal: int = 0
    wrong: int = 0
    only_wrong: bool = False
    missed: int = 0


def judge(source: Source, function: Function, task: Task) -> Judged:
    each = [*function.args.posonlyargs, *function.args.args]
    given = dict(zip((one.arg for one in each), task.arguments, strict=False))
    found = infer(source.module, function, given)
    returns = _given(function, found.returns, source.yields)
    kinds = [kind for _, kind in returns]
    wrong = sum(not may_equal(kind, task.returns) for kind in kinds)
    if returns and flow.goes_on(function.body):
        returns = [*returns, (None, NONE)]
    return Judged(
        errors=len(found.errors),
        risks=len(found.risks),
        unequal=len(found.unequal),
        wrong=wrong,
        only_wrong=0 < wrong == len(kinds),
        missed=_missed(returns, task.outputs),
    )


def _given(function: Function, found: list[_Return], is_generator: bool) -> list[_Return]:
    """What the caller gets. A coroutine's is not looked at."""
    if isinstance(function, ast.AsyncFunctionDef):
        return [(None, ANY)]
    return [(None, of("iterator"))] if is_generator else found


def _missed(returns: Sequence[_Return], outputs: Sequence[Any]) -> int:
    able = [(_constants(node), kind) for node, kind in returns]
    return sum(not any(_may_be(output, *one) for one in able) for output in outputs)


def _may_be(output: Any, constants: list[Any] | None, kind: Kind) -> bool:
    if constants is not None and kind:
        return any(value == output for value in constants)
    return may_equal(kind, of_value(output))


def _constants(node: ast.expr | None) -> list[Any] | None:
    """All that an expression can come out as; None where that depends on more than conditions."""
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return _each((node.body, node.orelse))
    if isinstance(node, ast.BoolOp):
        return _each(node.values)
    if isinstance(node, ast.Compare):
        return [True, False]
    if isinstance(node, ast.UnaryOp):
        return [True, False] if isinstance(node.op, ast.Not) else _negated(node)
    if isinstance(node, ast.Tuple) and len(node.elts) <= 4:
        parts = [_constants(part) or [] for part in node.elts]
        return list(product(*parts))[:64] if all(len(part) == 1 for part in parts) else None
    return None


def _each(nodes: Sequence[ast.expr]) -> list[Any] | None:
    found = [_constants(node) for node in nodes]
    return [value for part in found for value in part or ()] if None not in found else None


def _negated(node: ast.UnaryOp) -> list[Any] | None:
    values = _constants(node.operand)
    is_number = values is not None and all(type(value) in (int, float) for value in values)
    return (
        [-value for value in values or ()] if is_number and isinstance(node.op, ast.USub) else None
    )
