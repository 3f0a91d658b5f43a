"""The median of the largest group of answers that mean much the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from local_swarm.consensus.ballot import Ballot, Entry, Standing
from local_swarm.consensus.scoring import cluster, cosine
from local_swarm.consensus.scoring.outcome import Choice, conclude
from local_swarm.consensus.scoring.similarity import Matrix
from local_swarm.domain.evidence import Aid, VectorsWanted, Wanted
from local_swarm.domain.verdict import Verdict

ALIKE = 0.85
"""Answers whose vectors have this cosine say the same, and so do those that others link."""


def decide(ballot: Ballot) -> Verdict | Wanted:
    """Groups the answers by the cosine of their embeddings, of their runs of three characters where
    none can be had, and takes from the largest group the answer most like the rest of it. A broken
    answer counts half, an empty one nothing, and neither wins where another is whole."""
    vectors = ballot.evidence.vectors
    if vectors is None and Aid.VECTORS in ballot.evidence.able:
        return VectorsWanted(tuple(_text(entry) for entry in ballot.entries))
    return conclude(ballot, choose(ballot, ballot.entries), "similarity")


def choose(ballot: Ballot, entries: Sequence[Entry]) -> Choice:
    """The same among some entries of the ballot (at least one), with the vectors that are there."""
    vectors = ballot.evidence.vectors
    matrix = (
        cosine.of_grams(entries)
        if vectors is None
        else cosine.of_vectors(entries, [vectors[entry.index] for entry in entries])
    )
    score = _scores(ballot, entries, matrix)
    groups = [tuple(entries[at] for at in group) for group in _linked(matrix)]
    group_of = {entry.index: group for group in groups for entry in group}
    winner = min(
        cluster.best_standing(entries),
        key=lambda e: (-_size(ballot, group_of[e.index]), -score[e.index], e.content),
    )
    how = "letters" if vectors is None else "embeddings"
    reason = f"{len(group_of[winner.index])} of {len(entries)} answers are alike by their {how}."
    return Choice(winner, groups, (reason,))


def _text(entry: Entry) -> str:
    """Nothing for an answer that says nothing: it has no vector."""
    return "" if entry.standing is Standing.EMPTY else cosine.shortened(entry.form.text)


def _linked(matrix: Matrix) -> list[list[int]]:
    """The places of the entries in groups: two are in one where a chain of likeness joins them,
    so that neither their order nor a copy of one changes who belongs together."""
    groups: list[list[int]] = []
    for at, row in enumerate(matrix):
        near = [group for group in groups if any(row[other] >= ALIKE for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append([*(other for group in near for other in group), at])
    return groups


def _scores(ballot: Ballot, entries: Sequence[Entry], matrix: Matrix) -> dict[int, float]:
    """Index -> the likeness to all that are alike, itself included, each weighed as a witness."""
    weights = [_weight(ballot, entry) for entry in entries]
    return {
        entry.index: round(
            math.fsum(k * w for k, w in zip(row, weights, strict=True) if k >= ALIKE), 6
        )
        for entry, row in zip(entries, matrix, strict=True)
    }


def _weight(ballot: Ballot, entry: Entry) -> float:
    return cluster.weight(entry) * ballot.evidence.skills.get(entry.candidate.model, 1.0)


def _size(ballot: Ballot, group: Iterable[Entry]) -> float:
    return round(math.fsum(_weight(ballot, entry) for entry in group), 6)
