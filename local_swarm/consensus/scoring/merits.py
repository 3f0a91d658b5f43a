"""What an answer is worth by itself, whatever the others say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.lint import Findings, lint
from local_swarm.consensus.parsing import syntax
from local_swarm.consensus.reading.extract import Kind
from local_swarm.consensus.scoring.weights import CERTAINTY, FAULTS, LEAST_LOGPROB, USUAL_LOGPROB

MOST_PLACES = 3
"""A fault counts for no more places than these: it is one misunderstanding."""


@dataclass(frozen=True, slots=True)
class Merit:
    """`value` is in natural log odds: 0 with nothing for or against it, less with faults. `faults`
    are their names."""

    value: float = 0.0
    faults: tuple[str, ...] = ()


def merits(ballot: Ballot, entries: Sequence[Entry]) -> list[Merit]:
    """In the order of the entries. Only Python that compiles has faults; how sure a model was of
    its own words counts for any answer."""
    known: dict[str, Findings | None] = {}
    found = []
    for entry in entries:
        text = entry.answer.text
        if text not in known:
            known[text] = findings(ballot, entry)
        faults = faults_of(known[text])
        value = math.fsum([*(FAULTS[name] * size for name, size in faults), certainty(entry)])
        found.append(Merit(value, tuple(name for name, _ in faults)))
    return found


def faultless(ballot: Ballot, entries: Sequence[Entry]) -> list[Entry]:
    """Those against which nothing was found."""
    return [e for e, m in zip(entries, merits(ballot, entries), strict=True) if not m.faults]


def faults_of(findings: Findings | None) -> list[tuple[str, float]]:
    """The faults that weigh something and their sizes: 1 for one place, 2 for three and more."""
    if findings is None:
        return []
    places = [(name, int(getattr(findings, name))) for name in FAULTS]
    return [(name, math.log2(1 + min(count, MOST_PLACES))) for name, count in places if count]


def certainty(entry: Entry) -> float:
    """By the log-probabilities that the engine told; 0 where it told none. A usual answer has 0."""
    told = (entry.candidate.mean_logprob, entry.candidate.lowest_logprob)
    return math.fsum(
        weight * (max(least, min(0.0, value)) - usual)
        for value, weight, usual, least in zip(
            told, CERTAINTY, USUAL_LOGPROB, LEAST_LOGPROB, strict=True
        )
        if value is not None
    )


def findings(ballot: Ballot, entry: Entry) -> Findings | None:
    """None where there is nothing to look at: it is no Python, or does not compile."""
    is_python = entry.answer.kind is Kind.CODE and not entry.answer.language
    if not is_python or not entry.answer.sound:
        return None
    module = syntax.parse(entry.answer.text)
    return None if module is None else lint(module, ballot.header, ballot.prompt)
