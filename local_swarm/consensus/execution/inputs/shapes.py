"""Shapes of values: what may be given for a parameter, as far as testing it needs."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

_KINDS = {
    **dict.fromkeys(("int", "Integer", "integer"), "int"),
    **dict.fromkeys(("float", "Number", "Real", "complex", "Decimal"), "float"),
    **dict.fromkeys(("str", "string", "String", "AnyStr", "Text"), "str"),
    **dict.fromkeys(("bool", "boolean"), "bool"),
    **dict.fromkeys(("list", "List", "Sequence", "Iterable", "Collection", "array"), "list"),
    **dict.fromkeys(("MutableSequence", "Iterator"), "list"),
    **dict.fromkeys(("tuple", "Tuple"), "tuple"),
    **dict.fromkeys(("set", "Set", "frozenset", "FrozenSet", "AbstractSet"), "set"),
    **dict.fromkeys(("dict", "Dict", "Mapping", "MutableMapping", "DefaultDict"), "dict"),
    **dict.fromkeys(("Any", "object", "T"), "any"),
    "None": "none",
}
_CHOICES = frozenset(("Union", "Optional"))


@dataclass(frozen=True, slots=True)
class Shape:
    """`kind` is int, float, str, bool, none, any (unknown, or all sorts), list, tuple, set or dict;
    `parts` are the shapes of the elements: one for list and set, key and value for a dict, one for
    each place of a tuple. Empty where they are unknown."""

    kind: str
    parts: tuple[Shape, ...] = ()

    @property
    def depth(self) -> int:
        """How many containers are in each other."""
        return 1 + max((part.depth for part in self.parts), default=0)

    @property
    def vague(self) -> bool:
        """Whether it does not say what its elements are."""
        if self.kind in ("list", "tuple", "set", "dict"):
            return not self.parts or any(part.vague for part in self.parts)
        return self.kind == "any"


ANY, INT, FLOAT, STR, BOOL = (Shape(kind) for kind in ("any", "int", "float", "str", "bool"))


def list_of(element: Shape) -> Shape:
    return Shape("list", (element,))


def from_annotation(text: str) -> tuple[Shape, ...]:
    """What an annotation allows; empty where it says nothing that can be made."""
    try:
        return _read(ast.parse(text, mode="eval").body) if text else ()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _read(node: ast.expr) -> tuple[Shape, ...]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return (*_read(node.left), *_read(node.right))
    if isinstance(node, ast.Constant):
        return (Shape("none"),) if node.value is None else from_annotation(str(node.value))
    if isinstance(node, ast.Attribute):
        return _simple(node.attr)
    if isinstance(node, ast.Name):
        return _simple(node.id)
    return _generic(node) if isinstance(node, ast.Subscript) else ()


def _simple(name: str) -> tuple[Shape, ...]:
    return (Shape(_KINDS[name]),) if name in _KINDS else ()


def _generic(node: ast.Subscript) -> tuple[Shape, ...]:
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    name = ast.unparse(node.value).rpartition(".")[2]
    if name in _CHOICES:
        none = (Shape("none"),) if name == "Optional" else ()
        return (*(shape for part in inner for shape in _read(part)), *none)
    kind = _KINDS.get(name, "")
    parts = [_read(part) for part in inner if not _is_dots(part)]
    if kind not in ("list", "tuple", "set", "dict") or not all(parts):
        return (Shape(kind),) if kind else ()
    first = tuple(shapes[0] for shapes in parts)
    return (
        (Shape("tuple", first * (3 if len(first) < len(inner) else 1)),)
        if kind == "tuple"
        else (Shape(kind, first),)
    )


def _is_dots(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def of(value: Any) -> Shape:
    """The shape of a value; of elements that differ the most general."""
    if isinstance(value, bool):
        return BOOL
    if value is None:
        return Shape("none")
    if isinstance(value, (int, float, str)):
        return Shape(type(value).__name__)
    if isinstance(value, tuple):
        return Shape("tuple", tuple(map(of, value)))
    if isinstance(value, dict):
        parts = (joined([of(k) for k in value]), joined([of(v) for v in value.values()]))
        return Shape("dict", parts if value else ())
    if isinstance(value, (list, set, frozenset)):
        kind = "list" if isinstance(value, list) else "set"
        return Shape(kind, (joined([of(part) for part in value]),) if value else ())
    return ANY


def joined(shapes: list[Shape]) -> Shape:
    """One shape for all of them: int and float are float, others that differ are any."""
    kinds = {shape.kind for shape in shapes}
    if len(kinds) == 1:
        told = [shape for shape in shapes if not shape.vague] or shapes
        same_length = len({len(shape.parts) for shape in told}) == 1
        if told[0].kind not in ("list", "set", "dict", "tuple") or not same_length:
            return told[0]
        parts = zip(*(shape.parts for shape in told), strict=True)
        return Shape(told[0].kind, tuple(joined(list(part)) for part in parts))
    return FLOAT if kinds <= {"int", "float"} and kinds else ANY
