"""The life of one worker: a pure, total transition function.

`step(worker, event, ...)` returns the worker after the event and the commands its owner must
carry out. An event that makes no sense in a state raises IllegalTransition with the worker's
story; an event from an earlier life (`generation`) is ignored, because timers and exits race.
docs/states.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from local_swarm.domain.worker import Cause, WorkerState
from local_swarm.supervisor.restart import Loss, Next, RestartPolicy, after_death

STORY_LENGTH = 32


class Then(str, Enum):
    """What follows the end of a life that was asked to end."""

    STOP = "stop"
    RESTART = "restart"
    REVIVE = "revive"  # it was killed for hanging: treated as a death


# Events -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """The owner wants the worker to run."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """The process exists; it may have waited for its turn before."""

    generation: int


@dataclass(frozen=True, slots=True)
class Readied:
    """The process answered its readiness path."""

    generation: int


@dataclass(frozen=True, slots=True)
class Served:
    """A request finished on the worker."""

    generation: int


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone, or could not be started at all. `text` is for people; `smaller`,
    `crowded` and `jitter` as in `restart.Loss`."""

    generation: int
    text: str
    cause: Cause = Cause.EXITED
    smaller: bool = False
    crowded: bool = False
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class Hung:
    """The process neither answers nor works."""

    generation: int
    why: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by Arm ran out."""

    generation: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Take no new work; what runs may finish. Then end the process, and start it again or not."""

    then: Then = Then.STOP
    why: str = "asked to"


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing runs on the draining worker any more."""

    generation: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process for good."""


Event = Start | Spawned | Readied | Served | Exited | Hung | TimerFired | Drain | Drained | Stop


# Commands ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start the process of this generation and watch for readiness and exit."""

    generation: int


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask the process to end (SIGTERM)."""


@dataclass(frozen=True, slots=True)
class Kill:
    """End the process and its group (SIGKILL)."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Send TimerFired(generation) after `delay_s`. Replaces the timer armed before."""

    generation: int
    delay_s: float


@dataclass(frozen=True, slots=True)
class Disarm:
    """No timer is wanted any more."""


Command = Spawn | Terminate | Kill | Arm | Disarm


# The worker -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Worker:
    """What the supervisor knows of one worker.

    `generation` numbers its lives from 1; `restarts` counts lives after the first; `charged`
    are the times of deaths that count against the restart budget; `why` and `story` tell its last
    transition and those before. `blame` is the cause of an end that we brought about. `half_open`:
    this life is the one try of a failed worker.
    """

    id: str
    state: WorkerState = WorkerState.PENDING
    generation: int = 0
    restarts: int = 0
    charged: tuple[float, ...] = ()
    ready_since: float | None = None
    served: bool = False
    then: Then = Then.STOP
    blame: Cause | None = None
    half_open: bool = False
    why: str = ""
    story: tuple[str, ...] = ()

    @property
    def has_process(self) -> bool:
        return self.state in (
            WorkerState.STARTING,
            WorkerState.READY,
            WorkerState.DRAINING,
            WorkerState.STOPPING,
        )

    @property
    def comes_back(self) -> bool:
        """Whether it takes traffic now, or will again soon without anybody's help."""
        if self.state in (WorkerState.DRAINING, WorkerState.STOPPING):
            return self.then is not Then.STOP
        return self.state not in (WorkerState.FAILED, WorkerState.STOPPED)


class IllegalTransition(Exception):
    """An event that its worker's state does not allow: a bug in the owner, with the story."""

    def __init__(self, worker: Worker, event: Event) -> None:
        self.worker = worker
        story = "\n  ".join(worker.story)
        super().__init__(
            f"worker {worker.id}: {event} is not allowed while {worker.state.value}; "
            f"its story:\n  {story}"
        )


Step = tuple[Worker, tuple[Command, ...]]


def step(worker: Worker, event: Event, policy: RestartPolicy, now: float) -> Step:
    """The worker after `event` at `now` (monotonic seconds), and what its owner must do.

    Raises IllegalTransition.
    """
    generation = getattr(event, "generation", worker.generation)
    if generation != worker.generation:
        return worker, ()
    match event:
        case Start():
            return _start(worker, event, now)
        case Spawned():
            return _spawned(worker, policy)
        case Readied():
            return _readied(worker, event, now)
        case Served():
            return replace(worker, served=True), ()
        case Exited():
            return _exited(worker, event, policy, now)
        case Hung():
            return _hung(worker, event, now)
        case TimerFired():
            return _timer(worker, policy, now)
        case Drain():
            return _drain(worker, event, policy, now)
        case Drained():
            return _drained(worker, "drained", policy, now)
        case Stop():
            return _stop(worker, policy, now)


def _move(worker: Worker, state: WorkerState, why: str, now: float, **changes: object) -> Worker:
    line = f"{now:.3f} {worker.state.value} -> {state.value}: {why}"
    story = (*worker.story, line)[-STORY_LENGTH:]
    return replace(worker, state=state, why=why, story=story, **changes)  # type: ignore[arg-type]


def _noted(worker: Worker, why: str, now: float, **changes: object) -> Worker:
    story = (*worker.story, f"{now:.3f} {why}")[-STORY_LENGTH:]
    return replace(worker, story=story, **changes)  # type: ignore[arg-type]


def _spawn(worker: Worker, why: str, now: float, *, half_open: bool = False) -> Step:
    generation = worker.generation + 1
    moved = _move(
        worker,
        WorkerState.STARTING,
        why,
        now,
        generation=generation,
        restarts=max(0, generation - 1),
        ready_since=None,
        served=False,
        then=Then.STOP,
        blame=None,
        half_open=half_open,
    )
    return moved, (Disarm(), Spawn(generation))


def _start(worker: Worker, event: Event, now: float) -> Step:
    if worker.has_process:
        raise IllegalTransition(worker, event)
    return _spawn(worker, "asked to start", now)


def _spawned(worker: Worker, policy: RestartPolicy) -> Step:
    if worker.state is not WorkerState.STARTING:
        return worker, ()
    return worker, (Arm(worker.generation, policy.start_timeout_s),)


def _readied(worker: Worker, event: Event, now: float) -> Step:
    match worker.state:
        case WorkerState.STARTING:
            moved = _move(worker, WorkerState.READY, "ready", now, ready_since=now)
            return moved, (Disarm(),)
        case WorkerState.DRAINING | WorkerState.STOPPING:
            return worker, ()
        case _:
            raise IllegalTransition(worker, event)


def _exited(worker: Worker, event: Exited, policy: RestartPolicy, now: float) -> Step:
    match worker.state:
        case WorkerState.STOPPING | WorkerState.DRAINING if worker.then is Then.STOP:
            stopped = _move(worker, WorkerState.STOPPED, event.text, now, ready_since=None)
            return stopped, (Disarm(),)
        case WorkerState.STOPPING | WorkerState.DRAINING if worker.then is Then.RESTART:
            return _spawn(worker, "restarted", now)
        case WorkerState.STOPPING | WorkerState.STARTING | WorkerState.READY:
            return _revive(worker, event, policy, now)
        case _:
            raise IllegalTransition(worker, event)


def _revive(worker: Worker, event: Exited, policy: RestartPolicy, now: float) -> Step:
    stable = worker.ready_since is not None and now - worker.ready_since >= policy.stable_s
    loss = Loss(
        cause=worker.blame or event.cause,
        now=now,
        useful=stable or worker.served,
        half_open=worker.half_open,
        smaller=event.smaller,
        crowded=event.crowded,
        jitter=event.jitter,
    )
    decision = after_death(policy, worker.charged, loss)
    charged = replace(worker, charged=decision.charged, ready_since=None)
    why = f"{event.text}; {decision.why}" if decision.why else event.text
    match decision.next:
        case Next.AT_ONCE:
            served = " after useful service" if loss.useful else ""
            return _spawn(charged, f"{why}{served}", now)
        case Next.BACKOFF:
            why = f"{why}; again in {decision.delay_s:.2f} s"
            moved = _move(charged, WorkerState.BACKOFF, why, now)
        case Next.FAILED:
            moved = _move(charged, WorkerState.FAILED, why, now)
    return moved, (Arm(worker.generation, decision.delay_s),)


def _hung(worker: Worker, event: Hung, now: float) -> Step:
    """It would not obey SIGTERM. A worker that ends anyway goes on to do so, at once."""
    if worker.state is WorkerState.STOPPING:
        return worker, (Kill(),)
    if worker.state not in (WorkerState.READY, WorkerState.DRAINING):
        return worker, ()
    then = worker.then if worker.state is WorkerState.DRAINING else Then.REVIVE
    moved = _move(worker, WorkerState.STOPPING, event.why, now, then=then, blame=Cause.HUNG)
    return moved, (Disarm(), Kill())


def _timer(worker: Worker, policy: RestartPolicy, now: float) -> Step:
    match worker.state:
        case WorkerState.STARTING:
            why = f"not ready after {policy.start_timeout_s:g} s"
            return _noted(worker, why, now, blame=Cause.TOO_SLOW), (Kill(),)
        case WorkerState.BACKOFF:
            return _spawn(worker, "back-off over", now, half_open=worker.half_open)
        case WorkerState.FAILED:
            return _spawn(worker, "half-open try", now, half_open=True)
        case WorkerState.DRAINING:
            return _drained(worker, f"not drained after {policy.drain_timeout_s:g} s", policy, now)
        case WorkerState.STOPPING:
            return worker, (Kill(),)
        case _:
            return worker, ()  # the timer of a state that has been left


def _drain(worker: Worker, event: Drain, policy: RestartPolicy, now: float) -> Step:
    match worker.state:
        case WorkerState.READY:
            moved = _move(worker, WorkerState.DRAINING, event.why, now, then=event.then)
            return moved, (Arm(worker.generation, policy.drain_timeout_s),)
        case WorkerState.STARTING:
            return _end(worker, event.then, event.why, policy, now)
        case WorkerState.DRAINING | WorkerState.STOPPING:
            return _noted(worker, f"then {event.then.value}: {event.why}", now, then=event.then), ()
        case _ if event.then is Then.STOP:
            return _move(worker, WorkerState.STOPPED, event.why, now), (Disarm(),)
        case _:
            return _spawn(replace(worker, charged=()), event.why, now)


def _drained(worker: Worker, why: str, policy: RestartPolicy, now: float) -> Step:
    if worker.state is not WorkerState.DRAINING:
        return worker, ()
    return _end(worker, worker.then, why, policy, now)


def _end(worker: Worker, then: Then, why: str, policy: RestartPolicy, now: float) -> Step:
    moved = _move(worker, WorkerState.STOPPING, why, now, then=then, blame=Cause.ASKED)
    return moved, (Terminate(), Arm(worker.generation, policy.term_grace_s))


def _stop(worker: Worker, policy: RestartPolicy, now: float) -> Step:
    match worker.state:
        case WorkerState.STARTING | WorkerState.READY | WorkerState.DRAINING:
            return _end(worker, Then.STOP, "asked to stop", policy, now)
        case WorkerState.STOPPING:
            return replace(worker, then=Then.STOP), ()
        case WorkerState.STOPPED:
            return worker, ()
        case WorkerState.PENDING | WorkerState.BACKOFF | WorkerState.FAILED:
            return _move(worker, WorkerState.STOPPED, "asked to stop", now), (Disarm(),)
