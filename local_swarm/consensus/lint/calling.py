"""The kinds of calls: of builtins, of methods, of what is passed to them."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from local_swarm.consensus.lint import operations, signatures
from local_swarm.consensus.lint.environment import after_call
from local_swarm.consensus.lint.expressions import Expressions
from local_swarm.consensus.lint.kinds import ANY, NEVER, Kind, items, join, of

_CALLABLE = frozenset(("function",))


class Calls(Expressions):
    def read_Call(self, node: ast.Call) -> Kind:
        function = node.func
        if isinstance(function, ast.Attribute):
            return self._method(node, function)
        if not isinstance(function, ast.Name) or function.id in self.now:
            self._arguments(node)
            self.expect(node, operations.is_any(self.kind(function), _CALLABLE))
            return ANY
        if function.id in ("map", "filter") and len(node.args) > 1 and not _is_open(node):
            return self._mapped(node, function.id)
        return self._builtin(node, function.id)

    def _arguments(self, node: ast.Call, held: Kind | None = None) -> list[Kind]:
        """Those given by position. `key=lambda x: ...` is given the items of what is sorted."""
        given = [self.kind(argument) for argument in node.args]
        of_what = held if held is not None else given[0] if len(given) == 1 else ANY
        for keyword in node.keywords:
            if keyword.arg == "key" and isinstance(keyword.value, ast.Lambda):
                self.apply(keyword.value, [items(of_what)])
            else:
                self.kind(keyword.value)
        return given

    def _builtin(self, node: ast.Call, name: str) -> Kind:
        given = self._arguments(node)
        if _is_open(node):
            return ANY
        kind = signatures.builtin(name, given)
        self.expect(node, kind is not None)
        others = [self.kind(one.value) for one in node.keywords if one.arg == "default"]
        return join([kind, *others]) if kind is not None else NEVER

    def _mapped(self, node: ast.Call, name: str) -> Kind:
        function = node.args[0]
        given = [self.iterate(argument) for argument in node.args[1:]]
        result: Kind | None = ANY
        if isinstance(function, ast.Lambda):
            result = self.apply(function, given)
        elif isinstance(function, ast.Name) and function.id not in self.now:
            result = signatures.builtin(function.id, given)
        else:
            self.kind(function)
        self.expect(node, result is not None)
        return of("iterator", given[0] if name == "filter" else result or ANY)

    def _method(self, node: ast.Call, function: ast.Attribute) -> Kind:
        held = self.kind(function.value)
        given = self._arguments(node, held)
        lacking = [operations.lacks(frozenset((atom,)), function.attr) for atom in held]
        self.doubt(node, any(lacking))
        if lacking and all(lacking):
            self.expect(node, False)
            return NEVER
        if not held or _is_open(node):
            return signatures.of_module(function)
        kind = signatures.method(held, function.attr, given)
        self.expect(node, kind is not None)
        if isinstance(function.value, ast.Name) and given:
            self.now[function.value.id] = after_call(held, function.attr, given)
        return kind if kind is not None else NEVER


def _is_open(node: ast.Call) -> bool:
    """Whether its arguments are not known one by one."""
    parts: Sequence[ast.expr] = node.args
    return any(isinstance(part, ast.Starred) for part in parts)
