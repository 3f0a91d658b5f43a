"""What the asked function is made of: whether it does anything, and with what."""

from __future__ import annotations

import ast

from local_swarm.consensus.lint import flow
from local_swarm.consensus.lint.source import Function, Source, parameters, statements
from local_swarm.consensus.lint.task import Task


def other_parameters(function: Function, task: Task) -> bool:
    """Whether it cannot be called with as many arguments as the header has."""
    given = function.args
    if task.parameters is None or given.vararg is not None:
        return False
    positional = len(given.posonlyargs) + len(given.args)
    needed = positional - len(given.defaults)
    return not needed <= task.parameters <= positional + len(given.kwonlyargs)


def returns_nothing(source: Source) -> bool:
    """Whether it gives nobody a value, by no `return` and no `yield`."""
    return not (source.gives_value or source.yields)


def falls_off(source: Source, function: Function) -> bool:
    """Whether it returns a value on some paths, and on others just ends."""
    return source.gives_value and not source.yields and flow.goes_on(function.body)


def is_stub(function: Function) -> bool:
    """Whether it holds nothing but `pass`, `...`, a docstring or NotImplementedError."""
    return all(_is_not_written(statement) for statement in statements(function.body))


def _is_not_written(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Raise) or statement.exc is None:
        return False
    error = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
    return isinstance(error, ast.Name) and error.id == "NotImplementedError"


def is_trivial(function: Function) -> bool:
    """Whether all it does is to return a constant or what it was given."""
    body = statements(function.body)
    if len(body) != 1 or not isinstance(body[0], ast.Return):
        return False
    return _is_trivial(body[0].value, {one.arg for one in parameters(function.args)})


def _is_trivial(value: ast.expr | None, given: set[str]) -> bool:
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        return all(_is_trivial(part, given) for part in value.elts)
    if isinstance(value, ast.UnaryOp):
        return _is_trivial(value.operand, given)
    if isinstance(value, ast.Name):
        return value.id in given
    return value is None or isinstance(value, ast.Constant)


def words(source: Source) -> frozenset[str]:
    """The names, attributes, imports and keywords that are written, and the types of the nodes."""
    found = {kind.__name__ for kind in source.nodes}
    found.update(node.id for node in source.all(ast.Name))
    found.update(node.attr for node in source.all(ast.Attribute))
    found.update(node.name for node in source.all(ast.alias))
    found.update(f"{node.arg}=" for node in source.all(ast.keyword))
    found.update(str(node.value) for node in source.all(ast.Constant) if _is_word(node.value))
    found.update("step" for node in source.all(ast.Slice) if node.step is not None)
    return frozenset(found)


def _is_word(value: object) -> bool:
    return value is None or value is True or value is False
