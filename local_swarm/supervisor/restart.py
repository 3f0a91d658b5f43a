"""When a dead worker comes back: a pure policy.

What follows depends on why it died. A death after useful service restarts at once and is not
charged. Other deaths back off exponentially with jitter on a budget of so many in a window, its own
and one of the whole swarm; past either the worker has failed, and is tried again, one life at a
time, every `half_open_s`. What no restart cures (a bad model, bad flags) fails at once. A worker
that ran out of memory and can be made smaller comes back so, uncharged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from local_swarm.domain.worker import Cause


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Times in seconds; `budget` charged deaths of one worker within `window_s` are the most
    allowed, and `swarm_budget` of all workers."""

    budget: int = 5
    swarm_budget: int = 20
    window_s: float = 60.0
    backoff_initial_s: float = 0.5
    backoff_max_s: float = 30.0
    stable_s: float = 1.0
    start_timeout_s: float = 120.0
    term_grace_s: float = 5.0
    half_open_s: float = 60.0
    drain_timeout_s: float = 60.0


class Cure(str, Enum):
    """What helps against a cause of death."""

    AGAIN = "again"
    SMALLER = "smaller"  # the same would run out of memory again
    NONE = "none"  # until somebody mends it


_CURES = {
    Cause.OUT_OF_MEMORY: Cure.SMALLER,
    Cause.DEVICE_MEMORY: Cure.SMALLER,
    Cause.BAD_MODEL: Cure.NONE,
    Cause.BAD_FLAGS: Cure.NONE,
    Cause.NOT_RUN: Cure.NONE,
}


def cure_of(cause: Cause) -> Cure:
    return _CURES.get(cause, Cure.AGAIN)


class Next(str, Enum):
    """What follows a death."""

    AT_ONCE = "at_once"
    BACKOFF = "backoff"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Loss:
    """A death at `now` (monotonic seconds): why, whether the life had served (`useful`), whether it
    was the one try of a failed worker (`half_open`), whether the next life will be `smaller`,
    whether the swarm's budget is spent (`crowded`). `jitter` (0 to 1) spreads the delay between
    half and all of its value."""

    cause: Cause
    now: float
    useful: bool = False
    half_open: bool = False
    smaller: bool = False
    crowded: bool = False
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """`delay_s` before the next life; `charged` are the charged deaths (times) still counted."""

    next: Next
    delay_s: float
    charged: tuple[float, ...]
    why: str = ""


def after_death(policy: RestartPolicy, charged: tuple[float, ...], loss: Loss) -> Decision:
    """Decides what follows. `charged` are the times of the worker's earlier charged deaths."""
    recent = tuple(recent_of(policy, charged, loss.now))
    if loss.smaller:
        return Decision(Next.BACKOFF, policy.backoff_initial_s, recent, "with a smaller plan")
    if loss.useful:
        return Decision(Next.AT_ONCE, 0.0, recent)
    recent = (*recent, loss.now)
    if (why := _hopeless(policy, recent, loss)) is not None:
        return Decision(Next.FAILED, policy.half_open_s, recent, why)
    if loss.cause is Cause.PORT_TAKEN:  # the next life has another
        return Decision(Next.AT_ONCE, 0.0, recent)
    exponent = min(len(recent) - 1, 30)
    full = min(policy.backoff_max_s, policy.backoff_initial_s * float(2**exponent))
    return Decision(Next.BACKOFF, full * (0.5 + 0.5 * loss.jitter), recent)


def _hopeless(policy: RestartPolicy, recent: tuple[float, ...], loss: Loss) -> str | None:
    """Why there is no use in another try soon; None where there is."""
    if cure_of(loss.cause) is Cure.NONE:
        return "no restart cures that"
    if loss.half_open:
        return "it failed again"
    if len(recent) > policy.budget:
        return f"{len(recent)} deaths in {policy.window_s:g} s"
    if loss.crowded:
        return f"{policy.swarm_budget} deaths of all workers in {policy.window_s:g} s"
    return None


def recent_of(policy: RestartPolicy, charged: Iterable[float], now: float) -> Iterable[float]:
    return (t for t in charged if now - t < policy.window_s)


def is_crowded(policy: RestartPolicy, charged: Iterable[float], now: float) -> bool:
    """Whether the charged deaths of all workers have spent the swarm's budget."""
    return sum(1 for _ in recent_of(policy, charged, now)) >= policy.swarm_budget
