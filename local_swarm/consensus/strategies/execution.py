"""The program whose behaviour most others share, found by running them all."""

from __future__ import annotations

from dataclasses import replace

from local_swarm.consensus.ballot import Ballot
from local_swarm.consensus.strategies import auto
from local_swarm.domain.evidence import Wanted
from local_swarm.domain.verdict import Verdict


def decide(ballot: Ballot) -> Verdict | Wanted:
    """As `auto` does where programs may be run: those that pass the prompt's own examples first,
    then by agreement on calls of many kinds (see `running`). Whatever cannot be run is decided
    as `auto` does without."""
    found = auto.decide(ballot)
    return replace(found, strategy="execution") if isinstance(found, Verdict) else found
