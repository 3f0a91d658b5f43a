from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.domain.worker import Cause
from local_swarm.supervisor.restart import (
    Loss,
    Next,
    RestartPolicy,
    after_death,
    is_crowded,
)

POLICY = RestartPolicy()


def lost(now: float, cause: Cause = Cause.CRASHED, **more: object) -> Loss:
    return Loss(cause, now, jitter=1.0, **more)  # type: ignore[arg-type]


def test_a_death_after_useful_service_restarts_at_once_and_is_not_charged() -> None:
    decision = after_death(POLICY, (1.0,), lost(2.0, useful=True))
    assert decision.next is Next.AT_ONCE
    assert decision.charged == (1.0,)


def test_early_deaths_back_off_until_the_budget_is_spent() -> None:
    charged: tuple[float, ...] = ()
    delays = []
    for death in range(POLICY.budget):
        decision = after_death(POLICY, charged, lost(float(death)))
        assert decision.next is Next.BACKOFF
        delays.append(decision.delay_s)
        charged = decision.charged
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0]
    last = after_death(POLICY, charged, lost(9.0))
    assert last.next is Next.FAILED
    assert last.delay_s == POLICY.half_open_s
    assert last.why == "6 deaths in 60 s"


def test_deaths_outside_the_window_are_forgotten() -> None:
    old = tuple(float(t) for t in range(POLICY.budget))
    decision = after_death(POLICY, old, lost(1000.0))
    assert decision.next is Next.BACKOFF
    assert decision.charged == (1000.0,)


@pytest.mark.parametrize("cause", [Cause.BAD_MODEL, Cause.BAD_FLAGS, Cause.NOT_RUN])
def test_what_no_restart_cures_fails_at_once(cause: Cause) -> None:
    decision = after_death(POLICY, (), lost(1.0, cause))
    assert decision.next is Next.FAILED
    assert decision.why == "no restart cures that"


@pytest.mark.parametrize("useful", [True, False])
def test_a_worker_that_is_made_smaller_comes_back_soon_and_uncharged(useful: bool) -> None:
    death = lost(1.0, Cause.OUT_OF_MEMORY, smaller=True, useful=useful)
    decision = after_death(POLICY, (), death)
    assert decision.next is Next.BACKOFF
    assert decision.delay_s == POLICY.backoff_initial_s
    assert decision.charged == ()


def test_a_worker_that_cannot_be_made_smaller_spends_its_budget() -> None:
    decision = after_death(POLICY, (), lost(1.0, Cause.DEVICE_MEMORY))
    assert decision.charged == (1.0,)


def test_a_taken_port_is_tried_again_at_once_on_the_budget() -> None:
    decision = after_death(POLICY, (), lost(1.0, Cause.PORT_TAKEN))
    assert (decision.next, decision.charged) == (Next.AT_ONCE, (1.0,))
    spent = tuple(float(t) for t in range(POLICY.budget))
    assert after_death(POLICY, spent, lost(9.0, Cause.PORT_TAKEN)).next is Next.FAILED


def test_the_one_try_of_a_failed_worker_fails_it_again() -> None:
    assert after_death(POLICY, (), lost(100.0, half_open=True)).next is Next.FAILED
    assert after_death(POLICY, (), lost(100.0, half_open=True, useful=True)).next is Next.AT_ONCE


def test_when_the_swarm_s_budget_is_spent_an_early_death_fails_its_worker() -> None:
    decision = after_death(POLICY, (), lost(1.0, crowded=True))
    assert decision.next is Next.FAILED
    assert decision.why == "20 deaths of all workers in 60 s"
    assert after_death(POLICY, (), lost(1.0, crowded=True, useful=True)).next is Next.AT_ONCE


def test_the_swarm_s_budget_counts_what_is_in_the_window() -> None:
    policy = RestartPolicy(swarm_budget=3)
    assert not is_crowded(policy, [1.0, 2.0], 3.0)
    assert is_crowded(policy, [1.0, 2.0, 3.0], 3.0)
    assert not is_crowded(policy, [1.0, 2.0, 3.0], 61.5)


@given(
    charged=st.lists(st.floats(0, 1000), max_size=40).map(lambda t: tuple(sorted(t))),
    cause=st.sampled_from(Cause),
    flags=st.fixed_dictionaries(
        {name: st.booleans() for name in ("useful", "half_open", "smaller", "crowded")}
    ),
    jitter=st.floats(0, 1),
)
def test_delays_are_bounded_and_charges_never_exceed_what_happened(
    charged: tuple[float, ...], cause: Cause, flags: dict[str, bool], jitter: float
) -> None:
    decision = after_death(POLICY, charged, Loss(cause, 1000.0, jitter=jitter, **flags))
    assert 0 <= decision.delay_s <= max(POLICY.backoff_max_s, POLICY.half_open_s)
    assert len(decision.charged) <= len(charged) + 1
