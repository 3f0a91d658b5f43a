from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from local_swarm.supervisor.progress import Finding, Judgement, Limits, Look, Track, judge

LIMITS = Limits(hang_timeout_s=30.0, stall_timeout_s=600.0)


def watched(first: Look, *changes: dict[str, object], limits: Limits = LIMITS) -> Judgement:
    """Looks once a second, each like the one before but for what changes."""
    judgement, look = Judgement(Track.begin(first)), first
    for change in changes:
        look = dataclasses.replace(look, **{"now": look.now + 1.0, **change})
        judgement = judge(judgement.track, look, limits)
        if judgement.finding is not Finding.FINE:
            break
    return judgement


BUSY = Look(0.0, wanted=True, heard=1, cpu_s=5.0, answers=False)
SAME: dict[str, object] = {}


def test_a_worker_that_neither_answers_nor_works_hangs() -> None:
    judgement = watched(BUSY, *[SAME] * 100)
    assert judgement.finding is Finding.HUNG
    assert judgement.why == "no answer and no work for 30 s"


def test_a_worker_of_which_nothing_is_wanted_does_not() -> None:
    idle = dataclasses.replace(BUSY, wanted=False)
    assert watched(idle, *[SAME] * 1000).finding is Finding.FINE


def test_tokens_are_progress() -> None:
    assert watched(BUSY, *[{"heard": n} for n in range(1000)]).finding is Finding.FINE


def test_a_long_batch_without_an_answer_is_work_but_not_for_ever() -> None:
    working = [{"cpu_s": 5.0 + n} for n in range(2000)]
    judgement = watched(BUSY, *working)
    assert judgement.finding is Finding.HUNG
    assert judgement.why == "no progress for 600 s"
    assert judgement.track.last.now > 590


def test_an_idle_server_s_own_threads_are_no_work() -> None:
    little = [{"cpu_s": 5.0 + 0.001 * n} for n in range(100)]
    assert watched(BUSY, *little).finding is Finding.HUNG


def test_slots_that_move_are_progress_and_slots_that_stand_are_work() -> None:
    look = dataclasses.replace(BUSY, answers=True, slots=((1, 0),))
    assert watched(look, *[{"slots": ((1, n),)} for n in range(2000)]).finding is Finding.FINE
    standing = watched(look, *[SAME] * 2000)
    assert standing.finding is Finding.HUNG
    assert standing.track.last.now >= 600


def test_a_worker_whose_slots_are_idle_has_nothing_to_bring() -> None:
    look = dataclasses.replace(BUSY, answers=True, slots=())
    assert watched(look, *[SAME] * 2000).finding is Finding.FINE


def test_who_waits_for_an_accelerator_uses_no_cpu() -> None:
    look = dataclasses.replace(BUSY, answers=True, on_device=True)
    assert watched(look, *[SAME] * 500).finding is Finding.FINE
    assert (
        watched(dataclasses.replace(look, on_device=False), *[SAME] * 500).finding is Finding.HUNG
    )


def test_an_engine_that_does_not_tell_its_slots_is_judged_by_its_answers() -> None:
    look = dataclasses.replace(BUSY, answers=True, tells=False)
    assert watched(look, *[SAME] * 2000).finding is Finding.FINE
    assert watched(look, *[{"answers": False}] * 2000).finding is Finding.HUNG


def test_what_was_never_asked_is_not_held_against_it() -> None:
    look = Look(0.0, wanted=True, heard=1)
    assert watched(look, *[SAME] * 500).finding is Finding.FINE


def test_time_in_which_nobody_looked_does_not_count() -> None:
    assert watched(BUSY, {"now": 5000.0}).finding is Finding.FINE
    later = [{"now": 5000.0}, *[{"now": 5000.0 + n} for n in range(1, 40)]]
    judgement = watched(BUSY, *later)
    assert judgement.finding is Finding.HUNG
    assert judgement.track.last.now >= 5029


def test_a_stopped_worker_is_told_to_go_on_once() -> None:
    stopped = watched(BUSY, {"stopped": True})
    assert stopped.finding is Finding.STOPPED
    again = judge(stopped.track, dataclasses.replace(BUSY, now=2.0, stopped=True), LIMITS)
    assert again.finding is Finding.HUNG
    goes_on = judge(stopped.track, dataclasses.replace(BUSY, now=2.0, heard=2), LIMITS)
    assert goes_on.finding is Finding.FINE
    once_more = dataclasses.replace(BUSY, now=3.0, stopped=True)
    assert judge(goes_on.track, once_more, LIMITS).finding is Finding.STOPPED


looks = st.builds(
    Look,
    now=st.just(0.0),
    wanted=st.booleans(),
    heard=st.integers(0, 3),
    stopped=st.booleans(),
    cpu_s=st.none() | st.floats(0, 100),
    answers=st.none() | st.booleans(),
    slots=st.none() | st.just(()) | st.tuples(st.integers(0, 3)),
    tells=st.booleans(),
    on_device=st.booleans(),
)


@given(st.lists(looks, min_size=1, max_size=29))
def test_nobody_is_killed_before_the_time_is_up_unless_it_stays_stopped(seen: list[Look]) -> None:
    track = Track.begin(seen[0])
    for second, look in enumerate(seen):
        judgement = judge(track, dataclasses.replace(look, now=float(second)), LIMITS)
        if judgement.finding is Finding.HUNG:
            assert look.stopped
        track = judgement.track
