"""How alike answers are by the angle between their vectors, 0 to 1: of embeddings where the vote
was given some, else of how often each run of three characters occurs in them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from operator import mul
from typing import TypeVar

from local_swarm.consensus.ballot import Entry
from local_swarm.consensus.scoring.similarity import Matrix

GRAM = 3
MAX_CHARS = 8_192
"""Of a longer answer only the first and the last half of so many characters count."""
DIGITS = 6
"""A cosine is rounded to so many: the order in which it was summed up must not show in it."""

_Vector = TypeVar("_Vector")
Grams = Counter[str]


def of_vectors(entries: Sequence[Entry], vectors: Sequence[Sequence[float]]) -> Matrix:
    """Every entry with every other, by its vector; an empty vector is like nothing but itself."""
    units = [_unit(vector) for vector in vectors]
    return _matrix([entry.form.key for entry in entries], units, _dot)


def of_grams(entries: Sequence[Entry]) -> Matrix:
    """The same by the runs of three characters in the answers."""
    texts = [shortened(entry.form.text) for entry in entries]
    known = {text: _grams(text) for text in set(texts)}
    lengths = {text: math.sqrt(sum(n * n for n in known[text].values())) for text in known}
    alike = partial(_gram_cosine, known, lengths)
    return _matrix([entry.form.key for entry in entries], texts, alike)


def shortened(text: str) -> str:
    half = MAX_CHARS // 2
    return text if len(text) <= MAX_CHARS else f"{text[:half]}\n{text[-half:]}"


def _matrix(
    keys: Sequence[str],
    vectors: Sequence[_Vector],
    alike: Callable[[_Vector, _Vector], float],
) -> Matrix:
    """Equal keys are 1, whatever their vectors say."""
    rows = [[1.0] * len(keys) for _ in keys]
    for i, j in combinations(range(len(keys)), 2):
        if keys[i] != keys[j]:
            cosine = round(alike(vectors[i], vectors[j]), DIGITS)
            rows[i][j] = rows[j][i] = min(1.0, max(0.0, cosine))
    return tuple(tuple(row) for row in rows)


def _unit(vector: Sequence[float]) -> Sequence[float]:
    length = math.sqrt(math.fsum(map(mul, vector, vector)))
    return [value / length for value in vector] if length > 0 else ()


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum(map(mul, one, other)))


def _grams(text: str) -> Grams:
    return Counter(text[at : at + GRAM] for at in range(max(1, len(text) - GRAM + 1)))


def _gram_cosine(known: dict[str, Grams], lengths: dict[str, float], one: str, other: str) -> float:
    few, many = sorted((known[one], known[other]), key=len)
    dot = sum(count * many[gram] for gram, count in few.items() if gram in many)
    return dot / (lengths[one] * lengths[other])
