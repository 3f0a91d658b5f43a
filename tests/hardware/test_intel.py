"""Intel graphics, from recorded tools' outputs and sysfs trees."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.hardware.intel import CLINFO, SYCL_LS, XPU_SMI, IntelProbe
from local_swarm.hardware.intel_tools import (
    from_clinfo,
    from_sycl_ls,
    from_xpu_smi,
    integrated_by_name,
)

MIB = 1 << 20


def kernel(number, bus, device, driver):
    root = f"sys/class/drm/card{number}/device"
    return {
        f"{root}/vendor": "0x8086",
        f"{root}/device": device,
        f"{root}/uevent": f"DRIVER={driver}\nPCI_SLOT_NAME={bus}",
    }


# The integrated graphics come first in sysfs, and last in every tool's list.
BOTH = kernel(0, "0000:00:02.0", "0xa780", "i915") | kernel(1, "0000:03:00.0", "0xe20b", "xe")


def test_a_machine_without_intel_graphics(machine, tools):
    run = tools({XPU_SMI: "intel/xpu-smi-none.txt", CLINFO: "intel/clinfo-none.txt"})
    assert IntelProbe(run).read(machine()).devices == ()


def test_xpu_smi_tells_of_data_centre_cards(machine, tools):
    first, second = IntelProbe(tools({XPU_SMI: "intel/xpu-smi-1.2.txt"})).read(machine()).devices
    assert first.name == "Intel(R) Data Center GPU Flex 170"
    assert first.total_bytes == 14248 * MIB
    assert first.free_bytes is None
    assert first.driver == "23.17.14"
    assert first.integrated is False
    assert (second.bus_id, second.total_bytes) == ("0000:b1:00.0", None)


def test_all_sources_together_list_each_card_once(machine, tools):
    outputs = {
        XPU_SMI: "intel/xpu-smi-arc.txt",
        CLINFO: "intel/clinfo.txt",
        SYCL_LS: "intel/sycl-ls-2025.txt",
    }
    arc, uhd = IntelProbe(tools(outputs)).read(machine(BOTH)).devices
    assert (arc.name, arc.bus_id) == ("Intel(R) Arc(TM) B580 Graphics", "0000:03:00.0")
    assert arc.total_bytes == 12216 * MIB  # the card's, not what OpenCL lets one process have
    assert arc.driver == "xe"
    assert arc.backend == "SYCL"
    assert (uhd.name, uhd.integrated) == ("Intel(R) UHD Graphics 770", True)


def test_clinfo_gives_memory_where_xpu_smi_fails(machine, tools):
    run = tools({XPU_SMI: "intel/xpu-smi-error.txt", CLINFO: "intel/clinfo.txt"})
    uhd, arc = IntelProbe(run).read(machine(BOTH)).devices
    assert (arc.total_bytes, arc.integrated, arc.backend) == (12168933376, False, "Vulkan")
    assert (uhd.total_bytes, uhd.integrated) == (31206158336, True)


def test_sycl_ls_names_cards_the_kernel_only_numbers(machine, tools):
    run = tools({SYCL_LS: "intel/sycl-ls-2025.txt"})
    uhd, arc = IntelProbe(run).read(machine(BOTH)).devices
    assert (arc.name, arc.bus_id) == ("Intel(R) Arc(TM) B580 Graphics", "0000:03:00.0")
    assert (uhd.name, uhd.bus_id) == ("Intel(R) UHD Graphics 770", "0000:00:02.0")
    assert arc.total_bytes is None


def test_older_sycl_ls_is_read_too(machine, tools):
    (arc,) = IntelProbe(tools({SYCL_LS: "intel/sycl-ls-2023.txt"})).read(machine()).devices
    assert arc.name == "Intel(R) Arc(TM) A770 Graphics"
    assert arc.driver == "1.3.26516"


def test_the_kernel_alone(machine, tools):
    files = BOTH | {
        "sys/class/drm/card1/lmem_total_bytes": 12 * 1024 * MIB,
        "sys/class/drm/card1/lmem_avail_bytes": 11 * 1024 * MIB,
    }
    uhd, arc = IntelProbe(tools({})).read(machine(files)).devices
    assert (uhd.integrated, uhd.total_bytes, uhd.driver) == (True, None, "i915")
    assert (arc.total_bytes, arc.free_bytes) == (12 * 1024 * MIB, 11 * 1024 * MIB)
    assert arc.backend == "Vulkan"


@pytest.mark.parametrize(
    ("name", "integrated"),
    [
        ("Intel(R) Arc(TM) B580 Graphics", False),
        ("Intel(R) Arc(TM) A370M Graphics", False),
        ("Intel(R) Arc(TM) Pro B60 Graphics", False),
        ("Intel(R) Data Center GPU Max 1100", False),
        ("Intel(R) Arc(TM) Graphics", True),
        ("Intel(R) Iris(R) Xe Graphics", True),
        ("Intel(R) UHD Graphics 770", True),
        ("Intel(R) Graphics [0xe20b]", None),
        (None, None),
    ],
)
def test_names_that_say_where_the_graphics_sit(name, integrated):
    assert integrated_by_name(name) is integrated


@settings(deadline=None)
@given(st.text(max_size=300))
def test_garbage_adds_nothing(text):
    for parse in (from_xpu_smi, from_clinfo, from_sycl_ls):
        assert list(parse(text)) == []


@settings(deadline=None)
@given(st.text(max_size=100))
def test_garbage_below_a_heading_invents_no_size(text):
    for device in from_xpu_smi("Device ID,Device Name,Memory Physical Size\n" + text):
        assert device.total_bytes is None or device.total_bytes > 0
