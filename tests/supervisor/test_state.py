from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from local_swarm.domain.worker import Cause, WorkerState
from local_swarm.supervisor import state as life
from local_swarm.supervisor.restart import RestartPolicy

POLICY = RestartPolicy(budget=2)


def started() -> life.Worker:
    worker, commands = life.step(life.Worker("w"), life.Start(), POLICY, 0.0)
    assert commands == (life.Disarm(), life.Spawn(1))
    worker, commands = life.step(worker, life.Spawned(1), POLICY, 0.1)
    assert commands == (life.Arm(1, POLICY.start_timeout_s),)
    return worker


def ready() -> life.Worker:
    return life.step(started(), life.Readied(1), POLICY, 1.0)[0]


def test_a_worker_starts_and_becomes_ready() -> None:
    assert started().state is WorkerState.STARTING
    assert ready().state is WorkerState.READY


def test_a_death_long_after_ready_spawns_the_next_life_at_once() -> None:
    worker, commands = life.step(ready(), life.Exited(1, "signal 9"), POLICY, 5.0)
    assert worker.state is WorkerState.STARTING
    assert worker.restarts == 1
    assert life.Spawn(2) in commands


def test_a_death_right_after_ready_is_not_charged_when_a_request_had_finished() -> None:
    served, _ = life.step(ready(), life.Served(1), POLICY, 1.1)
    worker, _ = life.step(served, life.Exited(1, "signal 9"), POLICY, 1.2)
    assert worker.state is WorkerState.STARTING
    assert worker.charged == ()


def test_a_death_before_ready_backs_off_and_the_timer_spawns() -> None:
    worker, commands = life.step(started(), life.Exited(1, "exit 1", jitter=1.0), POLICY, 0.1)
    assert worker.state is WorkerState.BACKOFF
    assert commands == (life.Arm(1, 0.5),)
    worker, commands = life.step(worker, life.TimerFired(1), POLICY, 0.6)
    assert worker.state is WorkerState.STARTING
    assert life.Spawn(2) in commands


def test_too_many_early_deaths_fail_the_worker_and_half_open_tries_again() -> None:
    worker = started()
    for n in (1, 2, 3):
        worker, commands = life.step(worker, life.Exited(n, "exit 1"), POLICY, float(n))
        if n < 3:
            worker, _ = life.step(worker, life.TimerFired(n), POLICY, n + 0.5)
    assert worker.state is WorkerState.FAILED
    assert commands == (life.Arm(3, POLICY.half_open_s),)
    worker, commands = life.step(worker, life.TimerFired(3), POLICY, 70.0)
    assert worker.state is WorkerState.STARTING


def test_a_start_that_takes_too_long_is_killed_and_the_death_says_so() -> None:
    worker, commands = life.step(started(), life.TimerFired(1), POLICY, 200.0)
    assert commands == (life.Kill(),)
    assert worker.state is WorkerState.STARTING
    assert worker.blame is Cause.TOO_SLOW


def test_the_one_try_of_a_failed_worker_is_one() -> None:
    worker, commands = life.step(started(), life.Exited(1, "x", Cause.BAD_MODEL), POLICY, 1.0)
    assert worker.state is WorkerState.FAILED
    worker, _ = life.step(worker, life.TimerFired(1), POLICY, 61.0)
    worker, commands = life.step(worker, life.Exited(2, "x"), POLICY, 62.0)
    assert worker.state is WorkerState.FAILED
    assert commands == (life.Arm(2, POLICY.half_open_s),)
    worker, _ = life.step(worker, life.TimerFired(2), POLICY, 122.0)
    worker, _ = life.step(worker, life.Readied(3), POLICY, 123.0)
    worker, _ = life.step(worker, life.Exited(3, "x"), POLICY, 130.0)
    assert worker.state is WorkerState.STARTING
    worker, _ = life.step(worker, life.Exited(4, "x"), POLICY, 131.0)
    assert worker.state is WorkerState.BACKOFF  # useful service closed the matter


def test_a_worker_that_became_smaller_comes_back_uncharged() -> None:
    death = life.Exited(1, "signal 9", Cause.OUT_OF_MEMORY, smaller=True)
    worker, commands = life.step(ready(), death, POLICY, 20.0)
    assert worker.state is WorkerState.BACKOFF
    assert worker.charged == ()
    assert commands == (life.Arm(1, POLICY.backoff_initial_s),)


def test_a_restart_drains_ends_and_begins_the_next_life() -> None:
    worker, commands = life.step(ready(), life.Drain(life.Then.RESTART), POLICY, 2.0)
    assert worker.state is WorkerState.DRAINING
    assert worker.comes_back
    assert commands == (life.Arm(1, POLICY.drain_timeout_s),)
    worker, commands = life.step(worker, life.Drained(1), POLICY, 3.0)
    assert worker.state is WorkerState.STOPPING
    assert worker.blame is Cause.ASKED
    assert commands == (life.Terminate(), life.Arm(1, POLICY.term_grace_s))
    worker, commands = life.step(worker, life.Exited(1, "exit 0"), POLICY, 3.1)
    assert worker.state is WorkerState.STARTING
    assert worker.charged == ()
    assert commands == (life.Disarm(), life.Spawn(2))


def test_a_starting_worker_has_nothing_to_finish() -> None:
    worker, commands = life.step(started(), life.Drain(life.Then.RESTART), POLICY, 2.0)
    assert worker.state is WorkerState.STOPPING
    assert commands == (life.Terminate(), life.Arm(1, POLICY.term_grace_s))
    worker, _ = life.step(worker, life.Exited(1, "signal 15"), POLICY, 2.1)
    assert worker.generation == 2


def test_a_drain_that_takes_too_long_is_ended() -> None:
    worker, _ = life.step(ready(), life.Drain(life.Then.RESTART), POLICY, 2.0)
    worker, commands = life.step(worker, life.TimerFired(1), POLICY, 62.0)
    assert worker.state is WorkerState.STOPPING
    assert life.Terminate() in commands
    assert worker.then is life.Then.RESTART


def test_a_worker_that_dies_while_draining_is_restarted_or_stopped_as_was_asked() -> None:
    for then, state in ((life.Then.RESTART, "starting"), (life.Then.STOP, "stopped")):
        worker, _ = life.step(ready(), life.Drain(then), POLICY, 2.0)
        worker, _ = life.step(worker, life.Exited(1, "signal 9"), POLICY, 2.1)
        assert worker.state.value == state


@pytest.mark.parametrize("state", ["pending", "backoff", "failed", "stopped"])
def test_a_restart_of_a_worker_without_a_process_starts_it_with_a_clean_slate(state: str) -> None:
    worker = life.Worker("w", WorkerState(state), generation=3, charged=(1.0, 2.0))
    worker, commands = life.step(worker, life.Drain(life.Then.RESTART), POLICY, 2.0)
    assert worker.state is WorkerState.STARTING
    assert worker.charged == ()
    assert commands == (life.Disarm(), life.Spawn(4))


def test_of_a_stop_and_a_restart_the_later_counts() -> None:
    restart, stop = life.Drain(life.Then.RESTART), life.Stop()
    for first, second, state in ((restart, stop, "stopped"), (stop, restart, "starting")):
        worker, _ = life.step(ready(), first, POLICY, 2.0)
        worker, _ = life.step(worker, life.Drained(1), POLICY, 2.1)
        worker, _ = life.step(worker, second, POLICY, 2.2)
        worker, _ = life.step(worker, life.Exited(1, "exit 0"), POLICY, 2.3)
        assert worker.state.value == state


def test_a_hung_worker_is_killed_at_once_and_its_death_counts() -> None:
    worker, commands = life.step(ready(), life.Hung(1, "no work for 30 s"), POLICY, 1.5)
    assert worker.state is WorkerState.STOPPING
    assert worker.comes_back
    assert commands == (life.Disarm(), life.Kill())
    worker, _ = life.step(worker, life.Exited(1, "signal 9"), POLICY, 1.6)
    assert worker.state is WorkerState.BACKOFF
    assert worker.charged == (1.6,)


def test_a_worker_that_hangs_while_it_drains_ends_as_it_was_asked_to() -> None:
    worker, _ = life.step(ready(), life.Drain(life.Then.STOP), POLICY, 2.0)
    worker, commands = life.step(worker, life.Hung(1, "why"), POLICY, 2.5)
    assert life.Kill() in commands
    worker, _ = life.step(worker, life.Exited(1, "signal 9"), POLICY, 2.6)
    assert worker.state is WorkerState.STOPPED


@pytest.mark.parametrize("state", list(WorkerState))
@pytest.mark.parametrize(
    "event",
    [
        life.Start(),
        life.Spawned(1),
        life.Readied(1),
        life.Served(1),
        life.Exited(1, "x"),
        life.Hung(1, "x"),
        life.TimerFired(1),
        life.Drain(),
        life.Drain(life.Then.RESTART),
        life.Drained(1),
        life.Stop(),
    ],
    ids=str,
)
def test_every_event_has_an_answer_in_every_state(state: WorkerState, event: life.Event) -> None:
    """Another state, the same, or an error that tells the story; never anything else."""
    worker = life.Worker("w", state, generation=1, story=("0.000 its story",))
    try:
        after, _ = life.step(worker, event, POLICY, 1.0)
    except life.IllegalTransition as error:
        after = error.worker
    assert isinstance(after.state, WorkerState)


def test_stop_is_a_ladder_that_ends_in_stopped() -> None:
    worker, commands = life.step(ready(), life.Stop(), POLICY, 2.0)
    assert commands == (life.Terminate(), life.Arm(1, POLICY.term_grace_s))
    worker, commands = life.step(worker, life.TimerFired(1), POLICY, 7.0)
    assert commands == (life.Kill(),)
    worker, _ = life.step(worker, life.Exited(1, "signal 9"), POLICY, 7.1)
    assert worker.state is WorkerState.STOPPED


def test_events_of_an_earlier_life_change_nothing() -> None:
    worker, _ = life.step(ready(), life.Exited(1, "signal 9"), POLICY, 9.0)
    for event in (life.Readied(1), life.Exited(1, "again"), life.TimerFired(1), life.Served(1)):
        assert life.step(worker, event, POLICY, 9.1) == (worker, ())


def test_an_illegal_event_raises_with_the_story() -> None:
    with pytest.raises(life.IllegalTransition, match="starting -> ready"):
        life.step(ready(), life.Start(), POLICY, 2.0)


@given(st.integers(1, 200))
def test_the_story_stays_short(deaths: int) -> None:
    worker = ready()
    for _ in range(deaths):
        worker, _ = life.step(worker, life.Exited(worker.generation, "x"), POLICY, 1e9)
        worker, _ = life.step(worker, life.Readied(worker.generation), POLICY, 0.0)
    assert len(worker.story) <= life.STORY_LENGTH


class Lives(RuleBasedStateMachine):
    """Whatever happens in whatever order, there is at most one process, and none once stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.worker = life.Worker("w")
        self.now = 0.0
        self.alive = 0

    def _step(self, event: life.Event) -> None:
        self.now += 0.3
        try:
            self.worker, commands = life.step(self.worker, event, POLICY, self.now)
        except life.IllegalTransition:
            return
        self.alive += sum(isinstance(c, life.Spawn) for c in commands)

    @rule()
    def start(self) -> None:
        self._step(life.Start())

    @rule()
    def stop(self) -> None:
        self._step(life.Stop())

    @rule()
    def drain(self) -> None:
        self._step(life.Drain())

    @rule()
    def restart(self) -> None:
        self._step(life.Drain(life.Then.RESTART))

    @rule()
    def drained(self) -> None:
        self._step(life.Drained(self.worker.generation))

    @rule()
    def hang(self) -> None:
        self._step(life.Hung(self.worker.generation, "hung"))

    @rule()
    def ready(self) -> None:
        if self.alive:
            self._step(life.Readied(self.worker.generation))

    @rule()
    def serve(self) -> None:
        self._step(life.Served(self.worker.generation))

    @rule()
    def timer(self) -> None:
        self._step(life.TimerFired(self.worker.generation))

    @rule()
    def die(self) -> None:
        if self.alive:
            self.alive -= 1
            self._step(life.Exited(self.worker.generation, "died"))

    @invariant()
    def at_most_one_process(self) -> None:
        assert self.alive == (1 if self.worker.has_process else 0)


TestLives = Lives.TestCase
