"""The answer most like all the others, as text."""

from __future__ import annotations

from collections.abc import Sequence

from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.scoring import cluster
from local_swarm.consensus.scoring.outcome import Choice, conclude
from local_swarm.consensus.scoring.score import by_support
from local_swarm.consensus.scoring.similarity import text_similarity
from local_swarm.domain.verdict import Verdict

ALIKE = 0.9
"""Candidates this similar to a group's leader are counted as saying the same."""


def decide(ballot: Ballot) -> Verdict:
    """The medoid of the answers, unless more than half are equal after normalisation: then one of
    those. A better model's word counts more. Agreement is the share of candidates at least 0.9
    similar to the winner."""
    return conclude(ballot, choose(ballot, ballot.entries), "fuzzy")


def choose(ballot: Ballot, entries: Sequence[Entry]) -> Choice:
    """The same among some entries of a ballot (at least one)."""
    matrix = text_similarity(entries)
    agreed = cluster.majority(entries)
    ranked = by_support(ballot, entries, matrix)
    winner = ranked[0] if agreed is None else cluster.spokesman(agreed)
    groups = cluster.alike([winner, *(e for e in ranked if e is not winner)], ALIKE, matrix)
    return Choice(winner, groups, (_why(agreed, len(entries)),))


def _why(agreed: cluster.Cluster | None, total: int) -> str:
    if agreed is not None:
        return f"{len(agreed)} of {total} answers say the same."
    return f"No answer has a majority: the one most like the other {total - 1} was taken."
