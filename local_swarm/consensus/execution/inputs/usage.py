"""What programs do with a parameter tells what it may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from local_swarm.consensus.execution.inputs.shapes import ANY, INT, STR, Shape, list_of

_ELEMENT = "[]"
_MAX_DEPTH = 2


def _names(*methods: str) -> frozenset[str]:
    return frozenset(name for names in methods for name in names.split())


_METHODS = {
    "char": _names("isalpha isdigit isupper islower isalnum isspace isnumeric isdecimal"),
    "str": _names(
        "split lower upper strip lstrip rstrip swapcase replace join startswith endswith title",
        "capitalize find encode splitlines format zfill casefold partition rfind translate",
    ),
    "list": _names("append sort extend insert remove pop reverse copy"),
    "dict": _names("keys items values get setdefault update"),
}
_CALLS = {
    "number": _names("range abs bin hex chr divmod pow float round"),
    "char": _names("ord"),
    "summed": _names("sum"),
    "sequence": _names(
        "len sorted max min enumerate reversed list set tuple zip map filter all any Counter"
    ),
}
_NUMERIC = (ast.Mod, ast.Div, ast.FloorDiv, ast.Sub, ast.Pow, ast.LShift, ast.RShift, ast.BitAnd)
_PASSED_ON = _names("sorted set reversed list")


def shapes(module: ast.Module, name: str) -> dict[int, tuple[Shape, ...]]:
    """The place of each parameter of function `name` -> what it may be, as far as its use shows."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            facts = _facts(node)
            names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
            return {at: _shapes(one, facts) for at, one in enumerate(names)}
    return {}


def _shapes(name: str, facts: dict[str, set[str]], depth: int = 0) -> tuple[Shape, ...]:
    own = facts.get(name, set())
    inner = _shapes(name + _ELEMENT, facts, depth + 1) if depth < _MAX_DEPTH else ()
    if "dict" in own and "list" not in own:
        return (Shape("dict"),)
    if own & {"str", "char"} and "list" not in own:
        return (STR,)
    if "summed" in own:
        return (list_of(INT),)
    if inner or own & {"iterated", "indexed", "sequence", "list"}:
        lists = tuple(map(list_of, inner or (ANY,)))
        is_text = "char" in facts.get(name + _ELEMENT, ()) and "list" not in own
        return (STR, *lists) if is_text else lists
    return (INT,) if "number" in own else ()


def _facts(function: ast.FunctionDef) -> dict[str, set[str]]:
    """Name -> what is done with it; the elements of `x` go by the name `x[]`."""
    aliases = dict(_element_names(function))
    facts: dict[str, set[str]] = {}
    for node in ast.walk(function):
        for operand, fact in _uses(node):
            if name := _name(operand, aliases):
                facts.setdefault(name, set()).add(fact)
    return facts


def _element_names(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Variables that run over a named sequence."""
    for node in ast.walk(function):
        if isinstance(node, (ast.For, ast.comprehension)):
            source, target = node.iter, node.target
            called = _called(source)
            if called == "enumerate" and isinstance(target, ast.Tuple):
                target = target.elts[-1]
            if isinstance(source, ast.Call) and called in {*_PASSED_ON, "enumerate"}:
                source = source.args[0] if source.args else source
            if isinstance(source, ast.Name) and isinstance(target, ast.Name):
                yield target.id, source.id + _ELEMENT


def _called(node: ast.expr) -> str:
    called = node.func if isinstance(node, ast.Call) else None
    return called.id if isinstance(called, ast.Name) else ""


def _name(node: ast.expr, aliases: dict[str, str]) -> str:
    suffix = ""
    while isinstance(node, ast.Subscript):
        suffix += "" if isinstance(node.slice, ast.Slice) else _ELEMENT
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    name = aliases.get(node.id, node.id)
    outer = name.removesuffix(_ELEMENT)
    return (aliases[outer] + _ELEMENT if outer != name and outer in aliases else name) + suffix


def _uses(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node, ast.Call):
        yield from _call_uses(node)
    elif isinstance(node, (ast.For, ast.comprehension)):
        yield node.iter, "iterated"
    elif isinstance(node, ast.Subscript):
        is_key = isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
        yield node.value, "dict" if is_key else "indexed"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, _NUMERIC):
        yield node.left, "number"
        yield node.right, "number"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult)):
        yield from _beside(node.left, node.right)
    elif isinstance(node, ast.Compare):
        yield from _compare_uses(node)


def _call_uses(node: ast.Call) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node.func, ast.Attribute):
        facts = (fact for fact, methods in _METHODS.items() if node.func.attr in methods)
        yield from ((node.func.value, fact) for fact in facts)
    elif node.args:
        facts = (fact for fact, names in _CALLS.items() if _called(node) in names)
        yield from ((node.args[0], fact) for fact in facts)


def _beside(left: ast.expr, right: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    for one, other in ((left, right), (right, left)):
        if isinstance(other, ast.Constant):
            yield one, "str" if isinstance(other.value, str) else "number"


def _compare_uses(node: ast.Compare) -> Iterator[tuple[ast.expr, str]]:
    other, operator = node.comparators[0], node.ops[0]
    value = other.value if isinstance(other, ast.Constant) else None
    if isinstance(operator, (ast.In, ast.NotIn)):
        yield other, "sequence"
        if isinstance(value, str):
            yield node.left, "char"
    elif isinstance(value, str) and value:
        yield node.left, "char" if len(value) == 1 else "str"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield node.left, "number"
