"""Python values as they stand in text: in a prompt's examples, and in what a run gave back.

Nothing is ever evaluated that could do more than build a small value.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

MAX_VALUE_CHARS = 4_096
_MAX_INT_BITS = 4_096
_MAX_TRIES = 24
_DIGITS = 9
"""Floats are the same when they agree to so many significant digits."""

_NAMES = {"true": True, "false": False, "null": None, "inf": math.inf, "nan": math.nan}
_CALLS: dict[str, Callable[..., Any]] = {
    "float": float,
    "set": set,
    "frozenset": frozenset,
    "tuple": tuple,
    "list": list,
    "dict": dict,
}
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_STARTS = re.compile(r"[\[({'\"\d.+\-]|[bru]*['\"]|(?:[Tt]rue|[Ff]alse|None|null|inf|nan)\b|\w+\(")
_END = re.compile(r"[\s,;:.!?)\]}`#=*|]|\"\"\"|'''")


class NotAValue(ValueError):
    """A text, or a tree, that is not one plain Python value."""


@lru_cache(maxsize=4096)
def read(text: str) -> Any:
    """The value that `text` spells, as Python or JSON writes it; small arithmetic is done. Raises
    NotAValue. What is given is shared: do not change it."""
    if len(text) > MAX_VALUE_CHARS:
        raise NotAValue(text[:40])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval")
        return build(tree.body)
    except NotAValue:
        raise
    except (SyntaxError, ValueError, TypeError, ArithmeticError, MemoryError, RecursionError):
        raise NotAValue(text[:40]) from None


def build(node: ast.expr) -> Any:
    """The value of a tree of literals. Raises NotAValue, and what building it raises."""
    if isinstance(node, ast.Constant) and node.value is not ...:
        return node.value
    if isinstance(node, ast.Name) and node.id.lower() in _NAMES:
        return _NAMES[node.id.lower()]
    if isinstance(node, ast.List):
        return [build(part) for part in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(build(part) for part in node.elts)
    if isinstance(node, ast.Set):
        return {build(part) for part in node.elts}
    if isinstance(node, ast.Dict):
        return {build(_known(k)): build(v) for k, v in zip(node.keys, node.values, strict=True)}
    return _computed(node)


def _known(key: ast.expr | None) -> ast.expr:
    if key is None:
        raise NotAValue("**")
    return key


def _computed(node: ast.expr) -> Any:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = build(node.operand)
        return -value if isinstance(node.op, ast.USub) else +value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _arithmetic(_OPERATORS[type(node.op)], build(node.left), build(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        made = _CALLS.get(node.func.id)
        if made is not None and len(node.args) <= 1 and not node.keywords:
            return made(*map(build, node.args))
    raise NotAValue(type(node).__name__)


def _arithmetic(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Of numbers, and small ones: `2 ** 10 ** 10` is not worked out."""
    for side in (left, right):
        if isinstance(side, bool) or not isinstance(side, (int, float, complex)):
            raise NotAValue("arithmetic of other things than numbers")
        if isinstance(side, int) and side.bit_length() > 64:
            raise NotAValue("a large number")
    if function is operator.pow and (abs(right) > 64 or abs(left) > 2**64):
        raise NotAValue("a large power")
    return function(left, right)


def spelled(value: Any) -> str:
    """The text that gives the value again, the same for equal ones; members of a set in order."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if isinstance(value, (set, frozenset)):
        members = ", ".join(sorted(map(spelled, value)))
        return f"{{{members}}}" if value else "set()"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{spelled(k)}: {spelled(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(spelled, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(spelled, value))}{',' * (len(value) == 1)})"
    return repr(value)


def leading(text: str) -> tuple[Any, int] | None:
    """The longest value that `text` begins with, and where it ends; None where it begins with
    none. A value goes on over a line's end only inside of brackets."""
    if _STARTS.match(text) is None:
        return None
    for end in list(_ends(text[:MAX_VALUE_CHARS]))[: -_MAX_TRIES - 1 : -1]:
        try:
            return read(text[:end]), end
        except NotAValue:
            continue
    return None


def _ends(text: str) -> Iterator[int]:
    """Where a value could end: outside of brackets and quotes, between two words of one line."""
    depth, at = 0, 0
    while at < len(text):
        char = text[at]
        if char in "'\"":
            closing = end_of_string(text, at)
            if closing is None:
                return
            at = closing
        else:
            at += 1
            depth += (char in "([{") - (char in ")]}")
        if depth < 0 or (depth == 0 and char == "\n"):
            return
        if depth == 0 and char not in ",;:" and (at == len(text) or _END.match(text, at)):
            yield at
            if re.match(r"\.(?:\s|\Z)", text[at : at + 2]):
                return


def end_of_string(text: str, start: int) -> int | None:
    """The place behind the string literal whose quote is at `start`; None if it has no end."""
    quote = text[start : start + 3] if text[start : start + 3] in ("'''", '"""') else text[start]
    at = start + len(quote)
    while at < len(text):
        if text.startswith(quote, at):
            return at + len(quote)
        if text[at] == "\n" and len(quote) == 1:
            return None
        at += 2 if text[at] == "\\" else 1
    return None


def end_of_brackets(text: str, start: int) -> int | None:
    """The place behind the bracket that closes the one at `start`; None if nothing does."""
    depth, at = 0, start
    while at < min(len(text), start + MAX_VALUE_CHARS):
        if text[at] in "'\"":
            closing = end_of_string(text, at)
            if closing is None:
                return None
            at = closing
            continue
        depth += (text[at] in "([{") - (text[at] in ")]}")
        at += 1
        if depth == 0:
            return at
    return None


def folded(value: Any, *, loosely: bool = False) -> Any:
    """Something hashable that is equal for equal values: floats to nine digits, every type kept
    apart. `loosely` as tests compare: 1, 1.0 and True are one, a list is a tuple."""
    if isinstance(value, float):
        value = _rounded(value)
    if isinstance(value, (bool, int, float, complex)):
        return value if loosely else (type(value).__name__, value)
    if isinstance(value, (list, tuple)):
        mark = "" if loosely else type(value).__name__
        return (mark, *(folded(part, loosely=loosely) for part in value))
    if isinstance(value, (set, frozenset)):
        return ("set", frozenset(folded(part, loosely=loosely) for part in value))
    if isinstance(value, dict):
        pairs = value.items()
        return (
            "dict",
            frozenset((folded(k, loosely=loosely), folded(v, loosely=loosely)) for k, v in pairs),
        )
    return value


def _rounded(value: float) -> float | str:
    if math.isnan(value):
        return "nan"
    if not math.isfinite(value) or value == 0:
        return value + 0.0
    return round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))
