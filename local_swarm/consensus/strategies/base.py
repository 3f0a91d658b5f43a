"""What a strategy is."""

from __future__ import annotations

from typing import Protocol

from local_swarm.consensus.ballot import Ballot
from local_swarm.domain.evidence import Wanted
from local_swarm.domain.verdict import Verdict


class Strategy(Protocol):
    """Decides a ballot, purely, or says what it must know first: that is then found out, and it is
    asked again with it in `ballot.evidence`. It may want only what is in `ballot.evidence.able`;
    what cannot be had is gone from there the next time. The winner is one of the entries, whatever
    they say; an entry that says nothing wins only where all do."""

    def __call__(self, ballot: Ballot, /) -> Verdict | Wanted: ...
