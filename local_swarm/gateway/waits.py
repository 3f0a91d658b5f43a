"""How long a request that comes now is likely to wait. Pure arithmetic over what was seen.

While requests of a kind wait, the time between two of them being served says all there is to say
about speed: how long answers take, how many run beside each other, workers that are away. So the
estimate is that time for each request ahead. Before there is one, it is how long slots are held.
"""

from __future__ import annotations

from dataclasses import dataclass

SMOOTHING = 0.2  # weight of the newest value in a running mean
RESIDUAL = 0.75  # of an interval until the next one is served: a half if steady, one if random


@dataclass(slots=True)
class Waits:
    """What was seen of one kind of request (voted, or solo). Times are seconds of one clock."""

    hold_s: float = 1.0
    _interval_s: float | None = None
    _served_at: float | None = None

    def served(self, now_s: float, *, waiting: int) -> None:
        """One that had waited was given its slots; so many of its kind wait still."""
        if self._served_at is not None:
            self._interval_s = _mean(self._interval_s, now_s - self._served_at)
        self._served_at = now_s if waiting else None

    def emptied(self) -> None:
        """Nobody waits any more: the next interval would be one of idleness."""
        self._served_at = None

    def held(self, seconds: float) -> None:
        """A request of the kind has given its slots back."""
        self.hold_s += SMOOTHING * (seconds - self.hold_s)

    def expected_s(self, ahead: int, beside: int) -> float:
        """For a request with `ahead` before it, of which `beside` can run at once."""
        interval_s = self._interval_s
        if interval_s is None:
            interval_s = self.hold_s / max(1, beside)
        return (ahead + RESIDUAL) * interval_s


def _mean(known: float | None, value: float) -> float:
    return value if known is None else known + SMOOTHING * (value - known)
