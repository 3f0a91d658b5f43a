"""No vote: the first answer."""

from __future__ import annotations

from local_swarm.consensus.ballot import Ballot, Standing
from local_swarm.consensus.scoring.cluster import same_form
from local_swarm.consensus.scoring.outcome import Choice, conclude
from local_swarm.domain.verdict import Verdict


def decide(ballot: Ballot) -> Verdict:
    """The first candidate as given that says anything."""
    spoken = [entry for entry in ballot.entries if entry.standing is not Standing.EMPTY]
    winner = (spoken or ballot.entries)[0]
    choice = Choice(winner, same_form(ballot.entries), ("Voting is off: the first answer.",))
    return conclude(ballot, choice, "off")
