"""How alike two answers are, 0 to 1: the share of their parts that both have in the same order.

It is the Indel similarity: 1 - (insertions + deletions) / (sum of both lengths). A matrix holds the
similarity of every entry to every other, in the order of the entries; equal normal forms have 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import TypeVar

from local_swarm.consensus.ballot import Entry

MAX_COMPARED = 8_192
"""Of a longer answer only the first and the last half of so many parts (characters of text, tokens
of a tree) are compared, of more than eight different answers fewer: comparing takes quadratic
time, and so many answers have quadratically many pairs."""

_FIRST_LETTER = 0xF0000  # the last two planes, for private use: never more tokens than they hold
_LETTERS = re.compile(f"[{chr(_FIRST_LETTER)}-\U0010ffff]")
_NO_LETTER = "\ufffd"
_Part = TypeVar("_Part", str, tuple[str, ...])
Matrix = tuple[tuple[float, ...], ...]


def text_similarity(entries: Sequence[Entry]) -> Matrix:
    """Every entry with every other, by the characters of its answer."""
    return _matrix([entry.form.key for entry in entries], [entry.form.text for entry in entries])


def tree_similarity(entries: Sequence[Entry]) -> Matrix:
    """Every entry with every other, by the tokens of its tree; by characters without a tree."""
    keys = [entry.form.key for entry in entries]
    trees = _capped([entry.form.tokens for entry in entries])
    letters = _letters(trees)
    parts = [
        "".join(map(letters.__getitem__, tree)) or _LETTERS.sub(_NO_LETTER, entry.form.text)
        for tree, entry in zip(trees, entries, strict=True)
    ]
    return _matrix(keys, parts)


def _letters(trees: Sequence[Sequence[str]]) -> dict[str, str]:
    """One character of its own for every token, so that trees compare as fast as text."""
    tokens = sorted({token for tree in trees for token in tree})
    return {token: chr(_FIRST_LETTER + at) for at, token in enumerate(tokens)}


def _matrix(keys: Sequence[str], parts: Sequence[str]) -> Matrix:
    from rapidfuzz.distance import Indel

    rows = [[1.0] * len(keys) for _ in keys]
    parts = _capped(parts)
    known: dict[tuple[str, str], float] = {}
    for i, j in combinations(range(len(keys)), 2):
        if keys[i] != keys[j]:
            pair = (min(parts[i], parts[j]), max(parts[i], parts[j]))
            if pair not in known:
                known[pair] = Indel.normalized_similarity(*pair)
            rows[i][j] = rows[j][i] = known[pair]
    return tuple(tuple(row) for row in rows)


def _capped(parts: Sequence[_Part]) -> list[_Part]:
    """By how many different ones there are: one more that says the same changes nothing."""
    most = min(MAX_COMPARED, MAX_COMPARED * 8 // max(1, len(set(parts))))
    half = max(1, most // 2)
    return [part if len(part) <= most else part[:half] + part[-half:] for part in parts]
