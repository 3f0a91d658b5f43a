"""When a dead worker comes back: a pure policy.

A death after useful service restarts at once and is not charged. Other deaths back off
exponentially with jitter on a budget of so many in a window; past the budget the worker has
failed, and is tried again, one life at a time, every `half_open_s`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Times in seconds; `budget` charged deaths within `window_s` are the most allowed."""

    budget: int = 5
    window_s: float = 60.0
    backoff_initial_s: float = 0.5
    backoff_max_s: float = 30.0
    stable_s: float = 1.0
    start_timeout_s: float = 120.0
    term_grace_s: float = 5.0
    half_open_s: float = 60.0


class Next(str, Enum):
    """What follows a death."""

    AT_ONCE = "at_once"
    BACKOFF = "backoff"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Decision:
    """`delay_s` before the next life; `charged` are the charged deaths (times) still counted."""

    next: Next
    delay_s: float
    charged: tuple[float, ...]


def after_death(
    policy: RestartPolicy,
    charged: tuple[float, ...],
    *,
    useful: bool,
    now: float,
    jitter: float,
) -> Decision:
    """Decides what follows a death at `now` (monotonic seconds).

    `charged` are the times of earlier charged deaths, `useful` says whether this life served,
    `jitter` (0 to 1) spreads the delay between half and all of its value.
    """
    recent = tuple(t for t in charged if now - t < policy.window_s)
    if useful:
        return Decision(Next.AT_ONCE, 0.0, recent)
    recent = (*recent, now)
    if len(recent) > policy.budget:
        return Decision(Next.FAILED, policy.half_open_s, recent)
    exponent = min(len(recent) - 1, 30)
    full = min(policy.backoff_max_s, policy.backoff_initial_s * float(2**exponent))
    return Decision(Next.BACKOFF, full * (0.5 + 0.5 * jitter), recent)
