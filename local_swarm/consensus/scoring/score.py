"""How well each answer is supported: a sum of what speaks for it.

    score(e) = merit(e) + LIKENESS * sum of weight(j) * K(e, j) over all answers j, e among them

Merit and weight are an answer's own, K is symmetric, from 0 to 1, and 1 between answers that say
the same. So the order of the answers says nothing, and a copy of the winner never unseats it:
nobody gains more by it than the winner does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.scoring import cluster
from local_swarm.consensus.scoring.merits import Merit, certainty
from local_swarm.consensus.scoring.similarity import Matrix
from local_swarm.consensus.scoring.weights import DOUBT, LIKENESS

Scores = Mapping[int, float]
"""By the entry's index; natural log odds, of which only the differences mean something."""


def scores(entries: Sequence[Entry], merits: Sequence[Merit], support: Sequence[float]) -> Scores:
    """`merits` and `support` in the order of the entries."""
    return {
        entry.index: round(merit.value + LIKENESS * given, 9)
        for entry, merit, given in zip(entries, merits, support, strict=True)
    }


def support(weights: Sequence[float], kernel: Matrix) -> list[float]:
    """What all answers testify for each, in their order. The sum is exact, so that the order of the
    answers cannot show in it."""
    return [
        math.fsum(weight * alike for weight, alike in zip(weights, row, strict=True))
        for row in kernel
    ]


def weights(ballot: Ballot, entries: Sequence[Entry], merits: Sequence[Merit]) -> list[float]:
    """How much the word of each counts: half of a broken answer, nothing of an empty one, less of
    one with faults, by the skill of the model that wrote it."""
    skills = ballot.evidence.skills
    return [
        cluster.weight(entry) * skills.get(entry.candidate.model, 1.0) * math.exp(doubt)
        for entry, merit in zip(entries, merits, strict=True)
        for doubt in [DOUBT * min(0.0, merit.value)]
    ]


def ranked(entries: Sequence[Entry], score: Scores) -> list[Entry]:
    """The best first: by standing, by score, by how often it is written so to the letter, then by
    content."""
    spelled = Counter(entry.raw for entry in entries)

    def rank(entry: Entry) -> tuple[object, ...]:
        return (-entry.standing, -score[entry.index], -spelled[entry.raw], entry.content)

    return sorted(entries, key=rank)


def by_support(ballot: Ballot, entries: Sequence[Entry], kernel: Matrix) -> list[Entry]:
    """Ranked without a look at faults: by what the others testify, and how sure a model was."""
    own = [Merit(certainty(entry)) for entry in entries]
    given = support(weights(ballot, entries, own), kernel)
    return ranked(entries, scores(entries, own, given))


def mixed(*parts: tuple[float, Matrix]) -> Matrix:
    """The weighted mean of the squares of several matrices: answers that are half alike, as any
    two programs are, say little about each other."""
    total = sum(share for share, _ in parts)
    matrices = [matrix for _, matrix in parts]
    shares = [share / total for share, _ in parts]
    return tuple(
        tuple(
            math.fsum(share * alike * alike for share, alike in zip(shares, cells, strict=True))
            for cells in zip(*rows, strict=True)
        )
        for rows in zip(*matrices, strict=True)
    )
