"""What kinds of values a function works on and returns, without running it.

One pass in the order of evaluation, branches apart and joined behind. It is lenient: what is not
understood is of any kind, and an error is only counted where no possible type would work.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_swarm.consensus.lint import operations
from local_swarm.consensus.lint.calling import Calls
from local_swarm.consensus.lint.environment import Environment, bound_in, is_stable, joined
from local_swarm.consensus.lint.expressions import Enough, Inferred
from local_swarm.consensus.lint.flow import has_break
from local_swarm.consensus.lint.kinds import (
    ANY,
    FUNCTION,
    NEVER,
    NONE,
    STR,
    Kind,
    items,
    join,
    names,
    of,
)
from local_swarm.consensus.lint.source import FUNCTIONS, Function, parts


def infer(module: ast.Module, asked: Function, given: Mapping[str, Kind]) -> Inferred:
    """`given` are the kinds of the asked function's parameters, as far as they are known."""
    reader = _Statements()
    try:
        reader.outside(module)
        reader.function(asked, given)
    except Enough:
        reader.found.returns.append((None, ANY))
    return reader.found


class _Statements(Calls):
    """`do_X` says of a statement of the type X whether the next one can be reached."""

    def __init__(self) -> None:
        super().__init__()
        self._left: list[list[Environment]] = []

    def outside(self, module: ast.Module) -> None:
        """The names that the module binds around its functions; who is None waits for a value."""
        for statement in module.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                kind = self.kind(statement.value)
                self.now[statement.targets[0].id] = ANY if kind == NONE else kind
            elif isinstance(statement, FUNCTIONS):
                self.now[statement.name] = FUNCTION
            else:
                self._forget(statement)

    def function(self, node: Function, given: Mapping[str, Kind]) -> None:
        each = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        self.now.update((one.arg, given.get(one.arg, ANY)) for one in each)
        if node.args.vararg is not None:
            self.now[node.args.vararg.arg] = of("tuple")
        if node.args.kwarg is not None:
            self.now[node.args.kwarg.arg] = of("dict", STR)
        self._block(node.body)

    def do_FunctionDef(self, node: ast.FunctionDef) -> bool:
        """Looked at for its errors, with parameters of any kind; what it returns is its own."""
        before, returns, left = self.now, self.found.returns, self._left
        self.now = {name: ANY if kind == NONE else kind for name, kind in before.items()}
        self.now.update(dict.fromkeys(bound_in(node), ANY))
        self.found.returns, self._left = [], []
        self.function(node, {})
        self.now, self.found.returns, self._left = before, returns, left
        for part in parts([node], stop=()):
            if isinstance(part, (ast.Nonlocal, ast.Global)):
                self.now.update(dict.fromkeys(part.names, ANY))
        self.now[node.name] = FUNCTION
        return True

    # --- one after the other ---------------------------------------------------------------------

    def _block(self, body: Sequence[ast.stmt]) -> bool:
        return all(map(self._statement, body))

    def _statement(self, node: ast.stmt) -> bool:
        self.step()
        do = getattr(self, f"do_{type(node).__name__}", None)
        if do is not None:
            return bool(do(node))
        self._forget(node)
        return True

    def _forget(self, node: ast.AST) -> None:
        """What is not understood: every name that it binds may be anything from here on."""
        self.now.update(dict.fromkeys(bound_in(node), ANY))

    def do_Return(self, node: ast.Return) -> bool:
        kind = NONE if node.value is None else self.kind(node.value)
        self.found.returns.append((node.value, kind))
        return False

    def do_Raise(self, node: ast.Raise) -> bool:
        return False

    def do_Break(self, node: ast.stmt) -> bool:
        """What holds at a `break` or `continue` holds behind the loop."""
        if self._left:
            self._left[-1].append(dict(self.now))
        return False

    do_Continue = do_Break

    def do_Expr(self, node: ast.Expr) -> bool:
        self.kind(node.value)
        return True

    def do_Assign(self, node: ast.Assign) -> bool:
        kind = self.kind(node.value)
        for target in node.targets:
            self.bind(target, kind)
        return True

    def do_AnnAssign(self, node: ast.AnnAssign) -> bool:
        if node.value is not None:
            self.bind(node.target, self.kind(node.value))
        return True

    def do_AugAssign(self, node: ast.AugAssign) -> bool:
        target = node.target
        old = self.now.get(target.id, ANY) if isinstance(target, ast.Name) else self.kind(target)
        if names(old) == {"list"} and isinstance(node.op, ast.Add):
            self.bind(target, of("list", join((items(old), self.iterate(node.value)))))
            return True
        kind = operations.binary(node.op, old, self.kind(node.value))
        self.expect(node, kind is not None)
        self.bind(target, NEVER if kind is None else kind)
        return True

    # --- branches and loops ----------------------------------------------------------------------

    def do_If(self, node: ast.If) -> bool:
        self.test(node.test)
        return self._either((node.body, node.orelse))

    def do_Match(self, node: ast.Match) -> bool:
        self.kind(node.subject)
        for case in node.cases:
            self._forget(case.pattern)
        return self._either([*(case.body for case in node.cases), []])

    def _either(self, blocks: Sequence[Sequence[ast.stmt]]) -> bool:
        before, after = self.now, []
        for block in blocks:
            self.now = dict(before)
            if self._block(block):
                after.append(self.now)
        self.now = joined(after) if after else before
        return bool(after)

    def do_For(self, node: ast.For) -> bool:
        given = self.iterate(node.iter)
        self._loop(node, lambda: self.bind(node.target, given))
        return self._block(node.orelse) or has_break(node)

    def do_While(self, node: ast.While) -> bool:
        self._loop(node, lambda: self.test(node.test))
        is_endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        return (not is_endless and self._block(node.orelse)) or has_break(node)

    def _loop(self, node: ast.For | ast.While, begin: Callable[[], object]) -> None:
        """The body once; once more where a name had another type when it came round again."""
        before, found = self.now, self.found.copy()
        after = self._turn(node, begin, before)
        if not is_stable(before, after):
            self.found = found
            after = self._turn(node, begin, after)
        self.now = after

    def _turn(
        self, node: ast.For | ast.While, begin: Callable[[], object], before: Environment
    ) -> Environment:
        self.now = dict(before)
        self._left.append([])
        begin()
        self._block(node.body)
        return joined([before, self.now, *self._left.pop()])

    def do_Try(self, node: Any) -> bool:
        """An error in the body may be meant."""
        before, quiet = dict(self.now), self.quiet
        self.quiet = True
        passes = self._block([*node.body, *node.orelse])
        self.quiet = quiet
        after = [self.now] if passes else []
        start = joined([before, self.now])
        for handler in node.handlers:
            self.now = dict(start)
            self._forget(handler)
            if self._block(handler.body):
                after.append(self.now)
        self.now = joined(after) if after else start
        return self._block(node.finalbody) and bool(after)

    do_TryStar = do_Try

    def do_With(self, node: ast.With) -> bool:
        for item in node.items:
            self.kind(item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, ANY)
        return self._block(node.body)
