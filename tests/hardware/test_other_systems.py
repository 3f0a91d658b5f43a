"""Windows, Apple and Android, from recorded outputs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.domain.hardware import Cpu, Memory
from local_swarm.hardware import Findings, android, apple, snapshot, windows
from local_swarm.hardware.android import AndroidProbe, adreno, parse_properties
from local_swarm.hardware.apple import AppleProbe, working_set
from local_swarm.hardware.windows import WindowsProbe, from_report

MIB = 1 << 20
GIB = 1 << 30


class Fixed:
    name = "fixed"

    def read(self, roots):
        return Findings(cpu=Cpu("CPU", 4, 8), memory=Memory(16 * GIB, 8 * GIB))


def never(argv):
    raise AssertionError(f"{argv[0]} was started")


def on_windows(tools, name):
    return WindowsProbe(tools({windows.COMMAND: f"windows/{name}.txt"}), "Windows")


def test_no_foreign_tool_is_started(machine):
    assert WindowsProbe(never, "Linux").read(machine()) == Findings()
    assert AppleProbe(never, "Linux").read(machine()) == Findings()
    assert AndroidProbe(never, {}).read(machine()) == Findings()


def test_windows_registry_knows_more_than_four_gib(machine, tools):
    card, apu = on_windows(tools, "desktop").read(machine()).devices
    assert (card.name, card.backend) == ("AMD Radeon RX 7900 XTX", "Vulkan")
    assert card.total_bytes == 25753026560
    assert card.free_bytes is None
    assert card.driver == "32.0.12033.1030"
    assert (apu.integrated, apu.total_bytes) == (True, None)


def test_windows_writes_a_list_of_one_as_the_one(machine, tools):
    (iris,) = on_windows(tools, "laptop").read(machine()).devices
    assert (iris.vendor, iris.integrated, iris.total_bytes) == ("Intel", True, None)


def test_adapter_ram_at_its_ceiling_says_nothing(machine, tools):
    large, small = on_windows(tools, "nvidia-no-registry").read(machine()).devices
    assert large.total_bytes is None
    assert small.total_bytes == 2 * GIB
    assert large.backend == "CUDA"


def test_windows_on_arm_has_its_graphics_off_the_pci_bus(machine, tools):
    (device,) = on_windows(tools, "snapdragon").read(machine()).devices
    assert (device.vendor, device.backend, device.integrated) == ("Qualcomm", "OpenCL", True)


@settings(deadline=None)
@given(st.text(max_size=200) | st.sampled_from(['{"controllers": 5}', '{"controllers": [[]]}']))
def test_garbage_from_windows_is_nothing(text):
    assert list(from_report(text)) == []


def on_mac(tools, name, available=GIB * 1000):
    return AppleProbe(tools({apple.COMMAND: f"apple/{name}.txt"}), "Darwin", lambda: available)


@pytest.mark.parametrize(
    ("name", "chip", "mib"),
    [
        ("m1-16", "Apple M1", 10922),
        ("m1-max-32-macos13", "Apple M1 Max", 21845),
        ("m3-max-36", "Apple M3 Max", 27648),
        ("m4-max-128-raised", "Apple M4 Max", 114688),
    ],
)
def test_a_mac_has_one_metal_device_with_metal_s_limit(machine, tools, name, chip, mib):
    found = on_mac(tools, name).read(machine())
    (device,) = found.devices
    assert found.unified is True
    assert (device.id, device.backend, device.name) == ("MTL0", "Metal", chip)
    assert device.total_bytes == device.free_bytes == mib * MIB


def test_no_more_is_free_on_a_mac_than_its_ram_has_available(machine, tools):
    (device,) = on_mac(tools, "m1-16", 6 * GIB).read(machine()).devices
    assert device.free_bytes == 6 * GIB


def test_an_intel_mac_and_a_silent_one_have_none(machine, tools):
    assert on_mac(tools, "intel-mac").read(machine()) == Findings()
    assert AppleProbe(lambda _: "", "Darwin").read(machine()) == Findings()


@settings(deadline=None)
@given(st.none() | st.integers(1, 1 << 45), st.none() | st.integers(1, 1 << 45))
def test_the_working_set_is_never_above_ram(ram, limit):
    found = working_set(ram, limit)
    assert (found is None) == (ram is None and limit is None)
    assert found is None or ram is None or found <= ram


@settings(deadline=None)
@given(st.text(max_size=200))
def test_garbage_from_sysctl_is_no_device(text):
    assert AppleProbe(lambda _: text, "Darwin").read(None).devices == ()


def on_phone(tools, name):
    return AndroidProbe(
        tools({android.COMMAND: f"android/{name}.txt"}), {"TERMUX_VERSION": "0.118"}
    )


def test_a_snapdragon_phone_has_an_adreno_of_unknown_size(machine, tools):
    found = on_phone(tools, "getprop-sm8650").read(machine())
    (device,) = found.devices
    assert found.os == "android"
    assert (device.name, device.vendor, device.backend) == ("Adreno 750", "Qualcomm", "OpenCL")
    assert (device.total_bytes, device.integrated) == (None, True)


def test_a_chip_that_is_not_in_the_table_has_an_adreno_without_a_number(machine, tools):
    (device,) = on_phone(tools, "getprop-unknown-snapdragon").read(machine()).devices
    assert device.name is None


def test_another_maker_s_phone_is_android_without_a_known_device(machine, tools):
    found = on_phone(tools, "getprop-tensor").read(machine())
    assert (found.os, found.devices) == ("android", ())


def test_without_getprop_the_build_file_tells(machine, recorded):
    roots = machine({"system/build.prop": recorded("android/build.prop")})
    (device,) = AndroidProbe(lambda _: "", {}).read(roots).devices
    assert device.name == "Adreno 650"


def test_the_kernel_s_own_name_of_the_graphics_wins(machine):
    roots = machine({"sys/class/kgsl/kgsl-3d0/gpu_model": "Adreno740v2"})
    (device,) = AndroidProbe(lambda _: "", {"TERMUX_VERSION": "1"}).read(roots).devices
    assert device.name == "Adreno 740"


@settings(deadline=None)
@given(st.text(max_size=200))
def test_garbage_from_getprop_is_no_device(text):
    assert adreno(parse_properties(text), "") is None


def test_a_phone_s_snapshot_says_android_and_unified(machine, tools):
    host = snapshot(machine(), [Fixed(), on_phone(tools, "getprop-sm8650")])
    assert (host.os, host.unified) == ("android", True)
    assert host.devices[0].id == "OpenCL0"
