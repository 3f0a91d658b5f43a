"""What becomes of each worker when the plan changes, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from local_swarm.domain.plan import DeviceBudget, MemoryPart, WorkerPlan
from local_swarm.swarm.changes import Difference, Runs, difference
from local_swarm.swarm.room import Room, held_bytes
from local_swarm.swarm.steps import Add, Cycle, Remove, Rest, Step, steps

DEVICES = ("CUDA0", "CUDA1", "cpu")


def runs(
    id_: str, kv: int = 10, *, device: str = "cpu", slots: int = 4, model: str = "m", how: str = ""
) -> Runs:
    weights = MemoryPart(device, "weights", 100)
    plan = WorkerPlan(
        id=id_,
        model_path=model,
        model_id=model,
        devices=() if device == "cpu" else (device,),
        gpu_layers=0,
        tensor_split=(),
        slots=slots,
        lanes=1,
        ctx=512,
        threads=1,
        parts=(weights, MemoryPart(device, "kv", kv)),
    )
    return Runs(plan, model, how)


def room(cpu: int = 1000, cuda: int = 1000) -> Room:
    sizes = {"cpu": cpu, "CUDA0": cuda, "CUDA1": cuda}
    return Room.of(DeviceBudget(device, size, size, 0) for device, size in sizes.items())


def moved(old: Sequence[Runs], new: Sequence[Runs], space: Room) -> list[Step]:
    return list(steps(old, difference(old, new), space))


def test_what_stays_as_it_is_is_kept_whatever_it_is_called() -> None:
    old = [runs("w0", device="CUDA0"), runs("w1", device="CUDA1")]
    new = [runs("w0", device="CUDA1"), runs("w1", device="CUDA0")]
    assert difference(old, new) == Difference(kept=("w1", "w0"))


def test_an_estimate_restarts_nobody() -> None:
    old = runs("w0")
    new = replace(old, plan=replace(old.plan, parts=(MemoryPart("cpu", "kv", 11),)))
    assert difference([old], [new]) == Difference(kept=("w0",))


def test_other_arguments_another_file_or_plan_restart_the_worker() -> None:
    old = runs("w0")
    for new in (runs("w0", how="--mlock"), runs("w0", model="n"), runs("w0", slots=3)):
        assert difference([old], [new]) == Difference(changed=(new,))


def test_ids_stay_and_new_ones_are_the_lowest_free() -> None:
    old = [runs("w0"), runs("w2")]
    new = [runs("w0"), runs("w1"), runs("w2"), runs("w3")]
    found = difference(old, new)
    assert found.kept == ("w0", "w2")
    assert [each.id for each in found.added] == ["w1", "w3"]


def test_fewer_workers_keep_those_that_are_as_wanted() -> None:
    old = [runs("w0", slots=2), runs("w1", slots=4)]
    assert difference(old, [runs("w0", slots=4)]) == Difference(kept=("w1",), removed=("w0",))


def test_a_worker_is_changed_where_it_is() -> None:
    old = [runs("w0", device="CUDA0"), runs("w1", device="CUDA1")]
    new = [runs("w0", device="CUDA1", slots=2), runs("w1", device="CUDA0", slots=2)]
    devices = {each.id: each.plan.devices for each in difference(old, new).changed}
    assert devices == {"w0": ("CUDA0",), "w1": ("CUDA1",)}


def test_two_are_cycled_one_by_one() -> None:
    old = [runs("w0"), runs("w1")]
    new = [runs("w0", slots=3), runs("w1", slots=3)]
    assert moved(old, new, room()) == [Cycle(new[0]), Cycle(new[1])]


def test_what_shrinks_goes_before_what_grows() -> None:
    old = [runs("w0", 10), runs("w1", 90)]
    new = [runs("w0", 80, slots=2), runs("w1", 20, slots=2)]
    order = [step.runs.id for step in moved(old, new, room(cpu=200)) if isinstance(step, Cycle)]
    assert order == ["w1", "w0"]


def test_a_worker_alone_gets_a_stand_in_where_there_is_room_for_two() -> None:
    old = [runs("w0")]
    restart = Difference(changed=tuple(old))
    made = steps(old, restart, room(cpu=120))
    assert made == (Add(runs("w1"), stands_in="w0"), Cycle(old[0]), Remove("w1"))
    assert steps(old, restart, room(cpu=119)) == (Cycle(old[0], alone=True),)


def test_weights_on_a_device_count_for_each_worker() -> None:
    old = [runs("w0", device="CUDA0")]
    restart = Difference(changed=tuple(old))
    assert len(steps(old, restart, room(cuda=219))) == 1
    assert len(steps(old, restart, room(cuda=220))) == 3


def test_what_lies_on_an_integrated_device_is_in_ram_too() -> None:
    worker = runs("w0", device="CUDA0").plan
    assert held_bytes([worker], {"CUDA0"}) == {"CUDA0": 110, "cpu": 110}


def test_a_model_is_swapped_without_running_two_at_a_time() -> None:
    old = [runs("w0"), runs("w1"), runs("w2")]
    new = [runs("w0", model="n"), runs("w1", model="n"), runs("w2", model="n")]
    assert moved(old, new, room(cpu=10_000)) == [
        Rest("w1"),
        Rest("w2"),
        Cycle(new[0], alone=True),
        Cycle(new[1]),
        Cycle(new[2]),
    ]


def test_the_last_of_the_old_model_is_one_that_is_ready() -> None:
    old = [runs("w0"), runs("w1")]
    new = [runs("w0", model="n"), runs("w1", model="n")]
    made = steps(old, difference(old, new), room(), ready=["w1"])
    assert made[0] == Rest("w0")


def test_what_is_not_ready_is_restarted_first() -> None:
    old = [runs("w0"), runs("w1"), runs("w2")]
    made = steps(old, Difference(changed=tuple(old)), room(), ready=["w0", "w1"])
    assert made == (Cycle(old[2]), Cycle(old[0]), Cycle(old[1]))


def test_workers_that_swap_their_places_do_not_meet_there() -> None:
    old = [runs("w0", device="CUDA0", how="x"), runs("w1", device="CUDA1", how="y")]
    moves = Difference(
        changed=(runs("w0", device="CUDA1", how="x"), runs("w1", device="CUDA0", how="y"))
    )
    made = steps(old, moves, room(cuda=150))
    assert made == (Rest("w0"), Cycle(moves.changed[1], alone=True), Cycle(moves.changed[0]))


def test_fewer_and_larger_workers_free_their_memory_first() -> None:
    old = [runs("w0", 40), runs("w1", 40), runs("w2", 40)]
    made = moved(old, [runs("w0", 120, slots=9)], room(cpu=220))
    kinds = [type(step).__name__ for step in made]
    assert kinds == ["Remove", "Remove", "Cycle"]


def test_what_is_in_the_way_goes_though_it_is_all_that_is_ready() -> None:
    old = [runs("w0", 10), runs("w1", 40)]
    moves = Difference(changed=(runs("w0", 60, slots=9),), removed=("w1",))
    made = steps(old, moves, room(cpu=170), ready=["w1"])
    assert made == (Remove("w1"), Cycle(moves.changed[0], alone=True))


def test_what_is_all_that_is_ready_stays_until_another_is() -> None:
    old = [runs("w0"), runs("w1")]
    moves = Difference(changed=(runs("w0", slots=9),), removed=("w1",))
    made = steps(old, moves, room(cpu=170), ready=["w1"])
    assert made == (Cycle(moves.changed[0]), Remove("w1"))


# Laws -------------------------------------------------------------------------------------

WORKER = st.tuples(
    st.sampled_from(DEVICES), st.integers(0, 50), st.integers(1, 3), st.sampled_from(["", "x"])
)


def crew(shapes: Sequence[tuple[str, int, int, str]], model: str) -> list[Runs]:
    return [
        runs(f"w{i}", kv, device=device, slots=slots, model=model, how=f"{how} {kv}")
        for i, (device, kv, slots, how) in enumerate(shapes)
    ]


CREW = st.lists(WORKER, min_size=1, max_size=4)


@given(
    old=CREW,
    new=CREW,
    swaps=st.booleans(),
    spare=st.integers(0, 200),
    down=st.sets(st.sampled_from(["w0", "w1", "w2", "w3"])),
)
def test_at_no_time_is_there_too_much_nor_a_mix_and_in_the_end_all_is_there(
    old: list[tuple[str, int, int, str]],
    new: list[tuple[str, int, int, str]],
    swaps: bool,
    spare: int,
    down: set[str],
) -> None:
    before, wanted = crew(old, "m"), crew(new, "n" if swaps else "m")
    needed = {
        device: max(
            held_bytes(each.plan for each in before)[device],
            held_bytes(each.plan for each in wanted)[device],
        )
        for device in DEVICES
    }
    usable = {device: size + spare for device, size in needed.items()}
    space = Room(usable)
    moves = difference(before, wanted)
    assert not (moves.added and moves.removed)
    assert len(moves.kept) + len(moves.changed) + len(moves.removed) == len(before)
    now = {each.id: each for each in before}
    places = set(now)
    ready = now.keys() - down
    for step in steps(before, moves, space, ready=ready):
        match step:
            case Cycle(worker):
                now[worker.id] = worker
            case Add(worker):
                assert worker.id not in places
                now[worker.id] = worker
                places.add(worker.id)
            case Rest(name):
                del now[name]
            case Remove(name):
                now.pop(name, None)
                places.remove(name)
        held = held_bytes(each.plan for each in now.values())
        assert all(held[device] <= usable[device] for device in DEVICES)
        assert len({each.model for each in now.values()}) <= 1
        assert places  # somebody is always expected back
    assert set(now) == places
    key = lambda each: (each.bare, each.model, each.how)  # noqa: E731
    assert sorted(map(repr, map(key, now.values()))) == sorted(map(repr, map(key, wanted)))
    assert len(now) == len(wanted)


@given(crew_=CREW, spare=st.integers(0, 500))
def test_a_restart_of_several_never_leaves_none(
    crew_: list[tuple[str, int, int, str]], spare: int
) -> None:
    workers = crew(crew_, "m")
    needed = held_bytes(each.plan for each in workers)
    space = Room({device: size + spare for device, size in needed.items()})
    ready = {each.id for each in workers}
    for step in steps(workers, Difference(changed=tuple(workers)), space):
        match step:
            case Cycle(worker, alone):
                assert alone == (ready == {worker.id})
                assert len(workers) == 1 or not alone
            case Add(worker):
                ready.add(worker.id)
            case Remove(name):
                ready.remove(name)
            case Rest(_):
                raise AssertionError("a restart needs no more memory than there was")
    assert ready == {each.id for each in workers}
