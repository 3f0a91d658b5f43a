"""The program that most answers are, by their syntax trees."""

from __future__ import annotations

from collections.abc import Sequence

from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.reading.extract import Kind
from local_swarm.consensus.scoring import cluster
from local_swarm.consensus.scoring.outcome import Choice, conclude
from local_swarm.consensus.scoring.score import by_support
from local_swarm.consensus.scoring.similarity import text_similarity, tree_similarity
from local_swarm.domain.verdict import Verdict


def decide(ballot: Ballot) -> Verdict:
    """What more than half of the candidates are wins. Short of that the medoid does, by the
    likeness of trees: a mere plurality of weak models is often a trivial answer on which they
    happen to meet. Python that compiles then beats everything else, unless more of the code is of
    other languages: that is compared as text, and wins.
    """
    return conclude(ballot, choose(ballot, ballot.entries), "ast")


def choose(ballot: Ballot, entries: Sequence[Entry]) -> Choice:
    """The same among some entries of a ballot (at least one)."""
    groups = cluster.same_form(entries)
    agreed = cluster.majority(entries)
    if agreed is not None:
        what = "are the same program" if agreed[0].answer.kind is Kind.CODE else "say the same"
        reason = f"{len(agreed)} of {len(entries)} answers {what}."
        return Choice(cluster.spokesman(agreed), groups, (reason,))
    winner = _medoid(ballot, entries)
    shared = sum(entry.form.key == winner.form.key for entry in entries)
    return Choice(winner, groups, (_why(shared, len(entries)),))


def _medoid(ballot: Ballot, entries: Sequence[Entry]) -> Entry:
    code = [entry for entry in entries if entry.answer.kind is Kind.CODE]
    foreign = [entry for entry in code if entry.answer.language]
    python = [entry for entry in code if not entry.answer.language]
    if sum(map(cluster.weight, foreign)) > sum(map(cluster.weight, python)):
        may_win, matrix = cluster.best_standing(foreign), text_similarity(entries)
    else:
        programs = [entry for entry in python if entry.answer.sound]
        may_win, matrix = programs or cluster.best_standing(entries), tree_similarity(entries)
    able = {entry.index for entry in may_win}
    return next(e for e in by_support(ballot, entries, matrix) if e.index in able)


def _why(shared: int, total: int) -> str:
    return (
        f"No program has a majority: the one most like the other {total - 1} was taken"
        f" ({shared} of {total} have its form)."
    )
