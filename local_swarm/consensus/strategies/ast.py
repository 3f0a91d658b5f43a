"""The program that most answers are, by their syntax trees."""

from __future__ import annotations

from collections.abc import Sequence

from local_swarm.consensus import cluster
from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.extract import Kind
from local_swarm.consensus.outcome import Choice, conclude
from local_swarm.consensus.similarity import tree_similarity
from local_swarm.domain.verdict import Verdict


def decide(ballot: Ballot) -> Verdict:
    """A tree that more than half of the candidates share wins. Short of that the medoid does,
    by the likeness of trees: a mere plurality of weak models is often a trivial answer on which
    they happen to meet. Python that compiles beats everything else.
    """
    return conclude(ballot, choose(ballot.entries), "ast")


def choose(entries: Sequence[Entry]) -> Choice:
    """The same among some entries of a ballot (at least one)."""
    programs = [entry for entry in entries if entry.answer.kind is Kind.CODE and entry.answer.sound]
    may_win = programs or cluster.best_standing(entries)
    groups = cluster.same_form(entries)
    agreed = cluster.majority(may_win, len(entries))
    if agreed is not None:
        reason = f"{len(agreed)} of {len(entries)} answers are the same program."
        return Choice(cluster.spokesman(agreed), groups, (reason,))
    winner = _medoid(entries, may_win)
    shared = sum(entry.form.key == winner.form.key for entry in entries)
    return Choice(winner, groups, (_why(shared, len(entries)),))


def _medoid(entries: Sequence[Entry], may_win: Sequence[Entry]) -> Entry:
    able = {entry.index for entry in may_win}
    ranked = cluster.by_centrality(entries, tree_similarity(entries))
    return next(entry for entry in ranked if entry.index in able)


def _why(shared: int, total: int) -> str:
    return (
        f"No program has a majority: the one most like the other {total - 1} was taken"
        f" ({shared} of {total} have its form)."
    )
