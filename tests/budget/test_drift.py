from local_swarm.budget import observe
from local_swarm.domain.memory import MIB
from local_swarm.domain.plan import Drift, MemoryPart, Observed

PLANNED = (
    MemoryPart("cpu", "weights", 100 * MIB),
    MemoryPart("cpu", "kv", 64 * MIB),
    MemoryPart("cpu", "compute", 20 * MIB),
    MemoryPart("cpu", "prompt_cache", 256 * MIB),
)


def printed(**sizes: float) -> list[MemoryPart]:
    return [MemoryPart("cpu", kind, round(size * MIB)) for kind, size in sizes.items()]


def test_agreement_within_what_is_rounded_away_is_no_drift() -> None:
    seen = observe(PLANNED, printed(weights=100.004, kv=64, compute=20.9))
    assert seen == Observed(round(100.004 * MIB) + 64 * MIB + round(20.9 * MIB))


def test_a_cache_of_another_size_is_told() -> None:
    seen = observe(PLANNED, printed(weights=100, kv=65, compute=20))
    assert seen is not None
    assert seen.drift == (Drift("cpu", "kv", 64 * MIB, 65 * MIB),)


def test_a_compute_buffer_may_differ_by_five_percent_only() -> None:
    seen = observe(PLANNED, printed(weights=100, kv=64, compute=22))
    assert seen is not None
    assert [d.kind for d in seen.drift] == ["compute"]


def test_memory_on_a_device_that_was_not_planned_is_told() -> None:
    seen = observe(PLANNED, [*printed(kv=64), MemoryPart("CUDA0", "kv", MIB)])
    assert seen is not None
    assert seen.drift == (Drift("CUDA0", "kv", 0, MIB),)


def test_weights_that_another_worker_carries_are_not_counted_again() -> None:
    seen = observe(PLANNED[1:], printed(weights=100, kv=64, compute=20))
    assert seen == Observed(84 * MIB)


def test_an_engine_that_prints_nothing_is_not_judged() -> None:
    assert observe(PLANNED, []) is None


SPLIT = tuple(MemoryPart(device, "weights", 50 * MIB) for device in ("cpu", "CUDA0", "CUDA1"))


def weights(**sizes: float) -> list[MemoryPart]:
    return [MemoryPart(device, "weights", round(size * MIB)) for device, size in sizes.items()]


def test_the_host_may_map_weights_that_lie_on_devices_and_no_more() -> None:
    seen = observe(SPLIT, weights(cpu=150, CUDA0=50, CUDA1=50))
    assert seen == Observed(250 * MIB)
    seen = observe(SPLIT, weights(cpu=151, CUDA0=50, CUDA1=50))
    assert seen is not None
    assert seen.drift == (Drift("cpu", "weights", 50 * MIB, 151 * MIB),)


def test_a_device_that_holds_more_weights_than_planned_is_told() -> None:
    seen = observe(SPLIT, weights(cpu=50, CUDA0=60, CUDA1=50))
    assert seen is not None
    assert seen.drift == (Drift("CUDA0", "weights", 50 * MIB, 60 * MIB),)
