"""AMD cards and APUs, from recorded tools' outputs and sysfs trees."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.hardware.amd import AMD_SMI_METRIC, AMD_SMI_STATIC, ROCM_SMI, AmdProbe, gfx_name
from local_swarm.hardware.amd_tools import from_amd_smi, from_rocm_smi

MIB = 1 << 20
GIB = 1 << 30


def amd_smi(version):
    return {
        AMD_SMI_STATIC: f"amd/amd-smi-{version}-static.txt",
        AMD_SMI_METRIC: f"amd/amd-smi-{version}-metric.txt",
    }


def card(bus, *, vram, used, device="0x744c", gtt=None, gtt_used=0, serial=None):
    """Files of one amdgpu card."""
    root = "sys/class/drm/card1/device"
    files = {
        f"{root}/vendor": "0x1002",
        f"{root}/device": device,
        f"{root}/uevent": f"DRIVER=amdgpu\nPCI_ID=1002:{device[2:].upper()}\nPCI_SLOT_NAME={bus}",
        f"{root}/mem_info_vram_total": vram,
        f"{root}/mem_info_vram_used": used,
        f"{root}/product_name": "",
    }
    if gtt is not None:
        files |= {f"{root}/mem_info_gtt_total": gtt, f"{root}/mem_info_gtt_used": gtt_used}
    if serial:
        files[f"{root}/unique_id"] = serial
    return files


def kfd(location, version):
    nodes = "sys/class/kfd/kfd/topology/nodes"
    return {
        f"{nodes}/0/properties": "cpu_cores_count 16\nsimd_count 0\nlocation_id 0",
        f"{nodes}/1/properties": (
            f"cpu_cores_count 0\nsimd_count 192\ngfx_target_version {version}\n"
            f"location_id {location}\ndomain 0\nunique_id 0"
        ),
    }


def test_a_machine_without_amd_has_no_devices(machine, tools):
    assert AmdProbe(tools({})).read(machine()).devices == ()


def test_amd_smi_tells_of_a_card(machine, tools):
    (device,) = AmdProbe(tools(amd_smi("6.2"))).read(machine()).devices
    assert device.name == "AMD Radeon RX 7900 XTX"
    assert device.backend == "ROCm"
    assert device.uuid == "GPU-4e1f3b7a90c2d815"
    assert device.bus_id == "0000:03:00.0"
    assert device.driver == "6.8.5"
    assert device.total_bytes == 24560 * MIB == 25_753_026_560
    assert device.free_bytes == (24560 - 1316) * MIB
    assert device.integrated is False


def test_newer_amd_smi_wraps_the_list_and_says_na(machine, tools):
    known, unknown = AmdProbe(tools(amd_smi("7.0"))).read(machine()).devices
    assert known.compute_capability == "gfx942"
    assert known.total_bytes == 196592 * MIB
    assert known.integrated is False
    assert unknown.bus_id == "0000:26:00.0"
    facts = (unknown.name, unknown.uuid, unknown.total_bytes, unknown.free_bytes, unknown.driver)
    assert facts == (None,) * 5


def test_an_apu_has_its_carve_out_and_its_share_of_ram(machine, tools):
    (device,) = AmdProbe(tools(amd_smi("7.0-strix-halo"))).read(machine()).devices
    assert device.integrated is True
    assert device.compute_capability == "gfx1151"
    assert device.total_bytes == (512 + 122880) * MIB
    assert device.free_bytes == (512 - 148 + 122880 - 310) * MIB
    assert device.uuid is None  # all zeros is no serial number


@pytest.mark.parametrize("broken", ["amd/amd-smi-broken.txt", "amd/amd-smi-truncated.txt"])
def test_rocm_smi_answers_where_amd_smi_is_broken(machine, tools, broken):
    run = tools({AMD_SMI_STATIC: broken, AMD_SMI_METRIC: broken, ROCM_SMI: "amd/rocm-smi-5.7.txt"})
    (device,) = AmdProbe(run).read(machine()).devices
    assert device.name == "Radeon RX 6900 XT"
    assert device.bus_id == "0000:0b:00.0"
    assert device.uuid == "GPU-9c2f11d05ab47e63"
    assert device.driver == "6.2.4"
    assert device.free_bytes == 17163091968 - 11440128
    assert device.integrated is None  # this version names no instruction set


def test_rocm_smi_after_a_warning_and_with_an_apu(machine, tools):
    card, apu = AmdProbe(tools({ROCM_SMI: "amd/rocm-smi-6.2.txt"})).read(machine()).devices
    assert (card.name, card.integrated) == ("AMD Radeon RX 7900 XTX", False)
    assert card.total_bytes == 25753026560
    assert (apu.name, apu.integrated) == ("AMD Radeon Graphics", True)
    assert apu.total_bytes == 536870912 + 33550241792


def test_both_tools_and_the_kernel_list_one_card_once(machine, tools):
    roots = machine(card("0000:03:00.0", vram=25753026560, used=99) | kfd(0x300, 110000))
    run = tools({**amd_smi("6.2"), ROCM_SMI: "amd/rocm-smi-6.2.txt"})
    devices = AmdProbe(run).read(roots).devices
    assert [d.bus_id for d in devices] == ["0000:03:00.0", "0000:14:00.0"]
    assert devices[0].compute_capability == "gfx1100"  # rocm-smi's, where amd-smi is silent
    assert devices[0].free_bytes == (24560 - 1316) * MIB  # amd-smi's


def test_the_kernel_alone_tells_memory_and_serial(machine, tools):
    files = card("0000:03:00.0", vram=16 * GIB, used=GIB, serial="4e1f3b7a90c2d815", gtt=8 * GIB)
    (device,) = AmdProbe(tools({})).read(machine(files)).devices
    assert device.backend == "Vulkan"
    assert device.uuid == "GPU-4e1f3b7a90c2d815"
    assert (device.total_bytes, device.free_bytes) == (16 * GIB, 15 * GIB)
    assert device.name is None
    assert device.integrated is None


def test_an_apu_in_sysfs_has_no_more_free_than_the_host(machine, tools):
    files = card("0000:c5:00.0", vram=GIB // 2, used=0, gtt=120 * GIB, gtt_used=GIB)
    files |= kfd(0xC500, 110501) | {"proc/meminfo": f"MemAvailable:  {100 * MIB} kB"}
    (device,) = AmdProbe(tools({})).read(machine(files)).devices
    assert device.integrated is True
    assert device.total_bytes == 120 * GIB + GIB // 2
    assert device.free_bytes == 100 * GIB + GIB // 2


def test_the_kernel_knows_an_apu_s_share_where_a_tool_only_tells_its_carve_out(machine, tools):
    files = card("0000:0b:00.0", vram=GIB // 2, used=0, gtt=60 * GIB) | kfd(0xB00, 90012)
    old = {
        AMD_SMI_STATIC: "amd/amd-smi-broken.txt",
        ROCM_SMI: "amd/rocm-smi-5.7-apu.txt",
    }
    (device,) = AmdProbe(tools(old)).read(machine(files)).devices
    assert (device.name, device.integrated) == ("Cezanne", True)
    assert device.total_bytes == 60 * GIB + GIB // 2
    assert device.free_bytes == 60 * GIB + GIB // 2


def test_a_card_whose_memory_is_not_told_is_still_listed(machine, tools):
    files = card("0000:03:00.0", vram="", used="")
    (device,) = AmdProbe(tools({})).read(machine(files)).devices
    assert (device.total_bytes, device.free_bytes) == (None, None)


@pytest.mark.parametrize(
    ("version", "name"),
    [(110000, "gfx1100"), (110501, "gfx1151"), (90010, "gfx90a"), (90012, "gfx90c"), (0, None)],
)
def test_instruction_sets_are_named(version, name):
    assert gfx_name(version) == name


junk = st.text(max_size=200) | st.sampled_from(
    [
        '[{"gpu": 0, "vram": 5}]',
        '{"gpu_data": [{"gpu": true}]}',
        '{"card0": {"vram": []}}',
        "[" * 99,
    ]
)


@settings(deadline=None)
@given(junk, junk)
def test_garbage_is_no_card_with_invented_facts(one, other):
    for device in (*from_amd_smi(one, other), *from_rocm_smi(one)):
        assert device.total_bytes is None or device.total_bytes > 0


numbers = st.integers() | st.floats() | st.text(max_size=9) | st.none() | st.booleans()


@settings(deadline=None)
@given(numbers, numbers)
def test_sizes_of_any_kind_stay_in_range(total, used):
    usage = {"total_vram": {"value": total, "unit": "MB"}, "used_vram": used}
    for device in from_amd_smi("", json.dumps([{"gpu": 0, "mem_usage": usage}])):
        assert device.total_bytes is None or 0 < device.total_bytes < 1 << 50
        assert device.free_bytes is None or 0 <= device.free_bytes <= (device.total_bytes or 0)
