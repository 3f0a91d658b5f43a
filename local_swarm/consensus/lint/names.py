"""Names that nobody binds, and bindings that nobody uses."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from local_swarm.consensus.lint.source import children
from local_swarm.consensus.parsing.scopes import CLASS, COMPREHENSION, FUNCTION, Scope

_Lambda = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_OF_MODULES = frozenset(("__file__", "__builtins__", "__path__"))
_METHOD = frozenset(("self", "cls"))
_DYNAMIC = frozenset(("locals", "globals", "vars", "eval", "exec"))


@dataclass(frozen=True, slots=True)
class Names:
    """`undefined`: nothing binds them. `unbound`: locals that are only bound after they are used,
    or only by adding to what is not there. `unused_parameters` are those of the asked function.
    `bound` are all names that are bound anywhere."""

    undefined: frozenset[str]
    unbound: frozenset[str]
    unused_parameters: frozenset[str]
    unused_locals: frozenset[str]
    bound: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Place:
    """When something happens, in order of evaluation, and in which loops."""

    time: int
    loops: tuple[int, ...]

    def surely_before(self, other: _Place) -> bool:
        """In a loop around both, what stands below comes first on the second turn."""
        return self.time < other.time and not set(self.loops) & set(other.loops)


@dataclass(slots=True, eq=False)
class _Block:
    """A scope, where its names were first bound and used, and which were `added_to` (`x += 1`)."""

    scope: Scope
    node: ast.AST
    parent: _Block | None = None
    bound: dict[str, _Place] = field(default_factory=dict)
    loads: dict[str, _Place] = field(default_factory=dict)
    added_to: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)


def check(module: ast.Module, asked: ast.AST | None, given: Set[str]) -> Names:
    """`given` are names that are there although the source does not bind them."""
    reader = _Reader()
    reader.block(module.body, _Block(Scope(), module))
    return reader.names(asked, given | _OF_MODULES)


class _Reader:
    """Visits every node once, in about the order in which it is evaluated."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._loops: list[int] = []
        self._time = 0

    def names(self, asked: ast.AST | None, given: Set[str]) -> Names:
        undefined: set[str] = set()
        unbound: set[str] = set()
        used: dict[int, set[str]] = {}
        for block in self._blocks:
            unbound |= _only_added_to(block)
            for name, place in block.loads.items():
                owner = _owner(block, name)
                if owner is not None:
                    used.setdefault(id(owner), set()).add(name)
                    unbound.update((name,) if _comes_first(name, place, block, owner) else ())
                elif block.scope.lacks(name, given):
                    undefined.add(name)
        static = [block for block in self._blocks if _DYNAMIC.isdisjoint(block.loads)]
        return Names(
            frozenset(undefined),
            frozenset(unbound),
            _unused([(b.parameters, used.get(id(b))) for b in static if b.node is asked]),
            _unused([(_locals(b), used.get(id(b))) for b in static]),
            frozenset(name for block in self._blocks for name in block.bound),
        )

    def block(self, body: Sequence[ast.AST], block: _Block) -> None:
        self._blocks.append(block)
        self._all(body, block)

    def _all(self, nodes: Sequence[ast.AST | None], block: _Block) -> None:
        for node in nodes:
            if node is not None:
                self._visit(node, block)

    def _visit(self, node: ast.AST, block: _Block) -> None:
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            handler(self, node, block)
        else:
            for child in children(node):
                self._visit(child, block)

    def _here(self) -> _Place:
        self._time += 1
        return _Place(self._time, tuple(self._loops))

    def _bind(self, name: str, block: _Block) -> None:
        block.scope.bind(name)
        if name not in block.bound:
            block.bound[name] = self._here()

    def _load(self, name: str, block: _Block) -> None:
        if name not in block.loads:
            block.loads[name] = self._here()

    def _name(self, node: ast.Name, block: _Block) -> None:
        """`del x` needs an `x`, as reading it does."""
        if isinstance(node.ctx, ast.Store):
            self._bind(node.id, block)
        else:
            self._load(node.id, block)

    def _assign(self, node: ast.Assign, block: _Block) -> None:
        self._all([node.value, *node.targets], block)

    def _annotated(self, node: ast.AnnAssign, block: _Block) -> None:
        self._all([node.value], block)
        if block.scope.kind != FUNCTION:
            self._all([node.annotation], block)
        if node.value is not None or not isinstance(node.target, ast.Name):
            self._all([node.target], block)
        else:
            block.scope.bind(node.target.id)

    def _augmented(self, node: ast.AugAssign, block: _Block) -> None:
        """That it is added to does not make a name used."""
        self._all([node.value], block)
        if isinstance(node.target, ast.Name):
            block.scope.bind(node.target.id)
            block.added_to.add(node.target.id)
        else:
            self._all([node.target], block)

    def _for(self, node: Any, block: _Block) -> None:
        self._all([node.iter], block)
        self._loops.append(id(node))
        self._all([node.target, *node.body], block)
        self._loops.pop()
        self._all(node.orelse, block)

    def _while(self, node: ast.While, block: _Block) -> None:
        self._loops.append(id(node))
        self._all([node.test, *node.body], block)
        self._loops.pop()
        self._all(node.orelse, block)

    def _walrus(self, node: ast.NamedExpr, block: _Block) -> None:
        self._all([node.value], block)
        outer = block
        while outer.scope.kind == COMPREHENSION and outer.parent is not None:
            outer = outer.parent
        self._bind(node.target.id, outer)

    def _import(self, node: ast.Import | ast.ImportFrom, block: _Block) -> None:
        for alias in node.names:
            name = (alias.asname or alias.name).partition(".")[0]
            self._bind(name, block)
            block.outside.add(name)

    def _handler(self, node: ast.ExceptHandler, block: _Block) -> None:
        self._all([node.type], block)
        if node.name is not None:
            self._bind(node.name, block)
            block.outside.add(node.name)
        self._all(node.body, block)

    def _pattern(self, node: Any, block: _Block) -> None:
        """MatchAs, MatchStar and MatchMapping, which bind a name of their own."""
        self._all(children(node), block)
        name = getattr(node, "name", None) or getattr(node, "rest", None)
        if name is not None:
            self._bind(name, block)
            block.outside.add(name)

    def _global(self, node: ast.Global, block: _Block) -> None:
        for name in node.names:
            block.scope.bind_global(name)
            block.outside.add(name)

    def _nonlocal(self, node: ast.Nonlocal, block: _Block) -> None:
        block.scope.foreign.update(node.names)
        block.outside.update(node.names)

    def _class(self, node: ast.ClassDef, block: _Block) -> None:
        self._all([*node.decorator_list, *node.bases, *node.keywords], block)
        self._types(node, block)
        self.block(node.body, _Block(block.scope.inside(CLASS), node, _enclosing(block)))
        self._bind(node.name, block)
        block.outside.add(node.name)

    def _function(self, node: _Lambda, block: _Block) -> None:
        given = node.args
        self._all([*given.defaults, *given.kw_defaults], block)
        inner = _Block(block.scope.inside(FUNCTION), node, _enclosing(block))
        each = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
        present = [parameter for parameter in each if parameter is not None]
        for parameter in present:
            self._bind(parameter.arg, inner)
            inner.parameters.add(parameter.arg)
        if isinstance(node, ast.Lambda):
            self.block([node.body], inner)
            return
        self._types(node, block)
        self._all([*node.decorator_list, node.returns], block)
        self._all([parameter.annotation for parameter in present], block)
        self._bind(node.name, block)
        if node.decorator_list:
            block.outside.add(node.name)
        self.block(node.body, inner)

    def _types(self, node: ast.AST, block: _Block) -> None:
        for part in getattr(node, "type_params", ()):
            self._bind(part.name, block)
            block.outside.add(part.name)

    def _comprehension(self, node: Any, block: _Block) -> None:
        """The first iterable is evaluated outside."""
        inner = _Block(block.scope.inside(COMPREHENSION), node, block)
        self._blocks.append(inner)
        for at, part in enumerate(node.generators):
            self._all([part.iter], inner if at else block)
            self._all([part.target, *part.ifs], inner)
        names = (name for name in node._fields if name != "generators")
        self._all([getattr(node, name) for name in names], inner)


def _enclosing(block: _Block) -> _Block | None:
    """What a class binds is out of sight for the functions in it."""
    return block.parent if block.scope.kind == CLASS else block


def _running(block: _Block) -> _Block:
    """The function whose turn it is: a comprehension runs where it stands."""
    while block.scope.kind == COMPREHENSION and block.parent is not None:
        block = block.parent
    return block


def _comes_first(name: str, place: _Place, block: _Block, owner: _Block) -> bool:
    """Whether it is used where its own function has surely not bound it yet."""
    is_local = owner.scope.kind == FUNCTION and _running(block) is owner and name in owner.bound
    return is_local and place.surely_before(owner.bound[name])


def _only_added_to(block: _Block) -> set[str]:
    """`x += 1` in a function that never sets `x`."""
    if block.scope.kind != FUNCTION:
        return set()
    return block.added_to - block.bound.keys() - block.outside


def _owner(block: _Block, name: str) -> _Block | None:
    """The block that binds the name that is used in `block`."""
    at: _Block | None = block
    while at is not None:
        if (
            (name in at.bound or name in at.added_to)
            and name not in at.scope.foreign
            and at.scope.own.get(name) != name
        ):
            return at
        at = at.parent
    return None


def _locals(block: _Block) -> Set[str]:
    if block.scope.kind != FUNCTION:
        return set()
    return block.bound.keys() - block.parameters - block.outside


def _unused(blocks: Sequence[tuple[Set[str], Set[str] | None]]) -> frozenset[str]:
    left = {name for bound, used in blocks for name in bound - (used or set())}
    return frozenset(name for name in left - _METHOD if not name.startswith("_"))


_HANDLERS: dict[type[ast.AST], Callable[[_Reader, Any, _Block], None]] = {
    ast.Name: _Reader._name,
    ast.Assign: _Reader._assign,
    ast.AnnAssign: _Reader._annotated,
    ast.AugAssign: _Reader._augmented,
    ast.For: _Reader._for,
    ast.AsyncFor: _Reader._for,
    ast.While: _Reader._while,
    ast.NamedExpr: _Reader._walrus,
    ast.Import: _Reader._import,
    ast.ImportFrom: _Reader._import,
    ast.ExceptHandler: _Reader._handler,
    ast.MatchAs: _Reader._pattern,
    ast.MatchStar: _Reader._pattern,
    ast.MatchMapping: _Reader._pattern,
    ast.Global: _Reader._global,
    ast.Nonlocal: _Reader._nonlocal,
    ast.ClassDef: _Reader._class,
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda), _Reader._function),
    **dict.fromkeys(
        (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), _Reader._comprehension
    ),
}
