"""The engine's own list of devices, and how it overrules ours."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.hardware import EngineDevice, merge, parse_list_devices
from local_swarm.hardware.combine import numbered
from local_swarm.hardware.values import new_device

MIB = 1 << 20
GIB = 1 << 30

RTX_4090 = new_device(
    "NVIDIA", id="CUDA0", uuid="GPU-a", name="NVIDIA GeForce RTX 4090", backend="CUDA",
    total_bytes=24564 * MIB, free_bytes=24000 * MIB, driver="550.120", bus_id="0000:01:00.0",
)  # fmt: skip
RTX_3060 = replace(RTX_4090, id="CUDA1", uuid="GPU-b", name="NVIDIA GeForce RTX 3060")
XTX = new_device("AMD", id="Vulkan0", name="AMD Radeon RX 7900 XTX", backend="Vulkan")


def test_a_list_is_read(recorded):
    assert parse_list_devices(recorded("engine/cuda.txt")) == (
        EngineDevice("CUDA0", "NVIDIA GeForce RTX 4090", 24081 * MIB, 23668 * MIB),
        EngineDevice("CUDA1", "NVIDIA GeForce RTX 3060", 11909 * MIB, 11801 * MIB),
    )


def test_none_and_no_list_are_two_things(recorded):
    assert parse_list_devices(recorded("engine/none.txt")) == ()
    assert parse_list_devices(recorded("engine/old.txt")) is None
    assert merge([RTX_4090], ()) == ()
    assert merge([RTX_4090], None) == (RTX_4090,)


def test_the_blas_library_is_no_device(recorded):
    (metal,) = parse_list_devices(recorded("engine/metal.txt"))
    assert (metal.id, metal.backend) == ("MTL0", "Metal")


def test_a_card_s_name_may_have_brackets_and_colons(recorded):
    devices = parse_list_devices(recorded("engine/rocm-and-vulkan.txt"))
    assert devices[2].name == "Intel(R) UHD Graphics 770 (RPL-S) (ADL GT1)"
    assert devices[2].total_bytes == 15901 * MIB


def test_the_engine_s_sizes_win_and_our_facts_stay(recorded):
    first, second = merge([RTX_4090, RTX_3060], parse_list_devices(recorded("engine/cuda.txt")))
    assert first == replace(RTX_4090, total_bytes=24081 * MIB, free_bytes=23668 * MIB)
    assert (second.uuid, second.total_bytes) == ("GPU-b", 11909 * MIB)


def test_an_engine_that_numbers_otherwise_gives_its_numbers(recorded):
    swapped = [replace(RTX_3060, id="CUDA0"), replace(RTX_4090, id="CUDA1")]
    merged = merge(swapped, parse_list_devices(recorded("engine/cuda.txt")))
    assert [(d.id, d.uuid) for d in merged] == [("CUDA0", "GPU-a"), ("CUDA1", "GPU-b")]


def test_a_device_the_engine_cannot_use_is_dropped(recorded):
    merged = merge([RTX_4090, RTX_3060, XTX], parse_list_devices(recorded("engine/cuda.txt")))
    assert [d.vendor for d in merged] == ["NVIDIA", "NVIDIA"]


def test_a_card_seen_through_two_backends_is_listed_once(recorded):
    seen = parse_list_devices(recorded("engine/rocm-and-vulkan.txt"))
    uhd = new_device("Intel", id="Vulkan1", backend="Vulkan", integrated=True)
    rocm = replace(XTX, id="ROCm0", backend="ROCm")
    assert [d.id for d in merge([rocm, uhd], seen)] == ["ROCm0", "Vulkan1"]
    assert [d.id for d in merge([XTX, uhd], seen)] == ["Vulkan0", "Vulkan1"]
    assert [d.id for d in merge([], seen)] == ["ROCm0", "Vulkan1"]
    assert merge([rocm, uhd], seen)[1].integrated is True


def test_a_card_that_backends_name_differently_is_listed_once():
    apu = new_device("AMD", id="ROCm0", name="AMD Radeon Graphics", backend="ROCm")
    seen = (
        EngineDevice("ROCm0", "AMD Radeon Graphics", GIB, GIB),
        EngineDevice("Vulkan0", "Radeon 8060S Graphics (RADV GFX1151)", 2 * GIB, GIB),
    )
    assert [d.id for d in merge([apu], seen)] == ["ROCm0"]


def test_twins_are_matched_in_order():
    twins = [replace(RTX_4090, id=f"CUDA{n}", uuid=f"GPU-{n}") for n in range(2)]
    seen = [
        EngineDevice(f"{backend}{n}", "NVIDIA GeForce RTX 4090", GIB + n, GIB)
        for backend in ("CUDA", "Vulkan")
        for n in range(2)
    ]
    merged = merge(twins, seen)
    assert [(d.id, d.uuid, d.total_bytes) for d in merged] == [
        ("CUDA0", "GPU-0", GIB),
        ("CUDA1", "GPU-1", GIB + 1),
    ]


def test_a_vulkan_engine_on_an_nvidia_card_keeps_the_card_s_facts():
    (merged,) = merge([RTX_4090], (EngineDevice("Vulkan0", "NVIDIA GeForce RTX 4090", GIB, 0),))
    assert (merged.id, merged.backend, merged.uuid) == ("Vulkan0", "Vulkan", "GPU-a")
    assert (merged.total_bytes, merged.free_bytes) == (GIB, 0)


def test_a_device_that_only_the_engine_knows_is_taken_from_it():
    (merged,) = merge([], (EngineDevice("SYCL0", "Intel(R) Arc(TM) B580 Graphics", GIB, GIB),))
    assert (merged.vendor, merged.backend, merged.uuid) == ("Intel", "SYCL", None)


def test_mig_instances_stand_for_a_process_only_sees_its_own():
    parts = [replace(RTX_4090, id=f"MIG-{n}", uuid=f"MIG-{n}") for n in range(2)]
    seen = (EngineDevice("CUDA0", "NVIDIA H100 MIG 1g.10gb", GIB, GIB),)
    assert merge(parts, seen) == tuple(parts)
    assert merge(parts, ()) == ()


@settings(deadline=None)
@given(st.text(max_size=200))
def test_garbage_is_no_device(text):
    assert parse_list_devices(text) in (None, ())
    assert parse_list_devices("Available devices:\n" + text) == ()


engine_devices = st.builds(
    EngineDevice,
    st.sampled_from(["CUDA0", "CUDA1", "ROCm0", "Vulkan0", "Vulkan1", "MTL0"]),
    st.sampled_from(["NVIDIA RTX", "AMD Radeon", "Radeon (RADV)", "Apple M1", "llvmpipe"]),
    st.none() | st.integers(1, GIB),
    st.just(0),
)
snapshot_devices = st.builds(
    lambda vendor, backend, name: new_device(vendor, backend=backend, name=name),
    st.sampled_from(["NVIDIA", "AMD", None]),
    st.sampled_from(["CUDA", "ROCm", "Vulkan", None]),
    st.sampled_from(["NVIDIA RTX", "AMD Radeon", None]),
)


@settings(deadline=None)
@given(
    st.lists(snapshot_devices, max_size=4).map(numbered),
    st.lists(engine_devices, max_size=4, unique_by=lambda d: d.id),
)
def test_whatever_is_merged_is_the_engine_s_and_listed_once(ours, seen):
    merged = merge(ours, seen)
    ids = [d.id for d in merged]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= {d.id for d in seen}
    assert bool(merged) == bool(seen)
    sizes = {d.id: d.total_bytes for d in seen if d.total_bytes}
    assert all(d.total_bytes == sizes[d.id] for d in merged if d.id in sizes)
