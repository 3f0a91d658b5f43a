"""Kinds of values: what is known of a type before a program runs.

A `Kind` holds every type that a value may have, each with what it contains; the empty one is that
of a value of which nothing is known. `NEVER` is the kind of what there is not: what an empty
container holds, what comes out of an operation that fails.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any, NamedTuple


class Atom(NamedTuple):
    """One type. `item` is what iterating over it gives; `value` what a dict holds under its keys;
    `parts` are the items of a tuple where their number is known. `depth` is how deep it nests."""

    name: str
    item: frozenset[Any] = frozenset()
    value: frozenset[Any] = frozenset()
    parts: tuple[frozenset[Any], ...] | None = None
    depth: int = 0


Kind = frozenset[Atom]
ANY: Kind = frozenset()
_MAX_ATOMS, _MAX_PARTS, _MAX_DEPTH = 4, 6, 3
"""Of what is more than this nothing is known: programs are hostile, and kinds compared often."""


def plain(name: str) -> Kind:
    return frozenset((Atom(name),))


NEVER, INT, FLOAT, COMPLEX, BOOL, STR, BYTES, NONE, FUNCTION = map(
    plain, ("never", "int", "float", "complex", "bool", "str", "bytes", "None", "function")
)
NUMBER: Kind = INT | FLOAT
NUMBERS = frozenset(("int", "float", "bool", "complex"))
_PLAIN = NUMBERS | {"str", "bytes", "None", "never"}
ITERATED = frozenset(("str", "list", "tuple", "set", "dict", "iterator", "range", "view", "bytes"))


def nest(
    name: str, item: Kind = ANY, value: Kind = ANY, parts: tuple[Kind, ...] | None = None
) -> Atom:
    """A container; what is in one that is nested too deep is not known."""
    if parts is not None and len(parts) > _MAX_PARTS:
        parts = None
    depth = 1 + max(
        (atom.depth for kind in (item, value, *(parts or ())) for atom in kind), default=0
    )
    return Atom(name, item, value, parts, depth) if depth <= _MAX_DEPTH else Atom(name, depth=1)


def of(name: str, item: Kind = ANY, value: Kind = ANY) -> Kind:
    return frozenset((nest(name, item, value),))


def tuple_of(parts: Iterable[Kind]) -> Kind:
    each = tuple(parts)
    return frozenset((nest("tuple", join(each), ANY, each),))


def join(kinds: Iterable[Kind]) -> Kind:
    """What is one of them."""
    distinct = set(kinds)
    if len(distinct) == 1:
        return distinct.pop()
    if not distinct:
        return NEVER
    if ANY in distinct:
        return ANY
    by_name: dict[str, Atom] = {}
    for kind in distinct:
        for atom in kind:
            known = by_name.get(atom.name)
            by_name[atom.name] = atom if known is None else _merge(known, atom)
    if len(by_name) > 1:
        by_name.pop("never", None)
    return frozenset(by_name.values()) if len(by_name) <= _MAX_ATOMS else ANY


def _merge(one: Atom, other: Atom) -> Atom:
    if one == other or not one.depth + other.depth:
        return one
    parts = None
    if one.parts is not None and other.parts is not None and len(one.parts) == len(other.parts):
        parts = tuple(map(join, zip(one.parts, other.parts, strict=True)))
    return nest(one.name, join((one.item, other.item)), join((one.value, other.value)), parts)


def names(kind: Kind) -> frozenset[str]:
    return frozenset(atom.name for atom in kind)


def is_told(kind: Kind) -> bool:
    """Whether it can only be plain data, whatever is in it: no object of a class."""
    return bool(kind) and all(map(_is_told, kind))


def _is_told(atom: Atom) -> bool:
    if atom.name in _PLAIN:
        return True
    if atom.parts is not None:
        return all(map(is_told, atom.parts))
    if atom.name == "dict":
        return is_told(atom.item) and is_told(atom.value)
    return atom.name in ("list", "set", "tuple") and is_told(atom.item)


def items(kind: Kind) -> Kind:
    """What iterating over it gives; of what cannot be iterated over nothing is known."""
    return join(map(item_of, kind)) if kind and names(kind) <= ITERATED else ANY


def item_of(atom: Atom) -> Kind:
    """The same for one type: text is made of text, without end."""
    return STR if atom.name == "str" else atom.item


def of_value(value: Any) -> Kind:
    """The kind of a plain Python value."""
    if value is None:
        return NONE
    if isinstance(value, (list, set, frozenset)):
        name = "list" if isinstance(value, list) else "set"
        return of(name, join(map(of_value, value)))
    if isinstance(value, tuple):
        return tuple_of(map(of_value, value))
    if isinstance(value, dict):
        return of("dict", join(map(of_value, value)), join(map(of_value, value.values())))
    return _SCALARS.get(type(value), ANY)


_SCALARS: dict[type, Kind] = {
    str: STR,
    bool: BOOL,
    int: INT,
    float: FLOAT,
    complex: COMPLEX,
    bytes: BYTES,
}
_WORDS: dict[str, Kind] = {
    "str": STR,
    "int": INT,
    "float": NUMBER,
    "bool": BOOL,
    "bytes": BYTES,
    "None": NONE,
}
_CONTAINERS = {
    **dict.fromkeys(("list", "List"), "list"),
    **dict.fromkeys(("set", "Set", "frozenset", "FrozenSet"), "set"),
    **dict.fromkeys(("dict", "Dict"), "dict"),
    **dict.fromkeys(("tuple", "Tuple"), "tuple"),
}


def of_annotation(node: ast.expr | None) -> Kind:
    """What an annotation promises; ANY for one that is not understood. An int is a float."""
    if isinstance(node, ast.Constant):
        return NONE if node.value is None else ANY
    if isinstance(node, (ast.Name, ast.Attribute)):
        word = node.id if isinstance(node, ast.Name) else node.attr
        return of(_CONTAINERS[word]) if word in _CONTAINERS else _WORDS.get(word, ANY)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return join((of_annotation(node.left), of_annotation(node.right)))
    return _generic(node) if isinstance(node, ast.Subscript) else ANY


def _generic(node: ast.Subscript) -> Kind:
    head = node.value
    word = head.id if isinstance(head, ast.Name) else getattr(head, "attr", "")
    inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if word == "Optional":
        return join((NONE, of_annotation(inside[0])))
    if word == "Union":
        return join(map(of_annotation, inside))
    name = _CONTAINERS.get(word)
    if name == "tuple":
        is_open = isinstance(inside[-1], ast.Constant) and inside[-1].value is ...
        return (
            of(name, of_annotation(inside[0])) if is_open else tuple_of(map(of_annotation, inside))
        )
    if name == "dict" and len(inside) == 2:
        return of(name, of_annotation(inside[0]), of_annotation(inside[1]))
    return of(name, of_annotation(inside[0])) if name is not None else ANY


def may_equal(kind: Kind, other: Kind) -> bool:
    """Whether a value of one can be `==` to one of the other: numbers of all types can be, a list
    and a tuple cannot."""
    if not kind or not other:
        return True
    return any(_atoms_may_equal(one, two) for one in kind for two in other)


def _atoms_may_equal(one: Atom, other: Atom) -> bool:
    if "never" in (one.name, other.name):
        return True
    if one.name in NUMBERS and other.name in NUMBERS:
        return True
    if one.name != other.name:
        return False
    if one.name in ("str", "bytes"):
        return True
    if one.parts is not None and other.parts is not None:
        return len(one.parts) == len(other.parts) and all(map(may_equal, one.parts, other.parts))
    return may_equal(one.item, other.item) and may_equal(one.value, other.value)
