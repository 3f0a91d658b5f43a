"""Code that can only be a mistake: without effect, or twice the same where there should be two."""

from __future__ import annotations

import ast

from local_swarm.consensus.lint.calls import imported, rooted
from local_swarm.consensus.lint.flow import LOOPS
from local_swarm.consensus.lint.source import Source, parts, same

_NO_EFFECT = (ast.Compare, ast.BinOp, ast.UnaryOp, ast.Name, ast.Attribute, ast.Subscript)
_PURE = frozenset(("sorted", "reversed", "len", "sum", "max", "min", "abs", "str", "list", "set"))
_PURE |= {"tuple", "range", "zip", "enumerate", "round", "ord", "chr"}
_TEXT_METHODS = frozenset(("lower", "upper", "strip", "lstrip", "rstrip", "swapcase", "title"))
_TEXT_METHODS |= {"capitalize", "replace", "split"}
_RESIZE = frozenset(("append", "remove", "pop", "insert", "extend", "clear", "add", "discard"))
_SENSELESS = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod)


def slips(source: Source) -> int:
    return (
        _without_effect(source)
        + _compared_with_itself(source)
        + _chosen_twice(source)
        + sum(_disturbs(loop) for kind in LOOPS for loop in source.all(kind))
        + _asks_the_user(source)
    )


def _without_effect(source: Source) -> int:
    """Statements whose result is thrown away. In a `try` that may be a test."""
    if source.all(ast.Try):
        return 0
    modules = imported(source)
    return sum(_is_idle(statement.value, modules) for statement in source.all(ast.Expr))


def _is_idle(value: ast.expr, modules: set[str]) -> bool:
    if not isinstance(value, ast.Call):
        return isinstance(value, _NO_EFFECT)
    function = value.func
    if isinstance(function, ast.Name):
        return function.id in _PURE and function.id not in modules
    if not isinstance(function, ast.Attribute) or rooted(function, modules):
        return False
    return function.attr in _TEXT_METHODS and (function.attr != "replace" or len(value.args) > 1)


def _compared_with_itself(source: Source) -> int:
    """`x == x`, `x - x`, `x and x`, `x = x`. (`x != x` asks for a NaN.)"""
    compared = sum(
        len(node.ops) == 1
        and not isinstance(node.ops[0], ast.NotEq)
        and same(node.left, node.comparators[0])
        for node in source.all(ast.Compare)
    )
    computed = sum(
        isinstance(node.op, _SENSELESS) and same(node.left, node.right)
        for node in source.all(ast.BinOp)
    )
    joined = sum(same(*node.values[-2:]) for node in source.all(ast.BoolOp))
    assigned = sum(same(node.targets[0], node.value) for node in source.all(ast.Assign))
    return compared + computed + joined + assigned


def _chosen_twice(source: Source) -> int:
    """`elif` that asks the same again."""
    pairs = [(node.test, node.orelse[0]) for node in source.all(ast.If) if len(node.orelse) == 1]
    return sum(isinstance(other, ast.If) and same(test, other.test) for test, other in pairs)


def _disturbs(loop: ast.stmt) -> bool:
    """Whether it changes the length of the very list that it goes over without leaving it then, or
    steps the variable that `range` sets anyway."""
    if not isinstance(loop, (ast.For, ast.AsyncFor)):
        return False
    if isinstance(loop.iter, ast.Name):
        run = parts(loop.body)
        leaves = any(isinstance(node, (ast.Break, ast.Return)) for node in run)
        return not leaves and any(_resizes(node, loop.iter.id) for node in run)
    if not isinstance(loop.target, ast.Name) or not _is_range(loop.iter):
        return False
    name = loop.target.id
    return any(_steps(node, name) for node in parts(loop.body))


def _resizes(node: ast.AST, name: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == name
        and node.func.attr in _RESIZE
    )


def _is_range(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    return node.func.id == "range"


def _steps(node: ast.AST, name: str) -> bool:
    if not isinstance(node, ast.AugAssign) or not isinstance(node.target, ast.Name):
        return False
    return node.target.id == name and isinstance(node.value, ast.Constant)


def _asks_the_user(source: Source) -> bool:
    """Whether the asked function reads from the terminal what it has parameters for."""
    if source.asked is None or not source.asked.args.args:
        return False
    calls = (node.func for node in source.inside if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Name) and function.id == "input" for function in calls)
