"""Whether a vote is decided before all answers are there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TypeVar

from local_swarm.consensus.ballot import Ballot, Entry, Standing, prepare
from local_swarm.consensus.forms.fields import names
from local_swarm.consensus.reading.extract import Kind
from local_swarm.consensus.rules import keeping
from local_swarm.consensus.scoring import cluster
from local_swarm.consensus.scoring.merits import faultless
from local_swarm.consensus.strategies.registry import find
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import Aid, Evidence
from local_swarm.domain.rules import Rules
from local_swarm.domain.verdict import Verdict

_DATA = frozenset({Kind.TOOL_CALLS, Kind.JSON})


def settled(
    prompt: str,
    candidates: Sequence[str | Candidate],
    missing: int,
    *,
    strategy: str,
    rules: Rules | None = None,
    evidence: Evidence | None = None,
    sure: float = 1.0,
) -> bool:
    """Whether a vote may end although `missing` answers have not come.

    With `sure` at 1 only where they can say what they like: the winner of the `strategy` would
    still be one of those that win among `candidates` now, by its normal form. Where counts decide,
    that is known early: a strict majority of equal answers that are whole (`ast`, `fuzzy`; in
    `auto` and `hybrid` a program must have no fault), and in `auto` a lead in tool calls or JSON
    that cannot be made up. Where likeness or order decides it is never known.

    Below 1 also where the verdict on two or more answers is that confident: at 0.75 a vote of up to
    8 programs used 6.0 of them and lost 0.1 points (docs/voting.md). Programs that are to be run
    settle nothing before they are. Pure; takes as long as a vote does. Raises ValueError without
    candidates.
    """
    ballot = prepare(prompt, candidates, rules, evidence)
    heeds_rules = strategy in _HEED_RULES
    entries = keeping(ballot.rules, ballot.entries) if heeds_rules else list(ballot.entries)
    if not entries or strategy not in _LAWS:
        return False
    if Aid.RUNS in ballot.evidence.able and any(e.answer.kind is Kind.CODE for e in entries):
        return False
    return any(law(ballot, entries, missing) for law in _LAWS[strategy]) or (
        sure < 1 < len(entries) and _is_sure(ballot, strategy, sure)
    )


def _is_sure(ballot: Ballot, strategy: str, sure: float) -> bool:
    verdict = find(strategy)(replace(ballot, evidence=replace(ballot.evidence, able=frozenset())))
    return isinstance(verdict, Verdict) and verdict.confidence >= sure


def _majority(ballot: Ballot, entries: Sequence[Entry], missing: int) -> bool:
    """More than half of all that may ever speak are the same and whole."""
    return _outnumbers(_largest(entries), entries, missing)


def _faultless_majority(ballot: Ballot, entries: Sequence[Entry], missing: int) -> bool:
    """The same, and programs have no fault."""
    largest = _largest(entries)
    if not _outnumbers(largest, entries, missing):
        return False
    return _outnumbers(faultless(ballot, largest), entries, missing)


def _largest(entries: Sequence[Entry]) -> Sequence[Entry]:
    spoken = [entry for entry in entries if entry.standing is not Standing.EMPTY]
    return max(cluster.same_form(spoken), key=len, default=())


def _outnumbers(group: Sequence[Entry], entries: Sequence[Entry], missing: int) -> bool:
    spoken = sum(entry.standing is not Standing.EMPTY for entry in entries)
    return 2 * len(group) > spoken + missing and group[0].answer.sound


def _lead(ballot: Ballot, entries: Sequence[Entry], missing: int) -> bool:
    """Data stays the kind of most answers, the functions most called stay so, and more than half of
    all that may ever call those make the same call."""
    spoken = [entry for entry in entries if entry.standing is not Standing.EMPTY]
    kind = _leading([(e.answer.kind, e) for e in spoken], missing)
    if kind not in _DATA or _may_be_outnumbered(kind, spoken, missing):
        return False
    alike = [(names(e.form.parts), e) for e in spoken if e.answer.kind is kind]
    called = _leading(alike, missing)
    voters = [entry for these, entry in alike if these == called]
    largest = max(map(_whole, cluster.same_form(voters)), default=0)
    return 2 * largest > len(voters) + missing


def _may_be_outnumbered(kind: Kind, spoken: Sequence[Entry], missing: int) -> bool:
    """By equal answers of another kind: more than half of all decide the kind, broken ones too."""
    others = cluster.same_form([entry for entry in spoken if entry.answer.kind is not kind])
    return 2 * (max(map(len, others), default=0) + missing) > len(spoken) + missing


_Group = TypeVar("_Group", bound=Hashable)


def _leading(entries: Sequence[tuple[_Group, Entry]], missing: int) -> _Group | None:
    """The group that outweighs every other by more than all that are missing, if one does."""
    weights: dict[_Group, float] = {}
    for group, entry in entries:
        weights[group] = weights.get(group, 0.0) + cluster.weight(entry)
    if not weights:
        return None
    leading = max(weights, key=lambda group: weights[group])
    others = max((weights[group] for group in weights if group != leading), default=0.0)
    return leading if weights[leading] > others + missing else None


def _whole(group: cluster.Cluster) -> int:
    return sum(entry.standing is Standing.SOUND for entry in group)


_Law = Callable[[Ballot, Sequence[Entry], int], bool]
_LAWS: dict[str, tuple[_Law, ...]] = {
    "auto": (_faultless_majority, _lead),
    "hybrid": (_faultless_majority,),
    "ast": (_majority,),
    "fuzzy": (_majority,),
    "quality": (),
    "similarity": (),
    "tools": (),
}
"""Strategies that are not here are never settled early."""

_HEED_RULES = frozenset(("auto", "tools"))
"""For the others an answer that breaks the request's rules counts like any."""
