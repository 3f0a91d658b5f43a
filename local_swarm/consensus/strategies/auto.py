"""The strategy that suits what the answers are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from local_swarm.consensus import cluster
from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.extract import Kind
from local_swarm.consensus.outcome import Choice, conclude
from local_swarm.consensus.similarity import text_similarity
from local_swarm.consensus.strategies import ast, fuzzy
from local_swarm.domain.verdict import Verdict


def decide(ballot: Ballot) -> Verdict:
    """What most answers are decides how they are compared, and only those can win: tool calls and
    JSON by equality of their canonical spelling, code by `ast`, text by `fuzzy`. A strict majority
    of equal answers wins whatever the others are. A broken answer counts half; a tie goes to tool
    calls, then code, JSON, text.
    """
    kind = _kind(ballot.entries)
    entries = [entry for entry in ballot.entries if entry.answer.kind is kind]
    choice = _CHOOSERS[kind](entries)
    reasons = (f"{len(entries)} of {len(ballot)} answers are {kind.value}.", *choice.reasons)
    return conclude(ballot, Choice(choice.winner, choice.clusters, reasons), "auto")


def _kind(entries: Sequence[Entry]) -> Kind:
    """What most of the answers are: EMPTY only if all are."""
    agreed = cluster.majority(entries)
    if agreed is not None:
        return agreed[0].answer.kind
    weights = dict.fromkeys(Kind, 0.0)
    for entry in entries:
        weights[entry.answer.kind] += cluster.weight(entry)
    return max(Kind, key=lambda kind: weights[kind]) if any(weights.values()) else Kind.EMPTY


def _same_data(entries: Sequence[Entry]) -> Choice:
    """The largest group of equal data; of groups of one size the one most like the others."""
    agreed = cluster.majority(entries)
    groups = [agreed] if agreed else cluster.same_form(cluster.best_standing(entries))
    largest = max(map(len, groups))
    matrix = text_similarity(entries)
    tied = {entry.index for group in groups if len(group) == largest for entry in group}
    winner = next(e for e in cluster.by_centrality(entries, matrix) if e.index in tied)
    reason = f"{largest} of {len(entries)} have the same content."
    return Choice(winner, cluster.same_form(entries), (reason,))


_CHOOSERS: dict[Kind, Callable[[Sequence[Entry]], Choice]] = {
    Kind.TOOL_CALLS: _same_data,
    Kind.CODE: ast.choose,
    Kind.JSON: _same_data,
    Kind.TEXT: fuzzy.choose,
    Kind.EMPTY: fuzzy.choose,
}
