"""One tree, walked once: its nodes by type, and the function that the prompt asks for."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

MAX_DEPTH = 150
"""A tree nested deeper is not looked at: people do not write it, and recursion has a limit."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = (*FUNCTIONS, ast.Lambda, ast.ClassDef)
"""What is not run where it stands."""

_Node = TypeVar("_Node", bound=ast.AST)
_Nodes = dict[type[ast.AST], list[ast.AST]]
_SKIPPED = frozenset(("ctx", "type_comment", "type_ignores", "kind", "id", "attr", "arg", "asname"))
_SKIPPED |= {"module", "level", "is_async", "simple", "conversion", "rest"}
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class Source:
    """`nodes` are all of a tree, by type, every list in no promised order. `asked` is the function
    that the prompt asks for (without a header the last outermost one), `inside` what is run when
    it is: all of its nodes but those of functions and classes in it. It `gives_value` where a
    `return` has one (that is not just None), and `yields` where it is a generator."""

    module: ast.Module
    nodes: _Nodes
    asked: Function | None = None
    inside: tuple[ast.AST, ...] = ()
    gives_value: bool = False
    yields: bool = False

    def all(self, kind: type[_Node]) -> list[_Node]:
        return cast(list[_Node], self.nodes.get(kind, []))


def read(module: ast.Module, name: str | None) -> Source | None:
    """None for a tree deeper than MAX_DEPTH. `name` is that of the asked function, if any."""
    nodes = _by_type(module)
    if nodes is None:
        return None
    asked = _asked(module, nodes, name)
    if asked is None:
        return Source(module, nodes)
    inside = tuple(parts(asked.body))
    gives_value = any(_gives_value(node) for node in inside if isinstance(node, ast.Return))
    yields = any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in inside)
    return Source(module, nodes, asked, inside, gives_value, yields)


def _gives_value(node: ast.Return) -> bool:
    value = node.value
    return value is not None and not (isinstance(value, ast.Constant) and value.value is None)


def _asked(module: ast.Module, nodes: _Nodes, name: str | None) -> Function | None:
    outermost = [node for node in module.body if isinstance(node, FUNCTIONS)]
    if name is None:
        return outermost[-1] if outermost else None
    anywhere = [node for kind in FUNCTIONS for node in nodes.get(kind, [])]
    for group in (outermost, anywhere):
        named = [node for node in group if isinstance(node, FUNCTIONS) and node.name == name]
        if named:
            return named[-1]
    return None


def _by_type(module: ast.Module) -> _Nodes | None:
    found: _Nodes = {}
    level: list[ast.AST] = [module]
    for _ in range(MAX_DEPTH):
        below: list[ast.AST] = []
        for node in level:
            found.setdefault(type(node), []).append(node)
            below += children(node)
        if not below:
            return found
        level = below
    return None


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below, in the order of the source. Contexts of names are left out."""
    kind = type(node)
    fields = _FIELDS.get(kind)
    if fields is None:
        fields = _FIELDS[kind] = _holding_nodes(kind)
    below: list[ast.AST] = []
    for name in fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            below += [part for part in value if isinstance(part, ast.AST)]
        elif isinstance(value, ast.AST):
            below.append(value)
    return below


def _holding_nodes(kind: type[ast.AST]) -> tuple[str, ...]:
    if kind is ast.Constant:
        return ()
    skipped = _SKIPPED if kind.__name__ == "TypeAlias" else _SKIPPED | {"name"}
    return tuple(name for name in kind._fields if name not in skipped)


def parts(body: Sequence[ast.AST], *, stop: tuple[type[ast.AST], ...] = BLOCKS) -> list[ast.AST]:
    """All nodes of some nodes, themselves among them; those of functions and classes in them are
    left out, or what else is to `stop` at."""
    found: list[ast.AST] = []
    waiting = [*body]
    while waiting:
        part = waiting.pop()
        found.append(part)
        if not isinstance(part, stop):
            waiting += children(part)
    return found


def statements(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Those of a block that do something: no docstring, `pass` or bare constant."""
    return [statement for statement in body if not _says_nothing(statement)]


def _says_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass)


def parameters(arguments: ast.arguments) -> list[ast.arg]:
    """All of them in order, `*args` and `**kwargs` among them."""
    given = [*arguments.posonlyargs, *arguments.args, arguments.vararg]
    given += [*arguments.kwonlyargs, arguments.kwarg]
    return [parameter for parameter in given if parameter is not None]


def same(one: object, other: object) -> bool:
    """Whether two trees are equal."""
    if type(one) is not type(other):
        return False
    if isinstance(one, ast.AST):
        return all(
            same(getattr(one, name, None), getattr(other, name, None))
            for name in one._fields
            if name != "ctx"
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other
