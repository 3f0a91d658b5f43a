"""What a strategy is."""

from __future__ import annotations

from typing import Protocol

from local_swarm.consensus.ballot import Ballot
from local_swarm.domain.verdict import Verdict


class Strategy(Protocol):
    """Decides a ballot, purely. The winner is one of its entries, whatever they say; an entry that
    says nothing wins only where all do."""

    def __call__(self, ballot: Ballot, /) -> Verdict: ...
