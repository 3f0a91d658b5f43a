"""Code of other languages by their tree-sitter grammars, where the extra `languages` is installed.

Without it every answer is None, and `lexer` has to do.
"""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from local_swarm.consensus.parsing.bindings import Names, names_of

MAX_CHARS = 12_288
"""Longer code is not parsed: what is no code at all takes some grammars quadratic time."""

_LANGUAGES = frozenset(
    ("javascript", "typescript", "go", "rust", "c", "cpp", "java", "bash", "sql")
)
_BYTES_PER_STEP = 40
"""Real code takes a parser one step (one call back) for 68 to 80 bytes; one that takes many more is
lost in a text that is none."""
_MARKED = ("_statement", "_declaration", "_definition", "_item")
_QUOTES = {"'": '"'}
_IN_STRING = re.compile(r"\{(\w+)")
_QUOTED = ("'", '"')
_NEWLINES = "\r\n"
_LOOSE = frozenset(("javascript", "typescript"))


@dataclass(frozen=True, slots=True)
class Parsed:
    """`tokens`: the leaves in order and where a statement begins, no comments, local names
    numbered; empty where it is not sound."""

    sound: bool
    tokens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Leaf:
    """`function`: which outermost function it stands in, 0 outside of all."""

    text: str
    function: int = 0
    is_name: bool = False
    is_declared: bool = False
    shared: tuple[str, ...] = ()


def knows(language: str) -> bool:
    """Whether there is a grammar for it here."""
    return bool(_grammars(language))


def parse(source: str, language: str) -> Parsed | None:
    """What the grammar says of a source; None where there is no grammar, or the source is too long
    to ask. Total, deterministic, bounded in time."""
    if len(source) > MAX_CHARS or not _grammars(language):
        return None
    data = f"{source.strip(_NEWLINES)}\n".encode("utf-8", "replace")
    for grammar in _grammars(language):
        tree = _tree(grammar, data)
        if tree is not None and not tree.root_node.has_error:
            return Parsed(True, _tokens(tree, data, language))
    return Parsed(False)


@cache
def _grammars(language: str) -> tuple[Any, ...]:
    """Those of one wheel, the usual one first."""
    if language not in _LANGUAGES:
        return ()
    try:
        from tree_sitter import Language

        module = importlib.import_module(f"tree_sitter_{language}")
        if language == "typescript":
            return (Language(module.language_typescript()), Language(module.language_tsx()))
        return (Language(module.language()),)
    except (ImportError, AttributeError, ValueError):
        return ()


def _tree(grammar: Any, data: bytes) -> Any | None:
    """None where the parser got lost. It is asked in steps, not by the clock, so that the same
    source always gets the same answer."""
    from tree_sitter import Parser

    left = 64 + len(data) // _BYTES_PER_STEP

    def is_lost(_offset: int, _has_error: bool) -> bool:
        nonlocal left
        left -= 1
        return left < 0

    try:
        return Parser(grammar).parse(lambda at, _: data[at:], progress_callback=is_lost)
    except ValueError:
        return None


def _tokens(tree: Any, data: bytes, language: str) -> tuple[str, ...]:
    """Names that only one function can see are numbered by first use in it."""
    leaves = list(_leaves(tree.walk(), data, language))
    shared = {name for leaf in leaves for name in leaf.shared}
    local = {
        (leaf.function, leaf.text)
        for leaf in leaves
        if leaf.is_declared and leaf.text not in shared
    }
    numbers: dict[tuple[int, str], str] = {}
    inside: Counter[int] = Counter()
    tokens = []
    for leaf in leaves:
        place = (leaf.function, leaf.text)
        if not leaf.is_name or place not in local:
            tokens += [leaf.text] if leaf.text else []
            continue
        if place not in numbers:
            numbers[place] = f"${inside[leaf.function]}"
            inside[leaf.function] += 1
        tokens.append(numbers[place])
    return tuple(tokens)


def _leaves(cursor: Any, data: bytes, language: str) -> Iterator[_Leaf]:
    names = names_of(language)
    path: list[str] = []
    functions, outermost = 0, -1  # how many so far; the depth of the one that we are in
    while True:
        node = cursor.node
        kind = node.type
        if "comment" not in kind:
            if node.is_named and kind.endswith(_MARKED):
                yield _Leaf(f"({kind}")
            if outermost < 0 and kind in names.functions:
                functions, outermost = functions + 1, len(path)
            if cursor.goto_first_child():
                path.append(kind)
                continue
            text = data[node.start_byte : node.end_byte].decode("utf-8", "replace")
            here = functions if outermost >= 0 else 0
            yield _leaf(kind, text, (path, cursor.field_name or ""), here, names, language)
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
            path.pop()
            if len(path) == outermost:
                outermost = -1


def _leaf(
    kind: str, text: str, place: tuple[list[str], str], function: int, names: Names, language: str
) -> _Leaf:
    if language == "sql":
        return _Leaf(text if text[:1] in _QUOTED else text.casefold().strip())
    path, field = place
    parent = path[-1] if path else ""
    if kind != "identifier":
        spelled = _spelled(kind, text, parent) if language in _LOOSE else text
        is_layout = spelled.isspace() and "string" not in kind
        return _Leaf("" if is_layout else spelled, shared=_names_in(kind, text))
    deeper = "/".join(path[-2:])
    declared = names.declared(parent, field) or names.declared(deeper, field)
    shared = names.shared(parent, field) or names.shared(deeper, field)
    is_outside = shared or (declared and not function)
    return _Leaf(text, function, True, declared and function > 0, (text,) if is_outside else ())


def _names_in(kind: str, text: str) -> tuple[str, ...]:
    """Names that count as they are spelled: `{a}` is a field too, and in a format's string."""
    if kind.startswith("shorthand"):
        return (text,)
    return tuple(_IN_STRING.findall(text)) if "string" in kind else ()


def _spelled(kind: str, text: str, parent: str) -> str:
    """Which quotes, and whether a statement ends in a semicolon, is taste (but not in a string: a
    token that is its own kind is a mark of the language)."""
    if kind == ";" and parent != "for_statement":
        return ""
    return _QUOTES.get(kind, text)
