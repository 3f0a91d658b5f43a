"""The answer most like all the others, as text."""

from __future__ import annotations

from collections.abc import Sequence

from local_swarm.consensus import cluster
from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.outcome import Choice, conclude
from local_swarm.consensus.similarity import text_similarity
from local_swarm.domain.verdict import Verdict

ALIKE = 0.9
"""Candidates this similar to a group's leader are counted as saying the same."""


def decide(ballot: Ballot) -> Verdict:
    """The medoid of the answers, unless more than half are equal after normalisation: then one of
    those. Agreement is the share of candidates at least 0.9 similar to the winner."""
    return conclude(ballot, choose(ballot.entries), "fuzzy")


def choose(entries: Sequence[Entry]) -> Choice:
    """The same among some entries of a ballot (at least one)."""
    matrix = text_similarity(entries)
    may_win = cluster.best_standing(entries)
    agreed = cluster.majority(entries)
    ranked = cluster.by_centrality(entries, matrix)
    able = {entry.index for entry in may_win}
    central = next(entry for entry in ranked if entry.index in able)
    winner = central if agreed is None else cluster.spokesman(agreed)
    groups = cluster.alike([winner, *(e for e in ranked if e is not winner)], ALIKE, matrix)
    return Choice(winner, groups, (_why(agreed, len(entries)),))


def _why(agreed: cluster.Cluster | None, total: int) -> str:
    if agreed is not None:
        return f"{len(agreed)} of {total} answers say the same."
    return f"No answer has a majority: the one most like the other {total - 1} was taken."
