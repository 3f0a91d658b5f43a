"""What builtins and methods give for which kinds of values, and what they refuse."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from local_swarm.consensus.lint.kinds import (
    ANY,
    BOOL,
    BYTES,
    FLOAT,
    INT,
    ITERATED,
    NEVER,
    NONE,
    NUMBERS,
    STR,
    Atom,
    Kind,
    items,
    join,
    names,
    of,
    tuple_of,
)
from local_swarm.consensus.lint.operations import is_any

# --- methods -------------------------------------------------------------------------------------

_STR_METHODS: dict[str, Kind] = {
    **dict.fromkeys(("lower", "upper", "strip", "lstrip", "rstrip", "replace", "join"), STR),
    **dict.fromkeys(("capitalize", "title", "swapcase", "center", "ljust", "rjust"), STR),
    **dict.fromkeys(("zfill", "format", "casefold", "translate", "expandtabs"), STR),
    **dict.fromkeys(("removeprefix", "removesuffix"), STR),
    **dict.fromkeys(("count", "find", "index", "rfind", "rindex"), INT),
    **dict.fromkeys(("split", "rsplit", "splitlines"), of("list", STR)),
    **dict.fromkeys(("partition", "rpartition"), tuple_of((STR, STR, STR))),
    **dict.fromkeys(("startswith", "endswith", *(n for n in dir(str) if n[:2] == "is")), BOOL),
    "encode": BYTES,
}
_WANT_STR = frozenset(("count", "find", "index", "rfind", "rindex", "replace", "startswith"))
_WANT_STR |= {"split", "endswith", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix"}
_CHANGE = frozenset(("append", "extend", "insert", "remove", "clear", "sort", "reverse", "add"))
_CHANGE |= {"update", "discard"}
_SAME_SET = frozenset(("union", "intersection", "difference", "symmetric_difference"))


def method(kind: Kind, name: str, given: Sequence[Kind]) -> Kind | None:
    """What a method gives; None where it refuses what it is given."""
    each = [_method(atom, name, given) for atom in kind]
    works = [one for one in each if one is not None]
    return join(works) if works or not each else None


def _method(atom: Atom, name: str, given: Sequence[Kind]) -> Kind | None:
    if atom.name == "str":
        return _str_method(name, given)
    if name in _CHANGE and atom.name in ("list", "set", "dict"):
        return NONE
    if name == "copy" or (name in _SAME_SET and atom.name == "set"):
        return frozenset((atom,))
    if name in ("index", "count", "bit_length"):
        return INT
    if atom.name in ("list", "set") and name == "pop":
        return atom.item
    return _dict_method(atom, name, given) if atom.name == "dict" else ANY


def _str_method(name: str, given: Sequence[Kind]) -> Kind | None:
    first = given[0] if given else ANY
    if name == "join" and (not is_any(first, ITERATED) or not is_any(items(first), _TEXT)):
        return None
    if name in _WANT_STR and not is_any(first, frozenset(("str", "None", "tuple"))):
        return None
    kind: Kind = _STR_METHODS.get(name, ANY)
    return kind


_TEXT = frozenset(("str",))


def _dict_method(atom: Atom, name: str, given: Sequence[Kind]) -> Kind:
    if name in ("keys", "values", "items"):
        pair = tuple_of((atom.item, atom.value))
        return of("view", {"keys": atom.item, "values": atom.value}.get(name, pair))
    if name in ("pop", "setdefault"):
        return atom.value
    if name == "get":
        return join((atom.value, given[1] if len(given) > 1 else ANY))
    return ANY


# --- builtins ------------------------------------------------------------------------------------

_GIVES: dict[str, Kind] = {
    **dict.fromkeys(("len", "int", "ord", "hash", "id"), INT),
    **dict.fromkeys(("str", "repr", "bin", "hex", "oct", "chr", "input", "ascii", "format"), STR),
    **dict.fromkeys(("bool", "all", "any", "isinstance", "callable", "hasattr"), BOOL),
    "issubclass": BOOL,
    "float": FLOAT,
    "print": NONE,
    "range": of("range", INT),
    "divmod": tuple_of((ANY, ANY)),
}
_INTEGERS = frozenset(("int", "bool"))
_REAL = frozenset(("int", "float", "bool"))
_TAKES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("list", "set", "tuple", "frozenset", "sorted", "enumerate", "sum"), ITERATED),
    **dict.fromkeys(("any", "all", "iter", "reversed"), ITERATED),
    **dict.fromkeys(("bin", "hex", "oct", "chr", "range"), _INTEGERS),
    **dict.fromkeys(("int", "float"), _REAL | {"str", "bytes"}),
    "len": ITERATED - {"iterator"},
    "ord": frozenset(("str", "bytes")),
    "abs": NUMBERS,
    "round": _REAL,
}
_ITERATORS = frozenset(("map", "filter", "zip", "enumerate", "reversed", "iter"))


def builtin(name: str, given: Sequence[Kind]) -> Kind | None:
    """What a builtin gives; None where it refuses what it is given."""
    first = given[0] if given else ANY
    checked = given if name == "range" else given[:1]
    allowed = _TAKES.get(name)
    if allowed is not None and not all(is_any(kind, allowed) for kind in checked):
        return None
    if name in _GIVES:
        return _GIVES[name]
    handler = _BUILT.get(name)
    made: Kind | None = handler(first, given) if handler is not None else ANY
    return made


def _added_up(first: Kind, given: Sequence[Kind]) -> Kind | None:
    """sum(): of strings it refuses to take any; True counts as 1."""
    parts = items(first)
    if not is_any(parts, frozenset(("int", "float", "bool", "complex", "list", "tuple"))):
        return None if len(given) == 1 else ANY
    if parts in (NEVER, BOOL, INT):
        return INT
    if names(parts) == {"list"} and len(given) == 1:
        return None
    return join((INT, parts)) if parts and names(parts) <= NUMBERS else ANY


def _extreme(first: Kind, given: Sequence[Kind]) -> Kind | None:
    if len(given) != 1:
        return join(given)
    return items(first) if is_any(first, ITERATED) else None


def _zipped(first: Kind, given: Sequence[Kind]) -> Kind | None:
    if not all(is_any(kind, ITERATED) for kind in given):
        return None
    return of("iterator", tuple_of(map(items, given)))


def _rounded(first: Kind, given: Sequence[Kind]) -> Kind:
    return INT if len(given) == 1 else first


_BUILT: dict[str, Callable[[Kind, Sequence[Kind]], Kind | None]] = {
    "sum": _added_up,
    "max": _extreme,
    "min": _extreme,
    "zip": _zipped,
    "round": _rounded,
    "abs": lambda first, _: INT if first == BOOL else first,
    "enumerate": lambda first, _: of("iterator", tuple_of((INT, items(first)))),
    "reversed": lambda first, _: of("iterator", items(first)),
    "iter": lambda first, _: of("iterator", items(first)),
    "sorted": lambda first, _: of("list", items(first)),
    "list": lambda first, given: of("list", items(first) if given else NEVER),
    "tuple": lambda first, _: of("tuple", items(first)),
    "set": lambda first, given: of("set", items(first) if given else NEVER),
    "frozenset": lambda first, _: of("set", items(first)),
    "dict": lambda first, given: of("dict") if given else of("dict", NEVER, NEVER),
    "map": lambda first, _: of("iterator"),
    "filter": lambda first, given: of("iterator", items(given[1]) if len(given) > 1 else ANY),
}


# --- modules -------------------------------------------------------------------------------------

_FLOATS = ("sqrt", "sin", "cos", "tan", "log", "log2", "log10", "exp", "pow", "fabs", "fsum")
_INTS = ("floor", "ceil", "gcd", "lcm", "factorial", "comb", "perm", "isqrt", "trunc")
_MODULES: dict[str, Kind] = {
    **{f"math.{name}": FLOAT for name in _FLOATS},
    **{f"math.{name}": INT for name in _INTS},
    "re.sub": STR,
    "re.split": of("list"),
    "re.findall": of("list"),
}


def of_module(function: ast.Attribute) -> Kind:
    """What a function of a well-known module gives."""
    module = function.value.id if isinstance(function.value, ast.Name) else ""
    return _MODULES.get(f"{module}.{function.attr}", ANY)
