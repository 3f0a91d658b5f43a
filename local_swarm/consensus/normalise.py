"""The normal form of an answer: two answers that say the same have the same one."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from local_swarm.consensus.extract import Answer, Kind
from local_swarm.consensus.tree import tree_tokens

_INDENTED = frozenset(("yaml", "haskell", "fsharp", "nim", "coffeescript", "pug", "sass", "make"))


@dataclass(frozen=True, slots=True)
class NormalForm:
    """`key` is equal for answers that say the same. What similarity compares: `tokens`, the Python
    tree of sound code (empty for everything else), and `text`, the answer as characters."""

    key: str
    text: str
    tokens: tuple[str, ...] = ()


def normalise(answer: Answer, given: Set[str] = frozenset()) -> NormalForm:
    """Python by its syntax tree, code of another language by its lines and words, data by its
    canonical spelling, text by its folded words. `given`: see `tree_tokens`.

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
    lines = [fold_line(line, answer.language) for line in answer.text.split("\n")]
    text = "\n".join(line for line in lines if line)
    return NormalForm(f"{answer.language} code:{text}", text)


def fold_line(line: str, language: str) -> str:
    """One space between words; indentation kept where the language means something by it."""
    words = " ".join(line.split())
    indent = line[: len(line) - len(line.lstrip())] if language in _INDENTED and words else ""
    return indent + words


def _python(answer: Answer, given: Set[str]) -> NormalForm:
    tokens = tree_tokens(answer.text, given) if answer.sound else None
    if tokens is not None:
        return NormalForm(f"{answer.kind.value}:{' '.join(tokens)}", answer.text, tokens)
    lines = (line.rstrip() for line in answer.text.split("\n"))
    label = "source:" if answer.sound else "broken source:"
    return NormalForm(label + "\n".join(line for line in lines if line), answer.text)
