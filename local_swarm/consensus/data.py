"""Which call, or which JSON, most answers stand behind: as wholes, else argument by argument."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set

from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.forms.fields import names
from local_swarm.consensus.reading.extract import Kind
from local_swarm.consensus.scoring import cluster
from local_swarm.consensus.scoring.agreement import agreement, known_fields
from local_swarm.consensus.scoring.outcome import Choice


def choose(ballot: Ballot, entries: Sequence[Entry]) -> Choice:
    """Of some entries of a ballot (at least one) that are all calls or all JSON.

    A strict majority of equal answers wins. Else it is decided first which functions are called
    (those that most call together), then, among those answers, with which arguments: a strict
    majority again, else the answer whose arguments the others share most.
    """
    agreed, voters = cluster.majority(entries), entries
    if agreed is None:
        voters = _alike_in_name(ballot, entries)
        agreed = cluster.majority(voters)
    winner = cluster.spokesman(agreed) if agreed else _best_supported(ballot, voters)
    reason = _why(winner, entries, by_parts=agreed is None)
    return Choice(winner, cluster.same_form(entries), (reason,))


def _alike_in_name(ballot: Ballot, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Those that call the functions which most call; of as many, those that the others share most.
    A broken answer speaks for its functions, and never alone."""
    word = _words(ballot, entries)
    called = {entry.index: names(entry.form.parts) for entry in entries}

    def support(these: tuple[str, ...]) -> tuple[float, float]:
        same = [word[index] for index, others in called.items() if others == these]
        shared = [word[index] * _overlap(these, others) for index, others in called.items()]
        return _sum(same), _sum(shared)

    able = {called[entry.index] for entry in cluster.best_standing(entries)}
    most = max(sorted(able), key=support)
    return [entry for entry in entries if called[entry.index] == most]


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    both = (Counter(one) & Counter(other)).total()
    return both / max(len(one), len(other), 1)


def _best_supported(ballot: Ballot, entries: Sequence[Entry]) -> Entry:
    """The sum of what each voter agrees with in it; then the one written most often to the letter,
    then by content."""
    word = _words(ballot, entries)
    fields = known_fields([entry.form.parts for entry in entries])
    agreed = _Agreements(fields)
    spelled = Counter(entry.raw for entry in entries)

    def rank(one: Entry) -> tuple[object, ...]:
        score = _sum([word[other.index] * agreed.between(one, other) for other in entries])
        return (-score, -spelled[one.raw], one.content)

    return min(cluster.best_standing(entries), key=rank)


class _Agreements:
    """Every pair of different forms is compared once."""

    def __init__(self, fields: Mapping[str, Set[str]]) -> None:
        self._fields = fields
        self._known: dict[frozenset[int], float] = {}

    def between(self, one: Entry, other: Entry) -> float:
        if one.form.key == other.form.key:
            return 1.0
        pair = frozenset((id(one.form), id(other.form)))
        if pair not in self._known:
            self._known[pair] = agreement(one.form.parts, other.form.parts, self._fields)
        return self._known[pair]


def _words(ballot: Ballot, entries: Sequence[Entry]) -> dict[int, float]:
    """How much the word of each counts, by index."""
    skills = ballot.evidence.skills
    return {e.index: cluster.weight(e) * skills.get(e.candidate.model, 1.0) for e in entries}


def _sum(parts: Sequence[float]) -> float:
    """Exact and rounded, so that the order of the entries cannot show in it."""
    return round(math.fsum(parts), 9)


def _why(winner: Entry, entries: Sequence[Entry], *, by_parts: bool) -> str:
    same = sum(entry.form.key == winner.form.key for entry in entries)
    is_call = winner.answer.kind is Kind.TOOL_CALLS
    if not by_parts:
        what = "make the same call" if is_call else "have the same content"
        return f"{same} of {len(entries)} {what}."
    what, parts = ("call", "arguments") if is_call else ("content", "fields")
    return (
        f"No {what} has a majority: the one whose {parts} have most support was taken"
        f" ({same} of {len(entries)} have it)."
    )
