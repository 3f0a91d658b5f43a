"""The answer that is best made: whole, without faults, of the usual length and structure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.scoring.cluster import same_form
from local_swarm.consensus.scoring.merits import merits
from local_swarm.consensus.scoring.outcome import Choice, conclude
from local_swarm.consensus.scoring.score import ranked, scores, support, weights
from local_swarm.consensus.scoring.similarity import Matrix
from local_swarm.domain.verdict import Verdict

_STRUCTURE = re.compile(r"^[ \t]*(?:[A-Za-z_]+\b|[-*#>|`]+|\d+[.)])", re.MULTILINE)
_LENGTHS_APART = 0.5
"""By so much the logarithms of two lengths may differ for them to be much alike."""


def decide(ballot: Ballot) -> Verdict:
    """Completeness first (an answer that was cut off or does not parse never beats a whole one),
    then a score: faults that can be seen in a program, and how far length and structure are like
    those of the others. What the answers say is not compared."""
    return conclude(ballot, choose(ballot, ballot.entries), "quality")


def choose(ballot: Ballot, entries: Sequence[Entry]) -> Choice:
    """The same among some entries of the ballot (at least one)."""
    own = merits(ballot, entries)
    given = support(weights(ballot, entries, own), _alike(entries))
    winner = ranked(entries, scores(entries, own, given))[0]
    faulty = sum(bool(merit.faults) for merit in own)
    reason = (
        "The answer was taken that is whole, has least faults, and the usual length and structure"
        f" ({faulty} of {len(entries)} have faults)."
    )
    return Choice(winner, same_form(entries), (reason,))


def _alike(entries: Sequence[Entry]) -> Matrix:
    """Half by length, half by how the lines begin."""
    lengths = [math.log1p(len(entry.form.text)) for entry in entries]
    shapes = [frozenset(_STRUCTURE.findall(entry.form.text)) for entry in entries]
    return tuple(
        tuple(
            0.5 * math.exp(-(((one - other) / _LENGTHS_APART) ** 2)) + 0.5 * _shared(mine, theirs)
            for other, theirs in zip(lengths, shapes, strict=True)
        )
        for one, mine in zip(lengths, shapes, strict=True)
    )


def _shared(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0
