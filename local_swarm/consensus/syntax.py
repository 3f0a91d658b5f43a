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

_TRIES: Any = (ast.Try, getattr(ast, "TryStar", ast.Try))
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
            code = _without_finally(ast.parse(source)) if "finally" in source else source
            compile(code, "<candidate>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return Compiled(False, error.lineno)
    except (ValueError, MemoryError, RecursionError, OverflowError):
        return Compiled(False)
    return Compiled(True)


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
    """Whether a line of it opens the function `name`, at the outermost level that it has."""
    opened = re.compile(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(name)}[ \t]*[(\[]", re.MULTILINE)
    return opened.search(source) is not None
