"""The kinds of names at one place, and how values change what they hold."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from local_swarm.consensus.lint import operations
from local_swarm.consensus.lint.kinds import (
    ANY,
    STR,
    Atom,
    Kind,
    item_of,
    items,
    join,
    names,
    nest,
    of,
)
from local_swarm.consensus.lint.source import parts

Environment = dict[str, Kind]
_QUESTIONS = ("isinstance", "type", "hasattr", "callable")
_INTEGERS = frozenset(("int", "bool"))
_UNHASHABLE = frozenset(("list", "dict", "set"))
_INDEXED = frozenset(("str", "list", "tuple", "range", "bytes"))
_OPAQUE = frozenset(("never", "function", "view"))


def bound_in(node: ast.AST) -> set[str]:
    """All names that are bound anywhere in it: parameters, targets, imports, patterns."""
    found: set[str] = set()
    for part in parts([node], stop=()):
        if isinstance(part, ast.Name):
            found.update(() if isinstance(part.ctx, ast.Load) else (part.id,))
        elif isinstance(part, ast.arg):
            found.add(part.arg)
        elif isinstance(part, ast.alias):
            found.add((part.asname or part.name).partition(".")[0])
        elif isinstance(part, (ast.Global, ast.Nonlocal)):
            found.update(part.names)
        else:
            name = getattr(part, "name", None) or getattr(part, "rest", None)
            found.update((name,) if isinstance(name, str) else ())
    return found


def asked_about(node: ast.expr) -> set[str]:
    """The names whose type a condition asks for: isinstance(x, ...), type(x), `x is None`."""
    found: set[str] = set()
    for part in parts([node]):
        looked_at: Sequence[ast.expr] = ()
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
            looked_at = part.args[:1] if part.func.id in _QUESTIONS else ()
        elif isinstance(part, ast.Compare) and isinstance(part.ops[0], (ast.Is, ast.IsNot)):
            looked_at = (part.left,)
        found.update(one.id for one in looked_at if isinstance(one, ast.Name))
    return found


def joined(states: Sequence[Environment]) -> Environment:
    """What holds whichever way was taken; a name that only some of them bind has their kind."""
    first, *others = states
    result = dict(first)
    for other in others:
        for name, kind in other.items():
            known = result.get(name)
            if known is None:
                result[name] = kind
            elif known is not kind and known != kind:
                result[name] = join((known, kind))
    return result


def is_stable(before: Environment, after: Environment) -> bool:
    """Whether no name has got another type."""
    return all(
        not kind or kind is after[name] or names(kind) == names(after[name])
        for name, kind in before.items()
    )


def unpacked(kind: Kind, count: int) -> Sequence[Kind]:
    """The kinds of so many targets that it is unpacked into."""
    if len(kind) == 1:
        (atom,) = kind
        if atom.parts is not None and len(atom.parts) == count:
            return atom.parts
    return [items(kind)] * count


def with_item(kind: Kind, key: Kind, value: Kind) -> Kind:
    """A container after `x[key] = value`."""
    return frozenset(_with(atom, key, value) for atom in kind)


def _with(atom: Atom, key: Kind, value: Kind) -> Atom:
    if atom.name == "dict":
        return nest("dict", join((atom.item, key)), join((atom.value, value)))
    return nest("list", join((atom.item, value))) if atom.name == "list" else atom


def after_call(held: Kind, method: str, given: Sequence[Kind]) -> Kind:
    """A list or set after one of its methods put something into it."""
    if method in ("append", "add"):
        new = given[0]
    elif method == "insert" and len(given) == 2:
        new = given[1]
    elif method in ("extend", "update"):
        new = items(given[0])
    else:
        return held
    return frozenset(
        nest(atom.name, join((atom.item, new))) if atom.name in ("list", "set") else atom
        for atom in held
    )


def item_at(atom: Atom, key: Kind, index: ast.expr) -> Kind | None:
    """`x[index]`, whose index is of the kind `key`; None where it cannot be taken."""
    if atom.name in _OPAQUE:
        return ANY
    is_slice = isinstance(index, ast.Slice)
    if atom.name == "dict":
        is_hashable = not key or not names(key) <= _UNHASHABLE
        return atom.value if is_hashable and not is_slice else None
    if atom.name not in _INDEXED:
        return None
    if is_slice:
        return of(atom.name, atom.item) if atom.name != "str" else STR
    return _part(atom, index) if operations.is_any(key, _INTEGERS) else None


def _part(atom: Atom, index: ast.expr) -> Kind:
    at = index.value if isinstance(index, ast.Constant) else None
    if atom.parts is not None and isinstance(at, int) and at < len(atom.parts):
        return atom.parts[at]
    return item_of(atom)
