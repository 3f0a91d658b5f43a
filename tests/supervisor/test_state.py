from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from local_swarm.domain.worker import WorkerState
from local_swarm.supervisor import state as life
from local_swarm.supervisor.restart import RestartPolicy

POLICY = RestartPolicy(budget=2)


def started() -> life.Worker:
    worker, commands = life.step(life.Worker("w"), life.Start(), POLICY, 0.0)
    assert commands == (life.Spawn(1), life.Arm(1, POLICY.start_timeout_s))
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
    worker, commands = life.step(started(), life.Exited(1, "exit 1", 1.0), POLICY, 0.1)
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


def test_a_start_that_takes_too_long_is_killed() -> None:
    worker, commands = life.step(started(), life.TimerFired(1), POLICY, 200.0)
    assert commands == (life.Kill(),)
    assert worker.state is WorkerState.STARTING


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
