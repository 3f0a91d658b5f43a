"""Plans for an engine whose workers have one slot each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from local_swarm.budget import Wishes, plan
from local_swarm.budget.seating import Seating, seatings
from local_swarm.domain.launch import Capabilities
from local_swarm.domain.memory import GIB, MIB
from local_swarm.errors import UsageError
from tests.budget.samples import dense, machine
from tests.budget.test_gpu_plan import EXPERTS, QWEN_7B, gpu, with_gpus

SINGLE = Capabilities(parallel=False, prompt_cache=False, process_bytes=72 * MIB)


def seats(cores: int = 8, gpus: int = 0, **wishes: Any) -> tuple[Seating, ...]:
    return seatings(Wishes(can=SINGLE, **wishes), cores, gpus=gpus)


def test_every_voter_has_a_worker_and_there_is_no_lane() -> None:
    assert seats() == (Seating(3, 1, 0, 3), Seating(2, 1, 0, 2), Seating(1, 1, 0, 1))
    assert seats(gpus=1)[0] == Seating(5, 1, 0, 5)


@pytest.mark.parametrize(("cores", "workers"), [(1, 2), (2, 2), (3, 3), (64, 3)])
def test_by_default_workers_have_a_core_each_but_two_may_share_one(
    cores: int, workers: int
) -> None:
    assert seats(cores)[0] == Seating(workers, 1, 0, workers)


@pytest.mark.parametrize("voters", [1, 5, 32])
def test_voters_by_hand_are_kept_and_share_cores(voters: int) -> None:
    assert seats(2, voters=voters) == (Seating(voters, 1, 0, voters),)


def test_workers_by_hand_are_kept_and_share_cores() -> None:
    assert seats(2, workers=4) == (Seating(4, 1, 0, 3),)
    assert seats(2, workers=5, voters=5) == (Seating(5, 1, 0, 5),)


def test_threads_by_hand_do_not_share_cores() -> None:
    with pytest.raises(UsageError, match="5 workers with 1 thread each"):
        seats(2, voters=5, threads=1)
    with pytest.raises(UsageError, match="3 workers with 2 threads each"):
        seats(4, workers=3, threads=2)
    assert seats(8, voters=4, threads=2)[0] == Seating(4, 1, 0, 4)


def test_more_slots_than_one_are_refused() -> None:
    with pytest.raises(UsageError, match="one each"):
        Wishes(can=SINGLE, slots=2)
    assert Wishes(can=SINGLE, slots=1).in_processes


def test_a_split_by_hand_is_of_one_worker() -> None:
    assert seats(gpus=2, tensor_split=(1.0, 1.0)) == (Seating(1, 1, 0, 1),)


def test_the_plan_counts_each_process_and_says_why_it_is_so() -> None:
    found = plan(
        machine(physical=2, logical=2), dense(), Wishes(can=SINGLE, voters=5), model_id="m"
    )
    assert [(w.slots, w.lanes, w.threads) for w in found.workers] == [(1, 0, 1)] * 5
    own = [part.bytes for w in found.workers for part in w.parts if part.kind == "process"]
    assert len(own) == 5
    assert min(own) > 72 * MIB
    assert any("one slot each" in reason for reason in found.reasons)


def test_workers_share_a_gpu_and_each_has_its_weights_there() -> None:
    host = with_gpus(gpu(0, 80))
    found = plan(host, QWEN_7B, Wishes(can=SINGLE), model_id="m")
    assert [w.devices for w in found.workers] == [("CUDA0",)] * 5
    weights = [
        p for w in found.workers for p in w.parts if (p.device, p.kind) == ("CUDA0", "weights")
    ]
    assert len(weights) == 5


def test_a_gpu_too_small_for_all_voters_has_fewer() -> None:
    found = plan(with_gpus(gpu(0, 24)), QWEN_7B, Wishes(can=SINGLE), model_id="m")
    assert 1 <= len(found.workers) < 5
    assert found.voters == len(found.workers)


def test_no_experts_stay_in_ram_where_the_engine_cannot_leave_them_there() -> None:
    """It would refuse the plan; layers in RAM it can do."""
    host = with_gpus(gpu(0, 14), ram=64 * GIB)
    with_experts, without = (
        plan(host, EXPERTS, Wishes(can=can, workers=1, ctx=4096), model_id="m").workers[0]
        for can in (SINGLE, replace(SINGLE, experts_in_ram=False))
    )
    assert with_experts.cpu_moe_layers > 0
    assert without.cpu_moe_layers == 0
    assert without.devices == ("CUDA0",)
    assert 0 < without.gpu_layers < EXPERTS.layers + 1


@pytest.mark.parametrize("wishes", [{"can": SINGLE}, {"layout": "processes"}])
def test_fewer_voters_for_want_of_cores_are_told_on_a_gpu_too(wishes: dict[str, Any]) -> None:
    few = replace(with_gpus(gpu(0, 80)), cpu=machine(physical=4, logical=4).cpu)
    found = plan(few, QWEN_7B, Wishes(**wishes), model_id="m")
    assert found.voters == 4
    assert any("4 processes instead of 5" in reason for reason in found.reasons)
    many = plan(with_gpus(gpu(0, 80)), QWEN_7B, Wishes(**wishes), model_id="m")
    assert many.voters == 5
    assert not any("instead of 5" in reason for reason in many.reasons)


def test_a_split_by_hand_is_not_blamed_on_the_cores() -> None:
    host = with_gpus(gpu(0, 24), gpu(1, 24))
    found = plan(host, QWEN_7B, Wishes(can=SINGLE, tensor_split=(1.0, 1.0)), model_id="m")
    assert found.voters == 1
    assert not any("cores" in reason and "instead" in reason for reason in found.reasons)
