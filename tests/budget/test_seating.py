"""Which layouts are tried, in which order, and which wishes contradict each other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.budget import Wishes
from local_swarm.budget.seating import Seating, seatings
from local_swarm.errors import UsageError


def first(cores=8, **wishes):
    return seatings(Wishes(**wishes), cores)[0]


def test_by_default_one_worker_seats_three_voters_and_a_lane():
    assert first() == Seating(workers=1, slots=4, lanes=1, voters=3)


def test_voters_go_before_the_lane_does():
    assert seatings(Wishes(), 8) == (
        Seating(1, 4, 1, 3),
        Seating(1, 3, 1, 2),
        Seating(1, 2, 0, 2),
    )


def test_voters_by_hand_are_kept():
    assert seatings(Wishes(voters=5), 8) == (Seating(1, 6, 1, 5), Seating(1, 5, 0, 5))
    assert first(voters=1) == Seating(1, 2, 1, 1)
    assert first(voters=32) == Seating(1, 33, 1, 32)


@pytest.mark.parametrize(
    ("slots", "seat"),
    [
        (1, Seating(1, 1, 0, 1)),
        (2, Seating(1, 2, 0, 2)),
        (3, Seating(1, 3, 1, 2)),
        (4, Seating(1, 4, 1, 3)),
        (8, Seating(1, 8, 1, 3)),
    ],
)
def test_slots_by_hand_decide_over_voters_and_lane(slots, seat):
    assert seatings(Wishes(slots=slots), 8) == (seat,)


@pytest.mark.parametrize(("voters", "slots", "lanes"), [(3, 4, 1), (4, 4, 0), (1, 1, 0), (1, 2, 1)])
def test_a_lane_is_kept_while_the_voters_leave_one(voters, slots, lanes):
    assert first(voters=voters, slots=slots).lanes == lanes


def test_several_workers_share_the_voters():
    assert first(workers=2) == Seating(2, 3, 1, 3)
    assert first(workers=2, voters=5) == Seating(2, 4, 1, 5)
    assert first(workers=4, voters=5, slots=2) == Seating(4, 2, 0, 5)


def test_processes_have_one_slot_each_and_one_worker_per_voter():
    assert seatings(Wishes(layout="processes"), 8) == (Seating(3, 1, 0, 3), Seating(2, 1, 0, 2))
    assert seatings(Wishes(layout="processes", voters=5), 8) == (Seating(5, 1, 0, 5),)
    assert first(layout="processes", voters=1) == Seating(2, 1, 0, 1)
    assert first(layout="processes", workers=5) == Seating(5, 1, 0, 3)
    assert first(layout="processes", slots=3) == Seating(2, 3, 1, 3)


def test_each_process_needs_a_core_for_each_thread():
    assert first(layout="processes", cores=2) == Seating(2, 1, 0, 2)
    assert first(layout="processes", threads=3, cores=8) == Seating(2, 1, 0, 2)


@pytest.mark.parametrize(
    ("cores", "wishes", "said"),
    [
        (8, {"voters": 5, "slots": 4}, "5 voters need 5 slots, .* have 4"),
        (8, {"voters": 9, "layout": "processes"}, "9 voters need 9 slots, .* have 8"),
        (2, {"voters": 3, "layout": "processes"}, "3 voters need 3 slots, .* have 2"),
        (8, {"workers": 9}, "9 workers with 1 thread each need more than the 8 cores"),
        (8, {"workers": 2, "threads": 5}, "2 workers with 5 threads each"),
        (8, {"threads": 9}, "1 worker with 9 threads each"),
        (1, {"layout": "processes"}, "2 workers with 1 thread each .* 1 core there"),
        (32, {"layout": "processes", "workers": 9}, "runs 2 to 8 workers, not 9"),
        (32, {"layout": "processes", "workers": 1}, "runs 2 to 8 workers, not 1"),
    ],
)
def test_contradictions_are_refused(cores, wishes, said):
    with pytest.raises(UsageError, match=said) as caught:
        seatings(Wishes(**wishes), cores)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"voters": 0}, "voters is 0"),
        ({"voters": 33}, "voters is 33"),
        ({"voters": "many"}, "voters is 'many'"),
        ({"workers": 0}, "workers is 0"),
        ({"slots": 257}, "slots is 257"),
        ({"ctx": 0}, "ctx is 0"),
        ({"threads": -1}, "threads is -1"),
        ({"ram_fraction": 0.0}, "ram_fraction is 0"),
        ({"ram_fraction": 1.1}, "ram_fraction is 1.1"),
        ({"ram_fraction": float("nan")}, "ram_fraction is nan"),
        ({"reserve_bytes": -1}, "reserve_bytes is -1"),
        ({"layout": "grid"}, "no layout 'grid'"),
    ],
)
def test_wishes_out_of_range_are_refused(wishes, said):
    with pytest.raises(UsageError, match=said):
        Wishes(**wishes)


auto = st.just("auto")
wishes = st.builds(
    Wishes,
    voters=auto | st.integers(1, 32),
    layout=st.sampled_from(["auto", "processes"]),
    workers=auto | st.integers(1, 10),
    slots=auto | st.integers(1, 40),
    threads=auto | st.integers(1, 4),
)


@settings(deadline=None)
@given(wishes, st.integers(1, 64))
def test_every_seating_keeps_the_rules(asked, cores):
    try:
        found = seatings(asked, cores)
    except UsageError:
        return
    voters = [seat.voters for seat in found]
    assert voters == sorted(voters, reverse=True)
    for seat in found:
        beside = seat.workers * (seat.slots - 1)
        assert 1 <= seat.voters <= seat.workers * seat.slots
        assert seat.lanes in (0, 1)
        assert not seat.lanes or seat.voters <= beside
        assert seat.workers * (1 if asked.threads == "auto" else asked.threads) <= cores
        assert asked.voters in ("auto", seat.voters)
        assert asked.slots in ("auto", seat.slots)
        assert asked.workers in ("auto", seat.workers)
        if asked.layout == "processes":
            assert 2 <= seat.workers <= 8
