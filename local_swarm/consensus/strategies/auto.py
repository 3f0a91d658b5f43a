"""The strategy that suits what the answers are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from local_swarm.consensus import data
from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.execution import running
from local_swarm.consensus.reading.extract import Kind
from local_swarm.consensus.rules import abiding
from local_swarm.consensus.scoring import cluster
from local_swarm.consensus.scoring.outcome import Choice, conclude
from local_swarm.consensus.strategies import equal, fuzzy, hybrid
from local_swarm.domain.evidence import RunsWanted
from local_swarm.domain.verdict import Verdict


def decide(ballot: Ballot) -> Verdict | RunsWanted:
    """What most answers are decides how they are compared, and only those can win: tool calls and
    JSON argument by argument, code by its trees and faults (`hybrid` without characters), text by
    `fuzzy`. A strict majority of equal answers decides the kind. Those that break the request's
    rules have no say. A broken answer counts half; a tie goes to tool calls, then code, JSON, text.
    Where programs may be run, that decides among them (see `running`).
    """
    found = choose(ballot, abiding(ballot.rules, ballot.entries))
    return conclude(ballot, found, "auto") if isinstance(found, Choice) else found


def choose(ballot: Ballot, entries: Sequence[Entry]) -> Choice | RunsWanted:
    """The same among some entries of a ballot (at least one)."""
    kind = _kind(entries)
    alike = [entry for entry in entries if entry.answer.kind is kind]
    run = running.choose(ballot, alike) if kind is Kind.CODE else None
    choice = run or _CHOOSERS[kind](ballot, alike)
    if isinstance(choice, RunsWanted):
        return choice
    reasons = (f"{len(alike)} of {len(entries)} answers are {kind.value}.", *choice.reasons)
    return replace(choice, reasons=reasons)


def _kind(entries: Sequence[Entry]) -> Kind:
    """What most of the answers are: EMPTY only if all are."""
    agreed = cluster.majority(entries)
    if agreed is not None:
        return agreed[0].answer.kind
    weights = dict.fromkeys(Kind, 0.0)
    for entry in entries:
        weights[entry.answer.kind] += cluster.weight(entry)
    return max(Kind, key=lambda kind: weights[kind]) if any(weights.values()) else Kind.EMPTY


_CHOOSERS: dict[Kind, Callable[[Ballot, Sequence[Entry]], Choice]] = {
    Kind.TOOL_CALLS: data.choose,
    Kind.CODE: lambda ballot, entries: hybrid.choose(ballot, entries, characters=0.0),
    Kind.JSON: data.choose,
    Kind.EDIT: equal.choose,
    Kind.SHORT: equal.choose,
    Kind.TEXT: fuzzy.choose,
    Kind.EMPTY: fuzzy.choose,
}
