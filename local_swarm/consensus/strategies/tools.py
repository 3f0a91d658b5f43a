"""Whether to call a tool at all, then which, then with what."""

from __future__ import annotations

from local_swarm.consensus import data
from local_swarm.consensus.ballot import Ballot
from local_swarm.consensus.reading.extract import Kind
from local_swarm.consensus.rules import abiding
from local_swarm.consensus.scoring import cluster
from local_swarm.consensus.scoring.outcome import Choice, conclude
from local_swarm.consensus.strategies import auto
from local_swarm.domain.evidence import RunsWanted
from local_swarm.domain.verdict import Verdict


def decide(ballot: Ballot) -> Verdict | RunsWanted:
    """Calls against all other answers together, a broken answer counting half, a tie going to the
    calls; `auto` counts text, code and JSON apart. Calls are compared with each other, and what is
    none as `auto` compares it."""
    entries = abiding(ballot.rules, ballot.entries)
    calls = [entry for entry in entries if entry.answer.kind is Kind.TOOL_CALLS]
    others = [entry for entry in entries if entry.answer.kind is not Kind.TOOL_CALLS]
    if not calls or sum(map(cluster.weight, others)) > sum(map(cluster.weight, calls)):
        found = auto.choose(ballot, others)
        return conclude(ballot, found, "tools") if isinstance(found, Choice) else found
    choice = data.choose(ballot, calls)
    reasons = (f"{len(calls)} of {len(entries)} answers call a tool.", *choice.reasons)
    return conclude(ballot, Choice(choice.winner, choice.clusters, reasons), "tools")
