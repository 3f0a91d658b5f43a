"""Calls that cannot work, and results that get lost."""

from __future__ import annotations

import ast
import io
import types
from collections.abc import Set

from local_swarm.consensus.lint.kinds import is_told
from local_swarm.consensus.lint.source import Source, parameters
from local_swarm.consensus.lint.task import Task

_MANY = 99
_ARITY: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("abs", "all", "any", "ascii", "bin", "callable", "chr", "hash"), (1, 1)),
    **dict.fromkeys(("hex", "id", "len", "oct", "ord", "repr", "reversed", "sorted"), (1, 1)),
    **dict.fromkeys(("bool", "dict", "float", "frozenset", "list", "set", "tuple"), (0, 1)),
    **dict.fromkeys(("divmod", "hasattr", "isinstance", "issubclass"), (2, 2)),
    **dict.fromkeys(("enumerate", "iter", "next", "round", "sum"), (1, 2)),
    **dict.fromkeys(("filter",), (2, 2)),
    **dict.fromkeys(("max", "min"), (1, _MANY)),
    **dict.fromkeys(("map",), (2, _MANY)),
    **dict.fromkeys(("int", "complex"), (0, 2)),
    **dict.fromkeys(("getattr", "pow"), (2, 3)),
    **dict.fromkeys(("range", "slice"), (1, 3)),
    "str": (0, 3),
    "input": (0, 1),
}
"""The least and the most positional arguments of builtins."""

_TYPES = (
    *(str, bytes, bytearray, int, float, complex, bool, list, tuple, dict, set, frozenset, range),
    *(slice, object, type, property, BaseException, OSError, StopIteration, memoryview),
    *(types.FunctionType, types.GeneratorType, types.ModuleType, types.CodeType),
    *(io.TextIOWrapper, io.BufferedReader, io.BufferedRandom, io.FileIO),
)
_ATTRIBUTES = frozenset(name for each in _TYPES for name in dir(each))
_GIVE_NOTHING = frozenset(("append", "clear", "extend", "insert", "remove", "reverse", "sort"))


def bad_calls(source: Source, bound: Set[str]) -> int:
    """Calls of a builtin with too few or too many arguments, and uses of what `.append()` and the
    like return, which is nothing. `bound` are names that the program itself binds."""
    return _lost_results(source) + sum(
        _is_bad(call) for call in source.all(ast.Call) if _name(call) not in bound
    )


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _is_bad(call: ast.Call) -> bool:
    least, most = _ARITY.get(_name(call), (0, _MANY))
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return False
    if any(keyword.arg is None for keyword in call.keywords):
        return False
    given = len(call.args)
    return given > most or given + len(call.keywords) < least


def _lost_results(source: Source) -> int:
    calls = {id(call) for call in source.all(ast.Call) if _gives_nothing(call)}
    if not calls:
        return 0
    for statement in source.all(ast.Expr):
        calls.discard(id(statement.value))
    for test in source.all(ast.BoolOp):
        calls.difference_update(map(id, test.values))
    for choice in source.all(ast.IfExp):
        calls.difference_update((id(choice.body), id(choice.orelse)))
    calls.difference_update(id(made.elt) for made in source.all(ast.ListComp))
    calls.difference_update(id(function.body) for function in source.all(ast.Lambda))
    return len(calls)


def _gives_nothing(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in _GIVE_NOTHING


def unknown_attributes(source: Source, task: Task) -> int:
    """Attributes that no builtin type has and that nothing in the program makes. Objects of modules
    and of classes can have any, and so can parameters of which the prompt does not say what they
    are."""
    if source.all(ast.ClassDef) or not _is_given_data(source, task):
        return 0
    foreign = imported(source) | task.imports
    if "*" in foreign or any(node.id in foreign for node in source.all(ast.Name)):
        return 0
    made = {node.attr for node in source.all(ast.Attribute) if isinstance(node.ctx, ast.Store)}
    known = _ATTRIBUTES | made
    return sum(node.attr not in known for node in source.all(ast.Attribute))


def _is_given_data(source: Source, task: Task) -> bool:
    """Whether the asked function is only given plain data."""
    count = len(parameters(source.asked.args)) if source.asked is not None else 0
    return count <= len(task.arguments) and all(map(is_told, task.arguments))


def imported(source: Source) -> set[str]:
    """The names that imports bind, but for those that only types are made of."""
    aliases = [alias for node in source.all(ast.Import) for alias in node.names]
    aliases += [
        alias
        for node in source.all(ast.ImportFrom)
        for alias in node.names
        if node.module != "typing"
    ]
    return {(alias.asname or alias.name).partition(".")[0] for alias in aliases}


def rooted(node: ast.expr, names: set[str]) -> bool:
    """Whether it is something of one of these names: `re` in `re.match(...).group`."""
    if "*" in names:
        return True
    while True:
        if isinstance(node, ast.Name):
            return node.id in names
        if isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        else:
            return False
