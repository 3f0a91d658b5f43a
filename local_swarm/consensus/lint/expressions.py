"""The kinds of expressions, given those of the names in them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from local_swarm.consensus.lint import operations
from local_swarm.consensus.lint.environment import (
    Environment,
    asked_about,
    bound_in,
    item_at,
    unpacked,
    with_item,
)
from local_swarm.consensus.lint.kinds import (
    ANY,
    BOOL,
    FUNCTION,
    INT,
    ITERATED,
    NEVER,
    NUMBERS,
    STR,
    Kind,
    items,
    join,
    may_equal,
    names,
    of,
    of_value,
    tuple_of,
)
from local_swarm.consensus.lint.source import children

MAX_STEPS = 3_000
_BUILTINS = frozenset(dir(builtins))
_BOUNDS = frozenset(("int", "bool", "None"))
_HAS_ITEMS = frozenset(("list", "dict", "function"))


class Enough(Exception):
    """More than MAX_STEPS were taken: whoever waits for the vote should not wait for this."""


@dataclass(slots=True)
class Inferred:
    """`returns` holds what stands in every `return` that can be reached, and its kind (that a
    function just ends is not among them); `errors` are the operations that no possible type
    allows, `risks` those that not all of them allow, `unequal` the comparisons that can only come
    out one way."""

    returns: list[tuple[ast.expr | None, Kind]] = field(default_factory=list)
    errors: set[int] = field(default_factory=set)
    risks: set[int] = field(default_factory=set)
    unequal: set[int] = field(default_factory=set)

    def copy(self) -> Inferred:
        return Inferred(list(self.returns), set(self.errors), set(self.risks), set(self.unequal))


class Expressions:
    """Reads expressions one after the other: `read_X` those of the type X. `now` holds the names
    that are bound so far; while `quiet`, errors may be meant and do not count."""

    def __init__(self) -> None:
        self.found = Inferred()
        self.now: Environment = {}
        self.quiet = False
        self._steps = 0

    def step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise Enough

    def kind(self, node: ast.expr) -> Kind:
        self.step()
        read = getattr(self, f"read_{type(node).__name__}", None)
        if read is None:
            self._parts(node)
            return ANY
        kind: Kind = read(node)
        return kind

    def _parts(self, node: ast.AST) -> None:
        for child in children(node):
            if isinstance(child, ast.expr):
                self.kind(child)

    def test(self, node: ast.expr) -> Kind:
        """A condition that asks for the type of a name knows more of it than we do."""
        for name in asked_about(node):
            self.now[name] = ANY
        return self.kind(node)

    def expect(self, node: ast.AST, is_fine: bool) -> None:
        if not is_fine and not self.quiet:
            self.found.errors.add(id(node))

    def doubt(self, node: ast.AST, is_risky: bool) -> None:
        if is_risky and not self.quiet:
            self.found.risks.add(id(node))

    def iterate(self, node: ast.expr) -> Kind:
        """The kind of what going over it gives."""
        kind = self.kind(node)
        self.expect(node, operations.is_any(kind, ITERATED))
        return items(kind)

    # --- names -----------------------------------------------------------------------------------

    def read_Name(self, node: ast.Name) -> Kind:
        known = self.now.get(node.id)
        if known is not None:
            return known
        return FUNCTION if node.id in _BUILTINS else ANY

    def bind(self, target: ast.expr, kind: Kind) -> None:
        if isinstance(target, ast.Name):
            self.now[target.id] = kind
        elif isinstance(target, (ast.Tuple, ast.List)):
            self.expect(target, operations.is_any(kind, ITERATED))
            for part, given in zip(target.elts, unpacked(kind, len(target.elts)), strict=True):
                self.bind(part, given)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, of("list", kind))
        elif isinstance(target, ast.Subscript):
            self._put(target, kind)
        else:
            self._parts(target)

    def _put(self, target: ast.Subscript, kind: Kind) -> None:
        """`x[i] = ...`: into text and tuples nothing can be put."""
        held, key = self.kind(target.value), self.kind(target.slice)
        self.expect(target, operations.is_any(held, _HAS_ITEMS))
        if isinstance(target.value, ast.Name) and not isinstance(target.slice, ast.Slice):
            self.now[target.value.id] = with_item(held, key, kind)

    def read_NamedExpr(self, node: ast.NamedExpr) -> Kind:
        kind = self.kind(node.value)
        self.bind(node.target, kind)
        return kind

    # --- values ----------------------------------------------------------------------------------

    def read_Constant(self, node: ast.Constant) -> Kind:
        return of_value(node.value)

    def read_JoinedStr(self, node: ast.JoinedStr) -> Kind:
        self._parts(node)
        return STR

    def read_List(self, node: ast.List) -> Kind:
        return of("list", self._elements(node.elts))

    def read_Set(self, node: ast.Set) -> Kind:
        return of("set", self._elements(node.elts))

    def read_Tuple(self, node: ast.Tuple) -> Kind:
        if any(isinstance(part, ast.Starred) for part in node.elts):
            return of("tuple", self._elements(node.elts))
        return tuple_of([self.kind(part) for part in node.elts])

    def _elements(self, parts: Sequence[ast.expr]) -> Kind:
        return join([self.kind(part) for part in parts])

    def read_Starred(self, node: ast.Starred) -> Kind:
        return items(self.kind(node.value))

    def read_Dict(self, node: ast.Dict) -> Kind:
        if None in node.keys:
            self._parts(node)
            return of("dict")
        keys = self._elements([key for key in node.keys if key is not None])
        return of("dict", keys, self._elements(node.values))

    def read_Lambda(self, node: ast.Lambda) -> Kind:
        self.apply(node, ())
        return FUNCTION

    def apply(self, node: ast.Lambda, given: Sequence[Kind]) -> Kind:
        """What a lambda gives for such arguments."""
        before = self.now
        self.now = {**before, **dict.fromkeys(bound_in(node), ANY)}
        for parameter, kind in zip(node.args.args, given, strict=False):
            self.now[parameter.arg] = kind
        result = self.kind(node.body)
        self.now = before
        return result

    def read_ListComp(self, node: ast.ListComp) -> Kind:
        return of("list", self._comprehension(node)[0])

    def read_SetComp(self, node: ast.SetComp) -> Kind:
        return of("set", self._comprehension(node)[0])

    def read_GeneratorExp(self, node: ast.GeneratorExp) -> Kind:
        return of("iterator", self._comprehension(node)[0])

    def read_DictComp(self, node: ast.DictComp) -> Kind:
        return of("dict", *self._comprehension(node))

    def _comprehension(self, node: Any) -> list[Kind]:
        before = self.now
        self.now = dict(before)
        for part in node.generators:
            self.bind(part.target, self.iterate(part.iter))
            for condition in part.ifs:
                self.test(condition)
        made = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        kinds = [self.kind(part) for part in made]
        self.now = before
        return kinds

    # --- operators -------------------------------------------------------------------------------

    def read_BinOp(self, node: ast.BinOp) -> Kind:
        left, right = self.kind(node.left), self.kind(node.right)
        kind = operations.binary(node.op, left, right)
        self.expect(node, kind is not None and not _formats_nothing(node, left, right))
        self.doubt(node, operations.is_risky(node.op, left, right))
        return NEVER if kind is None else kind

    def read_UnaryOp(self, node: ast.UnaryOp) -> Kind:
        if isinstance(node.op, ast.Not):
            self.test(node.operand)
            return BOOL
        kind = self.kind(node.operand)
        self.expect(node, operations.is_any(kind, NUMBERS))
        return INT if kind == BOOL else kind

    def read_BoolOp(self, node: ast.BoolOp) -> Kind:
        before = dict(self.now)
        kinds = [self.test(value) for value in node.values]
        self.now = before
        return join(kinds)

    def read_IfExp(self, node: ast.IfExp) -> Kind:
        before = dict(self.now)
        self.test(node.test)
        kind = join((self.kind(node.body), self.kind(node.orelse)))
        self.now = before
        return kind

    def read_Compare(self, node: ast.Compare) -> Kind:
        left = self.kind(node.left)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.kind(comparator)
            if isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
                self.expect(comparator, operations.ordered(left, right))
            elif isinstance(op, (ast.In, ast.NotIn)):
                self.expect(comparator, operations.contains(left, right))
            elif isinstance(op, (ast.Eq, ast.NotEq)) and not may_equal(left, right):
                self.found.unequal.add(id(comparator))
            left = right
        return BOOL

    def read_Subscript(self, node: ast.Subscript) -> Kind:
        held, key = self.kind(node.value), self.kind(node.slice)
        given = [item_at(atom, key, node.slice) for atom in held]
        works = [kind for kind in given if kind is not None]
        self.expect(node, bool(works) or not held)
        self.doubt(node, len(works) < len(given))
        return join(works) if held else ANY

    def read_Slice(self, node: ast.Slice) -> Kind:
        """What bounds a slice is an int or None."""
        for part in (node.lower, node.upper, node.step):
            if part is not None:
                self.expect(part, operations.is_any(self.kind(part), _BOUNDS))
        return INT

    def read_Attribute(self, node: ast.Attribute) -> Kind:
        self.expect(node, not operations.lacks(self.kind(node.value), node.attr))
        return ANY


def _formats_nothing(node: ast.BinOp, left: Kind, right: Kind) -> bool:
    """`text % 2` where the text is no format: who writes it takes text for a number."""
    is_format = isinstance(node.left, (ast.Constant, ast.JoinedStr, ast.BinOp))
    is_filled = isinstance(node.op, ast.Mod) and left == STR and not is_format
    return is_filled and bool(right) and names(right) <= NUMBERS
