"""A plan in the place of a swarm that runs: the memory of its workers counts as free."""

from __future__ import annotations

from local_swarm.domain.hardware import Cpu, Device, HostSnapshot, Memory
from local_swarm.domain.plan import MemoryPart
from local_swarm.swarm.replanning import as_if_alone, given_back
from tests.swarm.test_changes import runs


def host(available: int, free: int | None, others: int | None = None) -> HostSnapshot:
    device = Device("CUDA0", None, None, None, None, 1000, free, None, others_bytes=others)
    return HostSnapshot(
        "linux", "x86_64", Cpu(None, 4, 4), Memory(1000, available), False, (device,)
    )


def test_what_our_workers_hold_is_not_in_use_by_others() -> None:
    then, now = host(900, 800), host(500, 100)
    alone = as_if_alone(then, now, {"cpu": 410, "CUDA0": 690})
    assert alone == then


def test_a_little_more_or_less_is_noise_and_makes_no_other_plan() -> None:
    then = host(900, 800)
    assert as_if_alone(then, host(880, 830), {}) == then


def test_what_others_took_or_gave_back_since_is_seen() -> None:
    alone = as_if_alone(host(500, 800), host(300, 100), {"cpu": 100, "CUDA0": 200})
    assert alone.memory.available_bytes == 400
    assert alone.devices[0].free_bytes == 300
    more = as_if_alone(host(500, 300), host(700, 900), {"cpu": 100, "CUDA0": 300})
    assert more.memory.available_bytes == 800
    assert more.devices[0].free_bytes == 1000  # never more than there is


def test_a_device_that_does_not_tell_what_is_free_is_as_it_was() -> None:
    alone = as_if_alone(host(500, None, 50), host(500, None, 700), {"CUDA0": 650})
    assert alone.devices[0].others_bytes == 50


def test_mapped_weights_are_given_back_to_nobody() -> None:
    on_cpu, on_gpu = runs("w0", 7).plan, runs("w1", 5, device="CUDA0").plan
    assert given_back([on_cpu, on_gpu]) == {"cpu": 7, "CUDA0": 105}
    assert on_cpu.parts[0] == MemoryPart("cpu", "weights", 100)
