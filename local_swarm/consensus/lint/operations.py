"""What operators give for which kinds of values, and what they refuse."""

from __future__ import annotations

import ast
from collections.abc import Callable

from local_swarm.consensus.lint.kinds import (
    ANY,
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    ITERATED,
    NEVER,
    NUMBERS,
    STR,
    Atom,
    Kind,
    item_of,
    join,
    names,
    of,
    tuple_of,
)

_NOTHING = frozenset(("never",))
_SEQUENCES = frozenset(("str", "list", "tuple", "bytes"))
_TYPES: dict[str, type] = {
    **{one.__name__: one for one in (str, int, float, bool, complex, bytes, list, tuple)},
    **{one.__name__: one for one in (dict, set, range)},
    "None": type(None),
}


def binary(op: ast.operator, left: Kind, right: Kind) -> Kind | None:
    """What it gives; None where no pair of the operands' types works."""
    if not left or not right:
        return _half_known(op, left or right)
    given = [_pair(op, one, other) for one in left for other in right]
    works = [kind for kind in given if kind is not None]
    return join(works) if works else None


def is_risky(op: ast.operator, left: Kind, right: Kind) -> bool:
    """Whether some pair of the operands' types does not work."""
    return any(_pair(op, one, other) is None for one in left for other in right)


def _half_known(op: ast.operator, known: Kind) -> Kind:
    if isinstance(op, ast.Add) and names(known) <= {"str", "list"}:
        return STR if known == STR else of("list") if known else ANY
    return ANY


def _pair(op: ast.operator, one: Atom, other: Atom) -> Kind | None:
    if "never" in (one.name, other.name):
        return NEVER
    if isinstance(op, ast.MatMult):
        return ANY
    if one.name in NUMBERS and other.name in NUMBERS:
        return _numbers(op, one.name, other.name)
    if isinstance(op, ast.Mod) and one.name in ("str", "bytes"):
        return frozenset((one,))
    if isinstance(op, ast.Mult):
        return _repeated(one, other) or _repeated(other, one)
    if isinstance(op, ast.BitOr) and "function" in (one.name, other.name):
        return ANY  # `int | None`
    if one.name != other.name:
        return ANY if {one.name, other.name} <= {"set", "view"} else None
    if isinstance(op, ast.Add) and one.name in _SEQUENCES:
        return _concatenated(one, other)
    if isinstance(op, (ast.BitOr, ast.BitAnd, ast.BitXor, ast.Sub)) and one.name in ("set", "view"):
        return of("set", join((one.item, other.item)))
    return ANY if isinstance(op, ast.BitOr) and one.name == "dict" else None


def _numbers(op: ast.operator, one: str, other: str) -> Kind | None:
    both = {one, other}
    if isinstance(op, (ast.BitOr, ast.BitAnd, ast.BitXor, ast.LShift, ast.RShift)):
        if not both <= {"int", "bool"}:
            return None
        is_bool = both == {"bool"} and not isinstance(op, (ast.LShift, ast.RShift))
        return BOOL if is_bool else INT
    if "complex" in both:
        return None if isinstance(op, (ast.Mod, ast.FloorDiv)) else COMPLEX
    return FLOAT if "float" in both or isinstance(op, ast.Div) else INT


def _repeated(one: Atom, times: Atom) -> Kind | None:
    if one.name not in _SEQUENCES or times.name not in ("int", "bool"):
        return None
    return STR if one.name == "str" else of(one.name, one.item)


def _concatenated(one: Atom, other: Atom) -> Kind:
    if one.name == "str":
        return STR
    if one.parts is not None and other.parts is not None:
        return tuple_of((*one.parts, *other.parts))
    return of(one.name, join((one.item, other.item)))


def ordered(left: Kind, right: Kind) -> bool:
    """Whether `<` can work between them."""
    return _any_pair(left, right, _can_order)


def _can_order(one: Atom, other: Atom) -> bool:
    if one.name in NUMBERS and other.name in NUMBERS:
        return "complex" not in (one.name, other.name)
    if one.name != other.name or one.name not in (*_SEQUENCES, "set", "view"):
        return False
    return one.name in ("str", "bytes", "set", "view") or ordered(item_of(one), item_of(other))


def contains(part: Kind, whole: Kind) -> bool:
    """Whether `in` can work between them."""
    return _any_pair(part, whole, _can_contain)


def _can_contain(part: Atom, whole: Atom) -> bool:
    if whole.name == "str":
        return part.name == "str"
    return whole.name in ITERATED


def _any_pair(left: Kind, right: Kind, test: Callable[[Atom, Atom], bool]) -> bool:
    if not left or not right:
        return True
    return any(
        "never" in (one.name, other.name) or test(one, other) for one in left for other in right
    )


def lacks(kind: Kind, attribute: str) -> bool:
    """Whether none of its types has the attribute."""
    types = [_TYPES.get(atom.name) for atom in kind]
    return bool(types) and not any(each is None or hasattr(each, attribute) for each in types)


def is_any(kind: Kind, allowed: frozenset[str]) -> bool:
    """Whether it may be one of the named types."""
    return not kind or not names(kind).isdisjoint(allowed | _NOTHING)
