"""Which names of a Python source are its own affair, so that they can be renamed.

A name is renamed where nobody outside can tell: variables and parameters of functions, lambdas and
comprehensions. Globals, attributes, class members, keyword-only parameters and parameters that
the same source passes by keyword keep their names, with a mark where they could be taken for a
global of the same name. A name that nobody binds is marked too.
"""

from __future__ import annotations

import builtins
from collections.abc import Set
from dataclasses import dataclass, field

MODULE, CLASS, FUNCTION, COMPREHENSION = "module", "class", "function", "comprehension"
_BUILTINS = frozenset(dir(builtins))


@dataclass(slots=True, eq=False)
class Scope:
    """The names that one block binds; filled while the tree is walked, asked afterwards.

    `own` maps a name to what it is called in the normal form, empty until first asked for.
    `counter` is shared by everything inside of one outermost function.
    """

    kind: str = MODULE
    parent: Scope | None = None
    counter: list[int] = field(default_factory=lambda: [0])
    own: dict[str, str] = field(default_factory=dict)
    parameters: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)

    def inside(self, kind: str) -> Scope:
        """A block written here. What is bound in a class body is out of sight for the functions in
        it; the numbers start again with every outermost function."""
        sees = self.parent if self.kind == CLASS else self
        is_outermost = sees is None or sees.kind == MODULE
        return Scope(kind, sees, [0] if is_outermost else self.counter, globals=self.globals)

    def bind(self, name: str) -> None:
        """This block gives `name` a value."""
        if self.kind == MODULE:
            self.globals.add(name)
        elif self.own.get(name) != name:
            self.own[name] = ""

    def bind_parameter(self, name: str) -> None:
        self.bind(name)
        self.parameters.add(name)

    def keep_parameter(self, name: str) -> None:
        """A keyword-only one: whoever calls writes its name."""
        self.bind(name)
        self.kept.add(name)

    def bind_global(self, name: str) -> None:
        """`name` is the global of that name here."""
        self.globals.add(name)
        if self.kind != MODULE:
            self.own[name] = name

    def bind_outside(self, name: str) -> None:
        """`:=` in a comprehension binds in the block around it."""
        scope = self
        while scope.kind == COMPREHENSION and scope.parent is not None:
            scope = scope.parent
        scope.bind(name)

    def rename(self, name: str, keywords: Set[str], given: Set[str] = frozenset()) -> str:
        """What `name` is called here: numbered by first use where it is a local, else itself.
        `keywords` are the names passed by keyword anywhere in the source, `given` those that are
        there although nothing in the source binds them."""
        scope: Scope | None = self
        while scope is not None:
            alias = scope.own.get(name)
            if alias is not None and name not in scope.foreign:
                return alias or scope._first_use(name, keywords)
            scope = scope.parent
        return name if self._is_global(name, given) else f"?{name}"

    def lacks(self, name: str, given: Set[str]) -> bool:
        """Whether nothing binds `name`: using it raises NameError."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.own:
                return False
            scope = scope.parent
        return not self._is_global(name, given)

    def _is_global(self, name: str, given: Set[str]) -> bool:
        known = self.globals
        return name in known or name in _BUILTINS or name in given or "*" in known

    def _first_use(self, name: str, keywords: Set[str]) -> str:
        by_keyword = name in self.parameters and name in keywords
        if self.kind == CLASS:
            alias = f".{name}"
        elif name in self.kept or by_keyword:
            alias = f"${name}"
        else:
            alias = f"${self.counter[0]}"
            self.counter[0] += 1
        self.own[name] = alias
        return alias
