"""The normal form of an answer: two answers that say the same have the same one."""

from __future__ import annotations

from dataclasses import dataclass

from local_swarm.consensus.extract import Answer, Kind
from local_swarm.consensus.tree import tree_tokens


@dataclass(frozen=True, slots=True)
class NormalForm:
    """`key` is equal for answers that say the same. What similarity compares: `tokens`, the Python
    tree of sound code (empty for everything else), and `text`, the answer as characters."""

    key: str
    text: str
    tokens: tuple[str, ...] = ()


def normalise(answer: Answer) -> NormalForm:
    """Code by its syntax tree, data by its canonical spelling, text by its folded words.

    Code that does not compile is compared by its lines, case and indentation kept.
    """
    if answer.kind is Kind.CODE:
        return _code(answer)
    text = fold_text(answer.text) if answer.kind is Kind.TEXT else answer.text
    return NormalForm(f"{answer.kind.value}:{text}", text)


def fold_text(text: str) -> str:
    """One space between words, no upper case."""
    return " ".join(text.casefold().split())


def _code(answer: Answer) -> NormalForm:
    tokens = tree_tokens(answer.text) if answer.sound else None
    if tokens is not None:
        return NormalForm(f"{answer.kind.value}:{' '.join(tokens)}", answer.text, tokens)
    lines = (line.rstrip() for line in answer.text.splitlines())
    return NormalForm("source:" + "\n".join(line for line in lines if line), answer.text)
