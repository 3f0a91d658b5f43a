"""The outcome of a vote."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`index` is the winner's place in the candidates as they were given.

    `agreement` is the share of all candidates in the winner's cluster, 0 to 1; `confidence` is
    the estimated probability that the winner is right, 0 to 1; `clusters` hold the indices of
    candidates that say the same, largest first; `reasons` tell a person why.
    """

    index: int
    agreement: float
    confidence: float
    strategy: str
    clusters: tuple[tuple[int, ...], ...] = ()
    reasons: tuple[str, ...] = ()

    def __index__(self) -> int:
        """So that `candidates[verdict]` is the winner."""
        return self.index
