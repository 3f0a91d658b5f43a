"""How alike two answers are, 0 to 1: the share of their parts that both have in the same order.

It is the Indel similarity: 1 - (insertions + deletions) / (sum of both lengths). A matrix holds the
similarity of every entry to every other, in the order of the entries; equal normal forms have 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from local_swarm.consensus.ballot import Entry

MAX_COMPARED = 8_192
"""Of a longer answer only the first and the last half of so many parts (characters of text, tokens
of a tree) are compared: comparing takes quadratic time."""

_FIRST_LETTER = 0x20000  # far from what text is made of
Matrix = tuple[tuple[float, ...], ...]


def text_similarity(entries: Sequence[Entry]) -> Matrix:
    """Every entry with every other, by the characters of its answer."""
    return _matrix([entry.form.key for entry in entries], [entry.form.text for entry in entries])


def tree_similarity(entries: Sequence[Entry]) -> Matrix:
    """Every entry with every other, by the tokens of its tree; by characters without a tree."""
    letter = _Alphabet().__getitem__
    forms = [entry.form for entry in entries]
    parts = ["".join(map(letter, form.tokens)) if form.tokens else form.text for form in forms]
    return _matrix([form.key for form in forms], parts)


class _Alphabet(dict[str, str]):
    """One character of its own for every token, so that trees compare as fast as text."""

    def __missing__(self, token: str) -> str:
        letter = self[token] = chr(_FIRST_LETTER + len(self))
        return letter


def _matrix(keys: Sequence[str], parts: Sequence[str]) -> Matrix:
    from rapidfuzz.distance import Indel

    rows = [[1.0] * len(keys) for _ in keys]
    parts = [_capped(part) for part in parts]
    known: dict[tuple[str, str], float] = {}
    for i, j in combinations(range(len(keys)), 2):
        if keys[i] != keys[j]:
            pair = (min(parts[i], parts[j]), max(parts[i], parts[j]))
            if pair not in known:
                known[pair] = Indel.normalized_similarity(*pair)
            rows[i][j] = rows[j][i] = known[pair]
    return tuple(tuple(row) for row in rows)


def _capped(part: str) -> str:
    half = MAX_COMPARED // 2
    return part if len(part) <= MAX_COMPARED else part[:half] + part[-half:]
