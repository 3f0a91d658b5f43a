"""Where a function goes: what it returns on which path, what is never reached or never ends."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from local_swarm.consensus.lint.source import BLOCKS, FUNCTIONS, Source, parts

Loop = ast.For | ast.AsyncFor | ast.While
LOOPS = (ast.For, ast.AsyncFor, ast.While)
_TRIES = (ast.Try, getattr(ast, "TryStar", ast.Try))
_DECIDES = (ast.If, ast.IfExp, ast.BoolOp, ast.Match, ast.Try, ast.comprehension, *LOOPS)


def goes_on(body: Sequence[ast.stmt]) -> bool:
    """Whether what stands behind the block can be reached through it."""
    return all(map(_passes, body))


def _passes(statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
        return False
    if isinstance(statement, ast.If):
        return goes_on(statement.body) or goes_on(statement.orelse)
    if isinstance(statement, ast.While) and _is_true(statement.test):
        return has_break(statement)
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return goes_on(statement.body) or any(map(_suppresses, statement.items))
    if isinstance(statement, _TRIES):
        return _try_passes(statement)
    if isinstance(statement, ast.Match):
        return not _has_default(statement) or any(goes_on(case.body) for case in statement.cases)
    return True


def _suppresses(item: ast.withitem) -> bool:
    manager = item.context_expr.func if isinstance(item.context_expr, ast.Call) else None
    return "suppress" in (getattr(manager, "attr", ""), getattr(manager, "id", ""))


def _try_passes(statement: Any) -> bool:
    if not goes_on(statement.finalbody):
        return False
    went_well = goes_on([*statement.body, *statement.orelse])
    return went_well or any(goes_on(handler.body) for handler in statement.handlers)


def _has_default(statement: ast.Match) -> bool:
    last = statement.cases[-1]
    is_open = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
    return is_open and last.guard is None


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def has_break(loop: Loop) -> bool:
    """Whether a `break` leaves this very loop."""
    own = parts(loop.body, stop=(*BLOCKS, *LOOPS))
    behind = [node for inner in own if isinstance(inner, LOOPS) for node in inner.orelse]
    run = own + parts(behind, stop=(*BLOCKS, *LOOPS))
    return any(isinstance(node, ast.Break) for node in run)


def dead_ends(source: Source) -> int:
    """Statements that are never reached, loops that are always left in their first turn, and
    recursion that never ends."""
    loops: list[Loop] = [*source.all(ast.For), *source.all(ast.AsyncFor), *source.all(ast.While)]
    once = sum(_leaves_at_once(loop) for loop in loops)
    return _unreachable(source) + once + _calls_itself_always(source)


def _unreachable(source: Source) -> int:
    """Blocks with statements behind one that always leaves."""
    kinds = (ast.If, *LOOPS, *FUNCTIONS, ast.With, ast.Try)
    blocks = (
        body
        for kind in kinds
        for node in source.nodes.get(kind, ())
        for name in ("body", "orelse")
        if (body := getattr(node, name, None))
    )
    return sum(not goes_on(body[:-1]) and not _only_yields(body[-1]) for body in blocks)


def _only_yields(statement: ast.stmt) -> bool:
    """What makes a generator of a function that gives nothing."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield)


def _leaves_at_once(loop: Loop) -> bool:
    """A `return` in it that should stand behind it: the first turn leaves it on more ways than one.
    (On one way only it takes the first item; a `try` is there to go round again.)"""
    if goes_on(loop.body):
        return False
    run = parts(loop.body)
    exits = sum(isinstance(node, (ast.Return, ast.Break)) for node in run)
    return exits > 1 and not any(isinstance(node, (*_TRIES, ast.Continue)) for node in run)


def _calls_itself_always(source: Source) -> bool:
    """Whether the asked function calls itself although nothing in it decides anything."""
    if source.asked is None or any(isinstance(node, _DECIDES) for node in source.inside):
        return False
    called = {
        node.func.id
        for node in source.inside
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return source.asked.name in called
