"""Which names of a Python source are its own affair, so that they can be renamed.

A name is renamed where nobody outside can tell: variables and parameters of functions, lambdas and
comprehensions. Globals, attributes, class members, keyword-only parameters and parameters that
the same source passes by keyword keep their names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MODULE, CLASS, FUNCTION, COMPREHENSION = "module", "class", "function", "comprehension"


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
    fixed: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)

    def inside(self, kind: str) -> Scope:
        """A block written here. What is bound in a class body is out of sight for the functions in
        it; the numbers start again with every outermost function."""
        sees = self.parent if self.kind == CLASS else self
        is_outermost = sees is None or sees.kind == MODULE
        return Scope(kind, sees, [0] if is_outermost else self.counter)

    def bind(self, name: str) -> None:
        """This block gives `name` a value."""
        if self.kind != MODULE:
            self.own[name] = ""

    def bind_parameter(self, name: str) -> None:
        self.bind(name)
        self.parameters.add(name)

    def keep(self, name: str) -> None:
        """`name` is a global's or a keyword-only parameter's: it stays."""
        self.bind(name)
        self.fixed.add(name)

    def bind_outside(self, name: str) -> None:
        """`:=` in a comprehension binds in the block around it."""
        scope = self
        while scope.kind == COMPREHENSION and scope.parent is not None:
            scope = scope.parent
        scope.bind(name)

    def rename(self, name: str, keywords: set[str]) -> str:
        """What `name` is called here: numbered by first use where it is a local, else itself.
        `keywords` are the names passed by keyword anywhere in the source."""
        scope: Scope | None = self
        while scope is not None:
            alias = scope.own.get(name)
            if alias is not None and name not in scope.foreign:
                return alias or scope._first_use(name, keywords)
            scope = scope.parent
        return name

    def _first_use(self, name: str, keywords: set[str]) -> str:
        by_keyword = name in self.parameters and name in keywords
        if self.kind == CLASS or name in self.fixed or by_keyword:
            alias = name
        else:
            alias = f"${self.counter[0]}"
            self.counter[0] += 1
        self.own[name] = alias
        return alias
