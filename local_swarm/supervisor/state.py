"""The life of one worker: a pure, total transition function.

`step(worker, event, ...)` returns the worker after the event and the commands its owner must
carry out. An event that makes no sense in a state raises IllegalTransition with the worker's
story; an event from an earlier life (`generation`) is ignored, because timers and exits race.
docs/states.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from local_swarm.domain.worker import WorkerState
from local_swarm.supervisor.restart import Next, RestartPolicy, after_death

STORY_LENGTH = 32


# Events -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """The owner wants the worker to run."""


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
    """The process is gone, or could not be started at all. `cause` is for people."""

    generation: int
    cause: str
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by Arm ran out."""

    generation: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Take no new work; what runs may finish."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process for good."""


Event = Start | Readied | Served | Exited | TimerFired | Drain | Stop


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


Command = Spawn | Terminate | Kill | Arm


# The worker -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Worker:
    """What the supervisor knows of one worker.

    `generation` numbers its lives from 1; `restarts` counts lives after the first; `charged`
    are the times of deaths that count against the restart budget; `story` its last transitions.
    """

    id: str
    state: WorkerState = WorkerState.PENDING
    generation: int = 0
    restarts: int = 0
    charged: tuple[float, ...] = ()
    ready_since: float | None = None
    served: bool = False
    story: tuple[str, ...] = ()

    @property
    def has_process(self) -> bool:
        return self.state in (
            WorkerState.STARTING,
            WorkerState.READY,
            WorkerState.DRAINING,
            WorkerState.STOPPING,
        )


class IllegalTransition(Exception):
    """An event that its worker's state does not allow: a bug in the owner, with the story."""

    def __init__(self, worker: Worker, event: Event) -> None:
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
            return _start(worker, event, policy, now)
        case Readied():
            return _readied(worker, event, now)
        case Served():
            return replace(worker, served=True), ()
        case Exited():
            return _exited(worker, event, policy, now)
        case TimerFired():
            return _timer(worker, event, policy, now)
        case Drain():
            return _drain(worker, event, now)
        case Stop():
            return _stop(worker, event, policy, now)


def _move(worker: Worker, state: WorkerState, why: str, now: float, **changes: object) -> Worker:
    line = f"{now:.3f} {worker.state.value} -> {state.value}: {why}"
    story = (*worker.story, line)[-STORY_LENGTH:]
    return replace(worker, state=state, story=story, **changes)  # type: ignore[arg-type]


def _spawn(worker: Worker, why: str, policy: RestartPolicy, now: float) -> Step:
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
    )
    return moved, (Spawn(generation), Arm(generation, policy.start_timeout_s))


def _start(worker: Worker, event: Event, policy: RestartPolicy, now: float) -> Step:
    if worker.has_process:
        raise IllegalTransition(worker, event)
    return _spawn(worker, "asked to start", policy, now)


def _readied(worker: Worker, event: Event, now: float) -> Step:
    match worker.state:
        case WorkerState.STARTING:
            return _move(worker, WorkerState.READY, "ready", now, ready_since=now), ()
        case WorkerState.DRAINING | WorkerState.STOPPING:
            return worker, ()
        case _:
            raise IllegalTransition(worker, event)


def _exited(worker: Worker, event: Exited, policy: RestartPolicy, now: float) -> Step:
    match worker.state:
        case WorkerState.STOPPING | WorkerState.DRAINING:
            return _move(worker, WorkerState.STOPPED, event.cause, now, ready_since=None), ()
        case WorkerState.STARTING | WorkerState.READY:
            return _revive(worker, event, policy, now)
        case _:
            raise IllegalTransition(worker, event)


def _revive(worker: Worker, event: Exited, policy: RestartPolicy, now: float) -> Step:
    stable = worker.ready_since is not None and now - worker.ready_since >= policy.stable_s
    decision = after_death(
        policy,
        worker.charged,
        useful=stable or worker.served,
        now=now,
        jitter=event.jitter,
    )
    charged = replace(worker, charged=decision.charged, ready_since=None)
    match decision.next:
        case Next.AT_ONCE:
            return _spawn(charged, f"{event.cause} after useful service", policy, now)
        case Next.BACKOFF:
            why = f"{event.cause}; again in {decision.delay_s:.2f} s"
            moved = _move(charged, WorkerState.BACKOFF, why, now)
        case Next.FAILED:
            why = f"{event.cause}; {len(decision.charged)} deaths in {policy.window_s:g} s"
            moved = _move(charged, WorkerState.FAILED, why, now)
    return moved, (Arm(worker.generation, decision.delay_s),)


def _timer(worker: Worker, event: Event, policy: RestartPolicy, now: float) -> Step:
    match worker.state:
        case WorkerState.STARTING:
            why = f"not ready after {policy.start_timeout_s:g} s"
            return replace(worker, story=(*worker.story, f"{now:.3f} {why}")[-STORY_LENGTH:]), (
                Kill(),
            )
        case WorkerState.BACKOFF:
            return _spawn(worker, "back-off over", policy, now)
        case WorkerState.FAILED:
            return _spawn(worker, "half-open try", policy, now)
        case WorkerState.STOPPING:
            return worker, (Kill(),)
        case _:
            return worker, ()  # the timer of a state that has been left


def _drain(worker: Worker, event: Event, now: float) -> Step:
    match worker.state:
        case WorkerState.READY:
            return _move(worker, WorkerState.DRAINING, "draining", now), ()
        case WorkerState.STOPPING | WorkerState.STOPPED | WorkerState.DRAINING:
            return worker, ()
        case _:
            raise IllegalTransition(worker, event)


def _stop(worker: Worker, event: Event, policy: RestartPolicy, now: float) -> Step:
    match worker.state:
        case WorkerState.STARTING | WorkerState.READY | WorkerState.DRAINING:
            moved = _move(worker, WorkerState.STOPPING, "asked to stop", now)
            return moved, (Terminate(), Arm(worker.generation, policy.term_grace_s))
        case WorkerState.STOPPING | WorkerState.STOPPED:
            return worker, ()
        case WorkerState.PENDING | WorkerState.BACKOFF | WorkerState.FAILED:
            return _move(worker, WorkerState.STOPPED, "asked to stop", now), ()
