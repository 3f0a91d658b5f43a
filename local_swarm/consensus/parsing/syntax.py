"""Whether a text is Python, asked of the interpreter without ever running it.

Candidates are hostile: they nest a thousand brackets, hold NULs and lone surrogates, write numbers
of a million digits. Every question here is answered, never raised.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import Any

MAX_SOURCE_CHARS = 32_768
"""Longer sources are not parsed (they count as not being Python): parsing costs microseconds per
character, and a vote answers while somebody waits."""

MAX_BLOCKS = 16
"""Loops, comprehensions, `with` and `try` in each other; the compiler itself stops at 20, but
CPython 3.12 and 3.13 forget the comprehensions in that count and write past the end of an array."""

_TRIES: Any = (ast.Try, getattr(ast, "TryStar", ast.Try))
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BLOCK_NODES = (ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, *dict.fromkeys(_TRIES))
_BLOCK = re.compile(r"(?:for|while|try|except|with)(?!\w)")
_QUOTES = re.compile("\"\"\"|'''")
_DEFINES = re.compile(r"^[ \t]*(?:async[ \t]+def|def|class)[ \t]+\w+[ \t]*[(:\[]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler said of a source: whether it took it, else the line that it stopped at."""

    ok: bool
    error_line: int | None = None


def compile_source(source: str) -> Compiled:
    """Ask `compile()`, not `ast.parse`: only it rejects a `return` outside of a function."""
    if len(source) > MAX_SOURCE_CHARS:
        return Compiled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(_harmless(source), "<candidate>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return Compiled(False, error.lineno)
    except (ValueError, MemoryError, RecursionError, OverflowError):
        return Compiled(False)
    return Compiled(True)


def _harmless(source: str) -> str | ast.Module:
    """What can be compiled instead of it: the source itself, unless it may be one that the compiler
    does not survive. Raises ValueError where there is nothing."""
    blocks = len(_BLOCK.findall(source)) + (source.count(",") if "with" in source else 0)
    if "finally" not in source and blocks <= MAX_BLOCKS:
        return source
    module = ast.parse(source)
    waiting: list[tuple[ast.AST, int]] = [(module, 0)]
    while waiting:
        node, depth = waiting.pop()
        depth += _blocks(node)
        if depth > MAX_BLOCKS:
            raise ValueError("nested too deep")
        waiting.extend((child, depth) for child in ast.iter_child_nodes(node))
    return _without_finally(module) if "finally" in source else source


def _blocks(node: ast.AST) -> int:
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return len(node.items)
    if isinstance(node, _COMPREHENSIONS):
        return 1 + sum(part.is_async for part in node.generators)
    return isinstance(node, _BLOCK_NODES) + isinstance(node, ast.AsyncFor)


def _without_finally(module: ast.Module) -> ast.Module:
    """With the last block of every `try` put behind it: the compiler writes such a block once for
    every way out of the `try`, which takes gigabytes for some sources of a few hundred characters.
    Whether it compiles does not depend on it. (Children come first, without recursion.)"""
    for node in reversed(list(ast.walk(module))):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                setattr(node, name, [part for statement in block for part in _flat(statement)])
    return module


def _flat(statement: ast.stmt) -> list[ast.stmt]:
    last: list[ast.stmt] = getattr(statement, "finalbody", [])
    if not last or not isinstance(statement, _TRIES):
        return [statement]
    statement.finalbody = []
    if not statement.handlers:
        nothing = ast.copy_location(ast.Pass(), statement)
        statement.handlers = [ast.copy_location(ast.ExceptHandler(body=[nothing]), statement)]
    return [statement, *last]


def parse(source: str) -> ast.Module | None:
    """The tree of a source that `compile_source` took, or None. Ask that first: the compiler's own
    limits keep out what would exhaust the parser's recursion."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):
        return None


def defines_something(source: str) -> bool:
    """Whether a line of it opens a function or a class, read without parsing."""
    return _DEFINES.search(source) is not None


def defines(source: str, name: str) -> bool:
    """Whether a line of it opens the function `name`, at the outermost level that it has, or gives
    that name to a lambda or to another function. A line in a string is none."""
    opened = re.compile(
        rf"^(?:(?:async[ \t]+)?def[ \t]+{re.escape(name)}[ \t]*[(\[]"
        rf"|{re.escape(name)}[ \t]*(?::[^=\n]*)?=[ \t]*(?:lambda\b|[A-Za-z_][\w.]*[ \t]*$))",
        re.MULTILINE,
    )
    found = opened.search(source)
    if found is None or not _QUOTES.search(source, 0, found.start()):
        return found is not None
    module = parse(source)
    return module is None or any(_binds(statement, name) for statement in module.body)


def _binds(statement: ast.stmt, name: str) -> bool:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return statement.name == name
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def binds(source: str, name: str) -> bool:
    """Whether a line of it opens the function or class `name`, imports or assigns it, at the
    outermost level."""
    escaped = re.escape(name)
    bound = re.compile(
        rf"^(?:(?:async[ \t]+def|def|class)[ \t]+{escaped}\b|(?:import|from)\b.*\b{escaped}\b"
        rf"|{escaped}[ \t]*[:=])",
        re.MULTILINE,
    )
    return bound.search(source) is not None
