"""Whether a worker that takes traffic hangs: a pure judgement over what is seen of it.

A busy worker is not a dead one, and a slow answer says nothing: llama-server answers no question
while it computes a batch, which takes a minute on a slow machine. So a worker hangs only where
there is work for it and it shows no progress of any kind: no token, no slot that moves, no CPU
time. One with layers on an accelerator may wait for that without using the CPU; there an answer of
its HTTP thread counts as work. One that works and yet brings nothing for a long time hangs too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

WORKING_SHARE = 0.02  # of one core: less is what an idle server's own threads use
MOST_BETWEEN_S = 10.0
"""Between two looks; longer, and it was we who were not running."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, see the settings of the same names."""

    hang_timeout_s: float = 30.0
    stall_timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen of one life of a worker at `now` (monotonic seconds).

    `wanted`: requests are under way. `heard` grows with whatever the gateway gets from the worker.
    `stopped`: by a signal. `cpu_s` its CPU time so far. `answers`: its HTTP server does. `slots`
    tells what its busy slots have done so far, where it `tells` that at all. None is "not known".
    """

    now: float
    wanted: bool
    heard: int
    stopped: bool = False
    cpu_s: float | None = None
    answers: bool | None = None
    slots: tuple[object, ...] | None = None
    tells: bool = True
    on_device: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """The last look, when it last showed `progress`, and when at least some `work`."""

    last: Look
    progress: float
    work: float
    continued: bool = False

    @classmethod
    def begin(cls, look: Look) -> Track:
        return cls(look, look.now, look.now)

    @property
    def quiet_s(self) -> float:
        """How long there has been no progress."""
        return self.last.now - self.progress


class Finding(str, Enum):
    FINE = "fine"
    STOPPED = "stopped"  # it should be told to go on
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class Judgement:
    track: Track
    finding: Finding = Finding.FINE
    why: str = ""


def judge(track: Track, look: Look, limits: Limits) -> Judgement:
    """What follows from one more look at the same life."""
    if look.stopped:
        return _stopped(track, look)
    track = _shifted(track, look)
    progress = look.now if _is_progress(track.last, look) else track.progress
    work = look.now if progress == look.now or _is_work(track.last, look) else track.work
    track = Track(look, progress, work)
    if look.now - work >= limits.hang_timeout_s:
        why = f"no answer and no work for {look.now - work:.0f} s"
        return Judgement(track, Finding.HUNG, why)
    if track.quiet_s >= limits.stall_timeout_s:
        return Judgement(track, Finding.HUNG, f"no progress for {track.quiet_s:.0f} s")
    return Judgement(track)


def _stopped(track: Track, look: Look) -> Judgement:
    if track.continued:
        why = "it was stopped by a signal and does not go on"
        return Judgement(replace(track, last=look), Finding.HUNG, why)
    return Judgement(replace(track, last=look, continued=True), Finding.STOPPED)


def _shifted(track: Track, look: Look) -> Track:
    """Time in which nobody looked does not count against the worker: the machine slept, or we."""
    missed = look.now - track.last.now
    if missed <= MOST_BETWEEN_S:
        return track
    return replace(track, progress=track.progress + missed, work=track.work + missed)


def _is_progress(before: Look, look: Look) -> bool:
    """Slots that are idle bring nothing, and need not: nothing of what is wanted is theirs."""
    if not look.wanted or look.heard != before.heard:
        return True
    if not look.tells:
        return look.answers is not False  # what cannot be seen is not held against it
    return look.slots is not None and (not look.slots or look.slots != before.slots)


def _is_work(before: Look, look: Look) -> bool:
    if look.slots is not None or (look.answers and look.on_device):
        return True
    if look.cpu_s is None or before.cpu_s is None:
        return look.answers is not False  # nobody has asked, or could
    return look.cpu_s - before.cpu_s >= WORKING_SHARE * (look.now - before.now)
