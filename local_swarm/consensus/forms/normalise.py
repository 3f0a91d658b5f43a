"""The normal form of an answer: two answers that say the same have the same one."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from local_swarm.consensus.forms.canonical import Part
from local_swarm.consensus.parsing import foreign, languages, lexer
from local_swarm.consensus.parsing.tree import tree_tokens
from local_swarm.consensus.reading.answer import Answer, Kind

_INDENTED = frozenset(("yaml", "haskell", "fsharp", "nim", "coffeescript", "pug", "sass", "make"))
_FREE = frozenset(("c", "cpp", "csharp", "java", "php", "rust", "sql"))
"""Where a line may end between any two words."""
_QUOTED = re.compile(r"[\"'`]")


@dataclass(frozen=True, slots=True)
class NormalForm:
    """`key` is equal for answers that say the same. What similarity compares: `tokens`, the tree of
    sound Python and the words of other languages' code (empty for everything else), `text`, the
    answer as characters, and of data its `parts` (see `fields`)."""

    key: str
    text: str
    tokens: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()


def normalise(answer: Answer, given: Set[str] = frozenset()) -> NormalForm:
    """Python by its syntax tree, code of another language by its words, data, edits and short
    answers by their canonical spelling, text by its folded words. `given`: see `tree_tokens`.

    Code that does not compile is compared by its lines, case and indentation kept. An answer of
    several blocks is what all of them are.
    """
    form = _single(answer, given)
    if not answer.rest:
        return form
    forms = [form, *(_single(block, given) for block in answer.rest)]
    key = "".join(f"{len(each.key)}:{each.key}" for each in forms)
    return NormalForm(key, "\n\n".join(each.text for each in forms), form.tokens)


def _single(answer: Answer, given: Set[str]) -> NormalForm:
    if answer.kind is Kind.CODE:
        return _foreign(answer) if answer.language else _python(answer, given)
    text = fold_text(answer.text) if answer.kind is Kind.TEXT else answer.text
    return NormalForm(f"{'' if answer.sound else 'broken '}{answer.kind.value}:{text}", text)


def fold_text(text: str) -> str:
    """One space between words, no upper case."""
    return " ".join(text.casefold().split())


def _foreign(answer: Answer) -> NormalForm:
    """By the leaves of its tree where its grammar takes it, else by its words or lines. (The tree
    of a shell's commands is more than its leaves: `$a$b` has the same ones as `$a $b`.)"""
    lines = [fold_line(line, answer.language) for line in answer.text.split("\n")]
    text = "\n".join(line for line in lines if line)
    outcome = foreign.parsed(answer.text, answer.language) if answer.sound else None
    if outcome is not None and outcome.sound:
        tokens = outcome.tokens
        key = text if answer.language in languages.SHELLS else "\n".join(tokens)
    else:
        tokens = lexer.words(answer.text, answer.language)
        key = "\n".join(tokens) if answer.language in _FREE else text
    label = "code" if answer.sound else "broken code"
    return NormalForm(f"{answer.language} {label}:{key}", text, tokens)


def fold_line(line: str, language: str) -> str:
    """One space between words, but for a line with quotation marks, where it may be the text
    between them; indentation kept where the language means something by it."""
    words = line.strip() if _QUOTED.search(line) else " ".join(line.split())
    indent = line[: len(line) - len(line.lstrip())] if language in _INDENTED and words else ""
    return indent + words


def _python(answer: Answer, given: Set[str]) -> NormalForm:
    tokens = tree_tokens(answer.text, given) if answer.sound else None
    if tokens is not None:
        return NormalForm(f"{answer.kind.value}:{' '.join(tokens)}", answer.text, tokens)
    lines = (line.rstrip() for line in answer.text.split("\n"))
    label = "source:" if answer.sound else "broken source:"
    return NormalForm(label + "\n".join(line for line in lines if line), answer.text)
