"""The normal form of Python source: equal for programs that differ only in how they are written.

Formatting, comments, docstrings, annotations and the names of locals do not count. The form is a
sequence of tokens (the tree, nodes before their children), which is compared and never run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from local_swarm.consensus.parsing import syntax
from local_swarm.consensus.parsing.scopes import CLASS, COMPREHENSION, FUNCTION, Scope

MAX_DEPTH = 150
"""A tree nested deeper is not normalised: people do not write it, and recursion has a limit."""

_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_NOT_COMPARED = {
    *("ctx", "annotation", "returns", "type_comment", "type_ignores", "type_params", "kind")
}
_BINDING_FIELDS = {"name", "rest"}
_ONLY_FOR_TYPES = {"typing", "__future__"}


class _TooDeep(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Needed:
    """A name that is looked up although what it is does not count."""

    name: str
    scope: Scope


def tree_tokens(source: str, given: Set[str] = frozenset()) -> tuple[str, ...] | None:
    """The normal form of a source that compiles, or None where it nests too deep. `given` are names
    that are there without being bound in the source."""
    module = syntax.parse(source)
    if module is None:
        return None
    try:
        return _Writer(given).write(module)
    except (_TooDeep, RecursionError):
        return None


class _Writer:
    """Walks one tree once. A name is noted with its scope and renamed when the walk is over: only
    then is it known who binds it."""

    def __init__(self, given: Set[str]) -> None:
        self._tokens: list[str | tuple[str, Scope] | _Needed] = []
        self._keywords: set[str] = set()
        self._given = set(given)
        self._late = False  # annotations are not evaluated
        self._depth = 0

    def write(self, module: ast.Module) -> tuple[str, ...]:
        self._any(module.body, Scope())
        return tuple(token for noted in self._tokens if (token := self._final(noted)))

    def _final(self, noted: str | tuple[str, Scope] | _Needed) -> str:
        if isinstance(noted, str):
            return noted
        if isinstance(noted, tuple):
            return noted[1].rename(noted[0], self._keywords, self._given)
        lacks = not self._late and noted.scope.lacks(noted.name, self._given)
        return f"needs {noted.name}" if lacks else ""

    def _needs(self, annotation: ast.expr | None, scope: Scope) -> None:
        """An annotation does not count, but that it cannot be evaluated does."""
        for node in ast.walk(annotation) if annotation is not None else ():
            if isinstance(node, ast.Name):
                self._tokens.append(_Needed(node.id, scope))

    def _any(self, item: Any, scope: Scope) -> None:
        if isinstance(item, ast.AST):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise _TooDeep
            _HANDLERS.get(type(item), _Writer._node)(self, item, scope)
            self._depth -= 1
        elif isinstance(item, list):
            self._tokens.append("[")
            for part in _effective(item):
                self._any(part, scope)
            self._tokens.append("]")
        else:
            self._tokens.append("-" if item is None else str(item))

    def _all(self, scope: Scope, *items: Any) -> None:
        for item in items:
            self._any(item, scope)

    def _node(self, node: ast.AST, scope: Scope) -> None:
        self._tokens.append(f"{type(node).__name__}(")
        for name in _fields(type(node)):
            value = getattr(node, name, None)
            if name in _BINDING_FIELDS and isinstance(value, str):
                scope.bind(value)
                self._tokens.append((value, scope))
            else:
                self._any(value, scope)

    def _name(self, node: ast.Name, scope: Scope) -> None:
        if not isinstance(node.ctx, ast.Load):
            scope.bind(node.id)
        self._tokens.append((node.id, scope))

    def _walrus(self, node: ast.NamedExpr, scope: Scope) -> None:
        scope.bind_outside(node.target.id)
        self._tokens += ["NamedExpr(", (node.target.id, scope)]
        self._any(node.value, scope)

    def _constant(self, node: ast.Constant, scope: Scope) -> None:
        """Integers in hex: a decimal of thousands of digits is refused by `repr`."""
        value: object = node.value
        is_int = isinstance(value, int) and not isinstance(value, bool)
        self._tokens.append(f"={value:#x}" if is_int else f"={value!r}")

    def _keyword(self, node: ast.keyword, scope: Scope) -> None:
        if node.arg is not None:
            self._keywords.add(node.arg)
        self._tokens.append(f"{node.arg or '**'}=")
        self._any(node.value, scope)

    def _alias(self, node: ast.alias, scope: Scope) -> None:
        bound = (node.asname or node.name).partition(".")[0]
        scope.bind(bound)
        inner = " as" if node.asname and "." in node.name else ""  # binds `b` of `a.b`, not `a`
        self._tokens += [f"import {node.name}{inner}", (bound, scope)]

    def _import(self, node: ast.Import, scope: Scope) -> None:
        """`import typing` only binds a name, no more."""
        for name in node.names:
            if name.name in _ONLY_FOR_TYPES:
                scope.bind(name.asname or name.name)
            else:
                self._any(name, scope)

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> None:
        """What is imported for types only binds names, no more."""
        if node.module not in _ONLY_FOR_TYPES or node.level:
            self._node(node, scope)
            return
        self._late = self._late or any(name.name == "annotations" for name in node.names)
        for name in node.names:
            scope.bind(name.asname or name.name)

    def _annotated(self, node: ast.AnnAssign, scope: Scope) -> None:
        """`x: int = 1` is `x = 1` but in a class, where annotations make fields. Without a value
        it only makes the name a local one."""
        if scope.kind == CLASS:
            self._tokens.append("Annotated(")
            self._all(scope, [node.target], node.annotation, node.value)
            return
        if scope.kind != FUNCTION:
            self._needs(node.annotation, scope)
        if node.value is not None:
            self._tokens.append("Assign(")
            self._all(scope, [node.target], node.value)
        elif isinstance(node.target, ast.Name) and scope.kind == FUNCTION:
            scope.bind(node.target.id)

    def _global(self, node: ast.Global, scope: Scope) -> None:
        """It shows in what the names are called, and so does `nonlocal`."""
        for name in node.names:
            scope.bind_global(name)

    def _nonlocal(self, node: ast.Nonlocal, scope: Scope) -> None:
        scope.foreign.update(node.names)

    def _function(self, node: _FunctionNode, scope: Scope) -> None:
        inner = scope.inside(FUNCTION)
        self._tokens.append(f"{type(node).__name__}(")
        if not isinstance(node, ast.Lambda):
            scope.bind(node.name)
            self._tokens.append((node.name, scope))
            self._any(node.decorator_list, scope)
            self._type_parameters(node)
            self._needs(node.returns, scope)
        self._parameters(node.args, scope, inner)
        self._any(node.body, inner)

    def _parameters(self, node: ast.arguments, scope: Scope, inner: Scope) -> None:
        self._all(scope, node.defaults, node.kw_defaults)
        for mark, group in (
            ("/", node.posonlyargs),
            ("", node.args),
            ("*", [node.vararg]),
            ("k", node.kwonlyargs),
            ("**", [node.kwarg]),
        ):
            self._tokens.append(f"parameters {mark}")
            for parameter in filter(None, group):
                (inner.keep_parameter if mark == "k" else inner.bind_parameter)(parameter.arg)
                self._tokens.append((parameter.arg, inner))
                self._needs(parameter.annotation, scope)

    def _type_parameters(self, node: ast.AST) -> None:
        self._given.update(part.name for part in getattr(node, "type_params", ()))

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        scope.bind(node.name)
        self._tokens += ["ClassDef(", (node.name, scope)]
        self._type_parameters(node)
        self._all(scope, node.decorator_list, node.bases, node.keywords)
        self._any(node.body, scope.inside(CLASS))

    def _comprehension(self, node: Any, scope: Scope) -> None:
        """The first iterable is evaluated outside: in `[x for x in x]` the last is another."""
        inner = scope.inside(COMPREHENSION)
        self._tokens.append(f"{type(node).__name__}(")
        for at, part in enumerate(node.generators):
            self._tokens.append("async for" if part.is_async else "for")
            self._any(part.iter, inner if at else scope)
            self._all(inner, part.target, part.ifs)
        self._all(inner, *(getattr(node, name) for name in node._fields if name != "generators"))


_HANDLERS: dict[type[ast.AST], Callable[[_Writer, Any, Scope], None]] = {
    ast.Name: _Writer._name,
    ast.NamedExpr: _Writer._walrus,
    ast.Constant: _Writer._constant,
    ast.keyword: _Writer._keyword,
    ast.alias: _Writer._alias,
    ast.Import: _Writer._import,
    ast.ImportFrom: _Writer._import_from,
    ast.AnnAssign: _Writer._annotated,
    ast.Global: _Writer._global,
    ast.Nonlocal: _Writer._nonlocal,
    ast.ClassDef: _Writer._class,
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda), _Writer._function),
    **dict.fromkeys(
        (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), _Writer._comprehension
    ),
}
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}


def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(name for name in kind._fields if name not in _NOT_COMPARED)
    return _FIELDS[kind]


def _effective(items: Sequence[Any]) -> Sequence[Any]:
    """Of a block the statements that do something: no docstrings, `pass` or bare constants. Any
    other list as it is."""
    if not items or not isinstance(items[0], ast.stmt):
        return items
    return [statement for statement in items if not _says_nothing(statement)]


def _says_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass)
