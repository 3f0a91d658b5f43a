from hypothesis import given
from hypothesis import strategies as st

from local_swarm.supervisor.restart import Next, RestartPolicy, after_death

POLICY = RestartPolicy()


def test_a_death_after_useful_service_restarts_at_once_and_is_not_charged() -> None:
    decision = after_death(POLICY, (1.0,), useful=True, now=2.0, jitter=0.5)
    assert decision.next is Next.AT_ONCE
    assert decision.charged == (1.0,)


def test_early_deaths_back_off_until_the_budget_is_spent() -> None:
    charged: tuple[float, ...] = ()
    delays = []
    for death in range(POLICY.budget):
        decision = after_death(POLICY, charged, useful=False, now=float(death), jitter=1.0)
        assert decision.next is Next.BACKOFF
        delays.append(decision.delay_s)
        charged = decision.charged
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0]
    last = after_death(POLICY, charged, useful=False, now=9.0, jitter=1.0)
    assert last.next is Next.FAILED
    assert last.delay_s == POLICY.half_open_s


def test_deaths_outside_the_window_are_forgotten() -> None:
    old = tuple(float(t) for t in range(POLICY.budget))
    decision = after_death(POLICY, old, useful=False, now=1000.0, jitter=1.0)
    assert decision.next is Next.BACKOFF
    assert decision.charged == (1000.0,)


@given(
    charged=st.lists(st.floats(0, 1000), max_size=40).map(lambda t: tuple(sorted(t))),
    useful=st.booleans(),
    jitter=st.floats(0, 1),
)
def test_delays_are_bounded_and_charges_never_exceed_what_happened(
    charged: tuple[float, ...], useful: bool, jitter: float
) -> None:
    decision = after_death(POLICY, charged, useful=useful, now=1000.0, jitter=jitter)
    assert 0 <= decision.delay_s <= max(POLICY.backoff_max_s, POLICY.half_open_s)
    assert len(decision.charged) <= len(charged) + 1
