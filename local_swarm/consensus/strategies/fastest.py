"""The answer that came first."""

from __future__ import annotations

from local_swarm.consensus.ballot import Ballot, Standing
from local_swarm.consensus.scoring.cluster import same_form
from local_swarm.consensus.scoring.outcome import Choice, conclude
from local_swarm.domain.verdict import Verdict


def decide(ballot: Ballot) -> Verdict:
    """The smallest `elapsed_s` among candidates that say anything, ties to the first given."""
    spoken = [entry for entry in ballot.entries if entry.standing is not Standing.EMPTY]
    winner = min(spoken or ballot.entries, key=lambda e: (e.candidate.elapsed_s, e.index))
    reason = f"The first answer, after {winner.candidate.elapsed_s:.1f} s."
    return conclude(ballot, Choice(winner, same_form(ballot.entries), (reason,)), "fastest")
