"""What is given up when memory is short, and when it is taken back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.supervisor.memory import (
    Decision,
    Held,
    Nothing,
    Policy,
    Reading,
    Rest,
    Restore,
    Room,
    Shed,
    host_room,
)
from local_swarm.supervisor.pressure import MOST_RELAPSES, Watch, decide

MIB, GIB = 1 << 20, 1 << 30
POLICY = Policy(relief_s=60, settle_s=10)
TICK = 2.0
RAM = 16 * GIB
FLOOR = int(0.03 * RAM)
BOTH = frozenset({"host", "device"})
CARD = 24 * GIB


def held(id_: str = "w0", **facts: Any) -> Held:
    return Held(id_, **{"host_bytes": GIB, "shrinks": BOTH, **facts})


def reading(free: int | None, *workers: Held, **facts: Any) -> Reading:
    host = None if free is None else Room(RAM, free)
    return Reading(at=0.0, host=host, workers=workers, **facts)


def told(*readings: Reading, watch: Watch | None = None, since: float = 0.0) -> list[Decision]:
    """What is decided at each of the readings, one tick after the other."""
    return played(*readings, watch=watch, since=since)[1]


def played(
    *readings: Reading, watch: Watch | None = None, since: float = 0.0, policy: Policy = POLICY
) -> tuple[Watch, list[Decision]]:
    watch, decisions = watch or Watch(), []
    for number, one in enumerate(readings):
        watch, decision = decide(watch, replace(one, at=since + number * TICK), policy)
        decisions.append(decision)
    return watch, decisions


def last(*readings: Reading) -> Decision:
    return told(*readings)[-1]


def for_a_while(one: Reading, seconds: float = 70.0) -> list[Reading]:
    return [one] * (int(seconds / TICK) + 1)


LITTLE = FLOOR - 1
PLENTY = 8 * GIB


# Short of RAM


def test_one_short_reading_is_none() -> None:
    assert told(reading(LITTLE, held())) == [Nothing()]
    assert last(reading(LITTLE, held()), reading(PLENTY, held()), reading(LITTLE, held())) == (
        Nothing()
    )


def test_two_short_readings_in_a_row_cost_a_step() -> None:
    why = "480.0 MiB of RAM are free, less than 491.5 MiB"
    short = reading(480 * MIB, held())
    assert told(short, short) == [Nothing(), Shed("w0", "host", why)]


@pytest.mark.parametrize(
    ("policy", "total", "floor"),
    [
        (POLICY, 16 * GIB, int(0.03 * 16 * GIB)),
        (POLICY, 256 * GIB, GIB),
        (Policy(min_free_bytes=5 * GIB), 16 * GIB, 5 * GIB),
        (Policy(min_free_bytes=0), 16 * GIB, 0),
    ],
)
def test_the_floor_is_a_share_of_the_ram_or_as_set(policy: Policy, total: int, floor: int) -> None:
    for free, acts in ((floor - 1, True), (floor, False)):
        one = Reading(at=0.0, host=Room(total, max(0, free)), workers=(held(),))
        decisions = played(one, one, policy=policy)[1]
        assert isinstance(decisions[-1], Shed) == (acts and floor > 0)


WAITING = {"stalled": 0.3}
KILLED = {"oom_kills": 1}


@pytest.mark.parametrize(
    ("readings", "acts"),
    [
        ([reading(PLENTY, held(), **WAITING)] * 2, False),  # a busy disk alone
        ([reading(2 * FLOOR, held(), **WAITING)] * 2, False),
        ([reading(2 * FLOOR - 1, held(), **WAITING)] * 2, True),
        ([reading(2 * FLOOR - 1, held(), stalled=0.2)] * 2, False),
        ([reading(2 * FLOOR - 1, held(), stalled=None)] * 2, False),
        # most of what is free is what the workers read
        ([reading(PLENTY, held(), mapped_bytes=7 * GIB + 300 * MIB, **WAITING)] * 2, True),
        ([reading(PLENTY, held(), mapped_bytes=7 * GIB + 300 * MIB)] * 2, False),
        # what is killed while there is room was not killed for want of it
        ([reading(PLENTY, held(), **KILLED)], False),
        ([reading(2 * FLOOR - 1, held(), **KILLED)], True),
        ([reading(None, held(), **WAITING, **KILLED)] * 2, False),
        ([reading(LITTLE)] * 2, False),
    ],
)
def test_a_stall_or_a_kill_counts_where_there_is_little_room(readings: Any, acts: bool) -> None:
    assert isinstance(last(*readings), Shed) == acts


def test_after_a_kill_nobody_waits_for_a_second_reading() -> None:
    (decision,) = told(reading(FLOOR, held(), oom_kills=2))
    assert decision == Shed("w0", "host", "the system killed a process because memory had run out")


def test_a_stall_is_named() -> None:
    decision = last(*[reading(FLOOR, held(), stalled=0.35)] * 2)
    assert decision == Shed("w0", "host", "everything waited for memory for 35% of ten seconds")


ORDER = [
    held("cached", has_cache=True, busy_slots=3, host_bytes=MIB),
    held("large", host_bytes=3 * GIB),
    held("small", host_bytes=2 * GIB),
    held("twin", host_bytes=2 * GIB),
    held("busy", host_bytes=9 * GIB, busy_slots=1),
]


def test_cached_prompts_go_first_then_the_idle_then_the_largest() -> None:
    for number, expected in enumerate(ORDER):
        short = reading(LITTLE, *reversed(ORDER[number:]))
        decision = last(short, short)
        assert isinstance(decision, Shed)
        assert decision.worker == expected.id


def test_who_cannot_give_up_more_is_passed_over() -> None:
    first, second = held("w0", has_cache=True, shrinks=frozenset({"device"})), held("w1")
    short = reading(LITTLE, first, second)
    decision = last(short, short)
    assert isinstance(decision, Shed)
    assert decision.worker == "w1"


@pytest.mark.parametrize("state", [{"ready": False}, {"host_bytes": 0}])
def test_who_is_not_there_has_nothing_to_give(state: dict[str, Any]) -> None:
    short = reading(LITTLE, held("w0", **state), held("w1"))
    decision = last(short, short)
    assert isinstance(decision, Shed)
    assert decision.worker == "w1"


def test_when_nobody_can_give_up_more_a_worker_rests() -> None:
    done = frozenset[Any]()
    workers = [
        held("w0", shrinks=done, busy_slots=1, host_bytes=4 * GIB),
        held("w1", shrinks=done, host_bytes=2 * GIB),
        held("w2", shrinks=done, host_bytes=3 * GIB),
    ]
    short = reading(LITTLE, *workers)
    decision = last(short, short)
    assert isinstance(decision, Rest)
    assert decision.worker == "w2"


def test_the_last_that_is_ready_never_rests() -> None:
    done = frozenset[Any]()
    away = held("w1", shrinks=done, ready=False)
    short = reading(LITTLE, held("w0", shrinks=done), away)
    decision = last(short, short)
    assert isinstance(decision, Nothing)
    assert decision.why.endswith(", and no worker can give up more")


def test_nothing_is_decided_while_a_worker_comes_or_goes() -> None:
    short = reading(LITTLE, held("w0"), held("w1", ready=False, moving=True))
    assert told(*[short] * 5) == [Nothing()] * 5


def test_the_next_step_waits_for_the_effect_of_the_last() -> None:
    short = reading(LITTLE, held())
    decisions = told(*[short] * 12)
    acted = [number * TICK for number, one in enumerate(decisions) if one != Nothing()]
    assert acted == [2.0, 14.0], "10 s to settle, then two readings"


# Short of a device's memory


def on_card(id_: str, size: int, **facts: Any) -> Held:
    return held(id_, **{"on_devices": {"CUDA0": size}, **facts})


def card(free: int, *workers: Held, **facts: Any) -> Reading:
    return reading(PLENTY, *workers, devices={"CUDA0": Room(CARD, free)}, **facts)


def test_a_card_that_is_short_costs_those_that_are_on_it() -> None:
    workers = [on_card("w0", GIB), on_card("w1", 2 * GIB), held("w2", host_bytes=9 * GIB)]
    short = card(100 * MIB, *workers)
    why = "100.0 MiB of CUDA0 are free, less than 737.3 MiB"
    assert told(short, short) == [Nothing(), Shed("w1", "device", why)]


def test_prompts_in_ram_are_no_help_to_a_card() -> None:
    short = card(0, on_card("w0", GIB, has_cache=True), on_card("w1", 2 * GIB))
    decision = last(short, short)
    assert isinstance(decision, Shed)
    assert decision.worker == "w1"


def test_a_card_that_others_filled_is_not_our_matter() -> None:
    short = card(0, held("w0"))
    assert told(short, short) == [Nothing(), Nothing()]


def test_another_card_s_shortage_before_is_not_this_one_s() -> None:
    first = reading(PLENTY, on_card("w0", GIB), devices={"CUDA1": Room(CARD, 0)})
    assert last(first, card(0, on_card("w0", GIB))) == Nothing()


def test_ram_comes_before_cards() -> None:
    short = replace(card(0, on_card("w0", GIB)), host=Room(RAM, 0))
    decision = last(short, short)
    assert isinstance(decision, Shed)
    assert decision.where == "host"


# Memory is back


def test_a_step_is_taken_back_when_there_was_room_for_it_long_enough() -> None:
    smaller = held(shrunk=2, regains_bytes=GIB)
    decisions = told(*for_a_while(reading(PLENTY, smaller), 60))
    assert decisions == [Nothing()] * 30 + [Restore("w0", "there was room for it for 60 s")]


NEEDED = FLOOR + FLOOR // 2 + GIB + GIB // 4


@pytest.mark.parametrize(
    ("one", "restores"),
    [
        (reading(NEEDED, held(shrunk=1, regains_bytes=GIB)), True),
        (reading(NEEDED - 1, held(shrunk=1, regains_bytes=GIB)), False),
        (reading(NEEDED, held(shrunk=1, regains_bytes=GIB), mapped_bytes=1), False),
        (reading(NEEDED, held(shrunk=1, regains_bytes=GIB), stalled=0.06), False),
        (reading(NEEDED, held(shrunk=1, regains_bytes=GIB), stalled=0.05), True),
        (reading(None, held(shrunk=1)), False),
        (reading(PLENTY, held(shrunk=0)), False),
        (reading(PLENTY, held(shrunk=1, ready=False)), False),
        (reading(PLENTY, held(ready=False, rested=True, regains_bytes=GIB)), True),
        (card(12 * GIB, held(shrunk=1, regains_on={"CUDA0": 4 * GIB})), True),
        (card(5 * GIB, held(shrunk=1, regains_on={"CUDA0": 4 * GIB})), False),
        (card(12 * GIB, held(shrunk=1, regains_on={"CUDA1": 1})), False),  # it does not tell
        # layers that go back to the card
        (reading(FLOOR + FLOOR // 2, held(shrunk=1, regains_bytes=-GIB)), True),
        (reading(FLOOR + FLOOR // 2 - 1, held(shrunk=1, regains_bytes=-GIB)), False),
    ],
)
def test_room_is_what_the_step_takes_and_a_margin(one: Reading, restores: bool) -> None:
    assert isinstance(last(*for_a_while(one, 60)), Restore) == restores


@pytest.mark.parametrize("odd", [reading(NEEDED - 1), reading(PLENTY, oom_kills=1)])
def test_one_reading_without_room_starts_the_wait_anew(odd: Reading) -> None:
    roomy = reading(PLENTY, held(shrunk=1, regains_bytes=GIB))
    disturbed = replace(odd, workers=roomy.workers)
    decisions = told(*[roomy] * 20, disturbed, *[roomy] * 60)
    (at,) = [n for n, one in enumerate(decisions) if isinstance(one, Restore)][:1]
    assert at * TICK > 20 * TICK + 60


def test_who_rests_comes_first_then_who_gave_up_most() -> None:
    workers = [
        held("w0", shrunk=1, regains_bytes=MIB),
        held("w1", shrunk=2, regains_bytes=MIB),
        held("w2", ready=False, rested=True, regains_bytes=2 * GIB),
    ]
    for first in ("w2", "w1", "w0"):
        decision = last(*for_a_while(reading(PLENTY, *workers), 60))
        assert isinstance(decision, Restore)
        assert decision.worker == first
        workers = [worker for worker in workers if worker.id != first]


def test_where_the_first_finds_no_room_the_next_may() -> None:
    large = held("w0", ready=False, rested=True, regains_bytes=32 * GIB)
    small = held("w1", shrunk=1, regains_bytes=MIB)
    decision = last(*for_a_while(reading(PLENTY, large, small), 60))
    assert isinstance(decision, Restore)
    assert decision.worker == "w1"


def test_a_restore_that_did_not_last_makes_the_next_one_wait_longer() -> None:
    roomy = reading(PLENTY, held(shrunk=1, regains_bytes=GIB))
    short = reading(LITTLE, held())
    watch, waits, now = Watch(), [], 0.0
    for _ in range(MOST_RELAPSES + 3):
        start = now
        decision: Decision = Nothing()
        while not isinstance(decision, Restore):
            watch, decision = decide(watch, replace(roomy, at=now), POLICY)
            now += TICK
        waits.append(now - start)
        while not isinstance(decision, Shed):
            watch, decision = decide(watch, replace(short, at=now), POLICY)
            now += TICK
    doubled = [60 * 2**n for n in range(1, MOST_RELAPSES + 1)]
    assert waits[1 : MOST_RELAPSES + 1] == pytest.approx(doubled, abs=2 * TICK)
    assert waits[-1] == pytest.approx(doubled[-1], abs=2 * TICK)
    calm = for_a_while(roomy, doubled[-1] * 2)
    watch, decisions = played(*calm, watch=watch, since=now)
    assert any(isinstance(one, Restore) for one in decisions)
    later = now + len(calm) * TICK + 60 * 2**MOST_RELAPSES
    watch, _ = played(short, short, watch=watch, since=later)
    assert watch.relapses == 0, "it lasted"


def test_a_worker_that_dies_of_its_restore_waits_longer_too() -> None:
    before = held(shrunk=1, regains_bytes=GIB)
    watch, decisions = played(*for_a_while(reading(PLENTY, before), 60))
    assert isinstance(decisions[-1], Restore)
    again = [reading(PLENTY, held(shrunk=0)), reading(PLENTY, before)]
    watch, decisions = played(*again, watch=watch, since=80.0)
    assert decisions == [Nothing(), Nothing()]
    assert watch.relapses == 1
    decisions = told(*for_a_while(reading(PLENTY, before), 200), watch=watch, since=84.0)
    (first, *_) = [n for n, one in enumerate(decisions) if isinstance(one, Restore)]
    assert first * TICK >= 118


def test_what_is_remembered_is_bounded() -> None:
    watch, _ = played(*for_a_while(reading(PLENTY, held()), 600))
    assert len(watch.readings) <= POLICY.relief_s / TICK + 2
    seldom = Watch()
    for number in range(50):
        seldom, _ = decide(seldom, replace(reading(PLENTY), at=number * 1000.0), POLICY)
    assert len(seldom.readings) == 2


# The host's room


@pytest.mark.parametrize(
    ("facts", "room"),
    [
        ((16, 8, None, None), Room(16, 8)),
        ((16, 8, 4, 2), Room(4, 2)),
        ((16, 1, 4, 2), Room(4, 1)),
        ((16, 8, 32, 30), Room(16, 8)),
        ((16, 8, 4, None), Room(4, 8)),
        ((None, None, 4, 2), Room(4, 2)),
        ((16, None, None, None), None),
        ((None, None, None, None), None),
    ],
)
def test_the_host_has_what_a_container_leaves(facts: Any, room: Room | None) -> None:
    assert host_room(*facts) == room


# Laws

sizes = st.integers(0, 32 * GIB)
names = st.sampled_from(["CUDA0", "CUDA1"])
on_devices = st.dictionaries(names, sizes, max_size=2)
workers = st.builds(
    Held,
    id=st.sampled_from("abc"),
    ready=st.booleans(),
    moving=st.sampled_from([False, False, False, True]),
    rested=st.booleans(),
    busy_slots=st.integers(0, 3),
    host_bytes=sizes,
    on_devices=on_devices,
    shrinks=st.frozensets(st.sampled_from(["host", "device"])),
    has_cache=st.booleans(),
    shrunk=st.integers(0, 3),
    regains_bytes=sizes,
    regains_on=on_devices,
)
rooms = st.builds(lambda free, used: Room(free + used, free), sizes, sizes)
readings = st.builds(
    Reading,
    at=st.just(0.0),
    host=st.none() | rooms,
    mapped_bytes=st.integers(0, 4 * GIB),
    stalled=st.none() | st.floats(0, 1),
    oom_kills=st.integers(0, 1),
    devices=st.dictionaries(names, rooms, max_size=2),
    workers=st.lists(workers, max_size=3, unique_by=lambda one: one.id).map(tuple),
)
gaps = st.sampled_from([0.0, 0.1, 2.0, 30.0, 300.0])
law = settings(deadline=None)


@law
@given(st.lists(st.tuples(readings, gaps), max_size=30))
def test_every_reading_has_a_decision_that_can_be_carried_out(history) -> None:
    watch, now, acted = Watch(), 0.0, None
    for one, gap in history:
        now += gap
        at = replace(one, at=now)
        watch, decision = decide(watch, at, POLICY)
        if isinstance(decision, Nothing):
            continue
        assert acted is None or now - acted >= POLICY.settle_s
        acted = now
        assert not any(worker.moving for worker in at.workers)
        (worker,) = (each for each in at.workers if each.id == decision.worker)
        match decision:
            case Shed():
                assert worker.ready
                assert decision.where in worker.shrinks
            case Rest():
                assert worker.ready
                assert sum(each.ready for each in at.workers) > 1
            case Restore():
                assert worker.rested or worker.shrunk
        assert decision.why
        assert not decision.why.endswith(".")


@law
@given(st.lists(readings, max_size=30), st.integers(0, GIB))
def test_nothing_is_given_up_while_all_is_calm(history, more) -> None:
    calm = [
        replace(
            one,
            host=Room(RAM, FLOOR + more),
            stalled=0.1,
            oom_kills=0,
            devices={name: Room(CARD, int(0.03 * CARD) + more) for name in one.devices},
        )
        for one in history
    ]
    assert not [one for one in told(*calm) if isinstance(one, (Shed, Rest))]


@law
@given(
    load=st.integers(0, 16 * GIB),
    steps=st.lists(st.lists(st.integers(16 * MIB, 2 * GIB), max_size=4), min_size=1, max_size=3),
    base=st.integers(0, 4 * GIB),
    error=st.floats(0.8, 1.2),
)
def test_under_a_constant_load_it_comes_to_rest(load, steps, base, error) -> None:
    """Each worker has a base and steps that it can give up; what a step really frees differs from
    what is planned."""
    taken = [len(sheddable) for sheddable in steps]
    running = [True] * len(steps)
    watch, decisions = Watch(), []

    def real(number: int) -> int:
        given = steps[number][: taken[number]]
        return base + int(error * sum(given)) if running[number] else 0

    for tick in range(1500):
        free = max(0, RAM - load - sum(real(number) for number in range(len(steps))))
        held_now = tuple(
            Held(
                str(number),
                ready=running[number],
                rested=not running[number],
                host_bytes=real(number) + 1 if running[number] else 0,
                shrinks=frozenset({"host"} if left else ()),
                shrunk=len(sheddable) - left,
                regains_bytes=(
                    base + sum(sheddable[:left])
                    if not running[number]
                    else sheddable[left]
                    if left < len(sheddable)
                    else 0
                ),
            )
            for number, (sheddable, left) in enumerate(zip(steps, taken, strict=True))
        )
        now = Reading(at=tick * TICK, host=Room(RAM, free), workers=held_now)
        watch, decision = decide(watch, now, POLICY)
        if isinstance(decision, Nothing):
            continue
        decisions.append(decision)
        number = int(decision.worker)
        match decision:
            case Shed():
                taken[number] -= 1
            case Rest():
                running[number] = False
            case Restore() if running[number]:
                taken[number] += 1
            case Restore():
                running[number] = True
    kinds = [isinstance(one, Restore) for one in decisions]
    assert kinds == sorted(kinds), "whatever was taken back stays"
    assert len(decisions) <= 2 * (sum(map(len, steps)) + len(steps))
    assert any(running)
