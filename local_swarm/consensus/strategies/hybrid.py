"""Programs by all that can be seen of them: their trees, their characters, their faults."""

from __future__ import annotations

import math
from collections.abc import Sequence

from local_swarm.consensus.ballot import Ballot, Entry, Standing
from local_swarm.consensus.scoring import cluster
from local_swarm.consensus.scoring.confidence import of_program
from local_swarm.consensus.scoring.merits import Merit, merits
from local_swarm.consensus.scoring.outcome import Choice, conclude
from local_swarm.consensus.scoring.score import mixed, ranked, scores, support, weights
from local_swarm.consensus.scoring.similarity import Matrix, text_similarity, tree_similarity
from local_swarm.consensus.scoring.weights import RISKS
from local_swarm.domain.verdict import Verdict

CHARACTERS = 0.3
"""The part of the characters in the likeness of two programs; the rest is that of their trees."""


def decide(ballot: Ballot) -> Verdict:
    """The best score wins (see `score`): likeness to the other answers by syntax tree and by
    characters, each one's word weighed by what speaks against it, and the answer's own faults. A
    strict majority of equal answers without a fault wins at once; else only answers in the form and
    language that most are in compete, and broken ones never beat whole ones of these."""
    return conclude(ballot, choose(ballot, ballot.entries), "hybrid")


def choose(ballot: Ballot, entries: Sequence[Entry], characters: float = CHARACTERS) -> Choice:
    """The same among some entries of the ballot (at least one)."""
    own = dict(zip([entry.index for entry in entries], merits(ballot, entries), strict=True))
    agreed = _agreed(entries, own)
    rivals = cluster.of_one_class(agreed or entries, entries)
    kernel = likeness(rivals, characters)
    merit = [own[entry.index] for entry in rivals]
    score = scores(rivals, merit, support(weights(ballot, rivals, merit), kernel))
    winner = ranked(agreed or rivals, score)[0]
    row = kernel[rivals.index(winner)]
    alike = math.fsum(k * cluster.weight(e) for k, e in zip(row, rivals, strict=True))
    same = sum(entry.form.key == winner.form.key for entry in entries)
    return Choice(
        winner,
        cluster.same_form(entries),
        (_why(same, len(entries), agreed is not None), *_remarks(winner, own)),
        of_program(
            same,
            len(ballot),
            alike - cluster.weight(winner),
            own[winner.index].value,
            winner.standing,
        ),
    )


def likeness(entries: Sequence[Entry], characters: float) -> Matrix:
    """1 for the same normal form; by characters alone where there is no tree."""
    parts = [(1 - characters, tree_similarity(entries))]
    if characters:
        parts.append((characters, text_similarity(entries)))
    return mixed(*parts)


def _agreed(entries: Sequence[Entry], own: dict[int, Merit]) -> Sequence[Entry] | None:
    """Of a strict majority of equal answers those without a fault, if they are one themselves."""
    agreed = cluster.majority(entries)
    if agreed is None or not agreed[0].answer.sound:
        return None
    spoken = sum(entry.standing is not Standing.EMPTY for entry in entries)
    clean = [entry for entry in agreed if not own[entry.index].faults]
    return clean if 2 * len(clean) > spoken else None


def _why(same: int, total: int, agreed: bool) -> str:
    if agreed:
        return f"{same} of {total} answers are the same program."
    return (
        "No program without a fault has a majority: the one best supported by the others was taken"
        f" ({same} of {total} have its form)."
    )


def _remarks(winner: Entry, own: dict[int, Merit]) -> list[str]:
    faults = {index: set(merit.faults) - RISKS for index, merit in own.items()}
    faulty = sum(map(bool, faults.values()))
    if not faulty:
        return []
    names = sorted(set().union(*faults.values()))
    told = ", ".join(name.replace("_", " ") for name in names)
    remarks = [f"{faulty} of {len(own)} programs have faults: {told}."]
    if faults[winner.index]:
        remarks.append("The winner has one itself.")
    return remarks
