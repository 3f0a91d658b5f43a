"""One list of devices out of what several sources saw."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.domain.hardware import Cpu, Memory
from local_swarm.hardware import Findings, snapshot
from local_swarm.hardware.combine import combine, numbered, same_name
from local_swarm.hardware.nvidia import NvidiaProcProbe
from local_swarm.hardware.pci import PciProbe
from local_swarm.hardware.values import as_bytes, bus_id, json_in, known, new_device

GIB = 1 << 30


def sources(*lists, complete=()):
    return [
        Findings(devices=tuple(devices), complete=frozenset(complete if i == 0 else ()))
        for i, devices in enumerate(lists)
    ]


NVML = new_device("NVIDIA", id="CUDA0", uuid="GPU-1", bus_id="0000:01:00.0", total_bytes=GIB)


def test_one_card_seen_by_address_is_listed_once_and_filled():
    again = new_device(
        "NVIDIA", bus_id="0000:01:00.0", name="RTX", total_bytes=5, free_bytes=GIB, driver="5"
    )
    (device,) = combine(sources([NVML], [again]))
    assert device == replace(NVML, name="RTX", driver="5", free_bytes=GIB)


def test_more_free_than_the_total_is_not_believed():
    again = new_device("NVIDIA", uuid="GPU-1", free_bytes=2 * GIB)
    assert combine(sources([NVML], [again]))[0].free_bytes is None


def test_other_addresses_are_other_cards():
    other = new_device("NVIDIA", bus_id="0000:02:00.0")
    assert combine(sources([NVML], [other])) == (NVML, other)


def test_a_vendor_s_complete_list_is_not_added_to():
    other = new_device("NVIDIA", bus_id="0000:02:00.0")
    amd = new_device("AMD", bus_id="0000:03:00.0")
    assert combine(sources([NVML], [other, amd], complete=["NVIDIA"])) == (NVML, amd)


def test_mig_instances_stand_for_their_card():
    parts = [replace(NVML, id=f"MIG-{n}", uuid=f"MIG-{n}") for n in range(2)]
    card = new_device("NVIDIA", bus_id="0000:01:00.0", name="whole card")
    assert combine(sources(parts, [card])) == tuple(parts)
    assert combine(sources(parts[:1], [card])) == tuple(parts[:1])


def test_a_source_without_addresses_is_matched_by_name_then_order():
    cards = [new_device("Intel", bus_id=f"0000:0{n}:00.0", name=f"Arc A7{n}0") for n in (5, 7)]
    named = [
        new_device("Intel", name="Intel(R) Arc(TM) A770 Graphics", driver="1.3"),
        new_device("Intel", name="something", driver="1.2"),
        new_device("Intel", name="one more", driver="1.1"),
    ]
    found = combine(sources(cards, named))
    assert [d.driver for d in found] == ["1.2", "1.3"]


def test_two_cards_of_one_name_stay_two():
    twins = [new_device("AMD", name="Radeon") for _ in range(2)]
    assert len(combine(sources(twins, twins))) == 2


def test_devices_are_numbered_by_backend():
    found = numbered(
        [
            NVML,
            new_device("AMD", backend="Vulkan"),
            new_device("Intel", backend="Vulkan"),
            new_device("NVIDIA", backend="CUDA"),
            new_device("AMD"),
        ]
    )
    assert [d.id for d in found] == ["CUDA0", "Vulkan0", "Vulkan1", "CUDA1", "gpu0"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090", True),
        ("AMD Radeon RX 7900 XTX (RADV NAVI31)", "Radeon RX 7900 XTX", True),
        ("Intel(R) Arc(TM) B580 Graphics", "Arc B580", True),
        ("GeForce RTX 4090", "GeForce RTX 4080", False),
        (None, None, False),
    ],
)
def test_names_are_compared_without_their_decoration(one, other, same):
    assert same_name(one, other) is same


optional = st.none() | st.sampled_from(["a", "b"])
devices = st.builds(
    lambda vendor, bus, uuid, name: new_device(vendor, bus_id=bus, uuid=uuid, name=name),
    optional, optional, optional, optional,
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.lists(devices, max_size=3), max_size=4))
def test_the_first_source_s_devices_are_never_lost_and_ids_are_unique(lists):
    found = numbered(combine(sources(*lists)))
    assert len(found) >= len(lists[0] if lists else [])
    assert len({d.id for d in found}) == len(found)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("24560 MB", 24560 << 20),
        ("11.5 GiB", 23 << 29),
        ({"value": 512, "unit": "MB"}, 512 << 20),
        ({"value": "N/A", "unit": "MB"}, None),
        ("N/A", None),
        ("-1", None),
        (True, None),
        (float("inf"), None),
        (1 << 60, None),
        ("12 parsecs", None),
        (None, None),
        ("0", 0),
    ],
)
def test_sizes_in_every_tool_s_way_of_writing(value, size):
    assert as_bytes(value) == size


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("00000000:C4:00.0", "0000:c4:00.0"),
        (b"0000:01:00.0\0", "0000:01:00.0"),
        ("03:00.0", "0000:03:00.0"),
        ("N/A", None),
        ("nonsense", None),
        (7, None),
    ],
)
def test_pci_addresses_have_one_form(value, address):
    assert bus_id(value) == address


def test_json_is_found_between_warnings():
    assert json_in("WARNING [low power]\n{broken\n[1, 2]\nbye") == [1, 2]
    assert json_in("nothing here") is None
    assert json_in("[" * 100_000) is None
    assert known(" [N/A] ") is None


def pci(address, vendor, device, kind="0x030000", driver=None):
    root = f"sys/bus/pci/devices/{address}"
    uevent = f"PCI_SLOT_NAME={address}" + (f"\nDRIVER={driver}" if driver else "")
    values = {"vendor": vendor, "device": device, "class": kind, "uevent": uevent}
    return {f"{root}/{name}": value for name, value in values.items()}


IDS = """# a few lines of the kind pci.ids has
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t744c  Navi 31 [Radeon RX 7900 XTX]
\t\t1eae 7901  RX-79XMERCB9
10de  NVIDIA Corporation
\t744c  not this one
\t2684  AD102 [GeForce RTX 4090]"""


def test_the_pci_bus_is_the_last_resort(machine):
    roots = machine(
        pci("0000:01:00.0", "0x10de", "0x2684")
        | pci("0000:03:00.0", "0x1002", "0x744c", driver="amdgpu")
        | pci("0000:00:02.0", "0x8086", "0xa780")
        | pci("0000:05:00.0", "0x1002", "0x74a1", "0x120000")
        | pci("0000:00:0b.0", "0x8086", "0x7d1d", "0x120000")  # an NPU
        | pci("0000:06:00.0", "0x10de", "0x2204", driver="vfio-pci")  # lent to a guest
        | pci("0000:07:00.0", "0x1a03", "0x2000")  # a server's console
        | pci("0000:08:00.0", "0x10de", "0x22ba", "0x040300")  # the card's sound
        | {"share/misc/pci.ids": IDS}
    )
    found = {d.bus_id: d for d in PciProbe().read(roots).devices}
    names = {bus: device.name for bus, device in found.items()}
    assert names == {
        "0000:00:02.0": None,
        "0000:01:00.0": "AD102 [GeForce RTX 4090]",
        "0000:03:00.0": "Navi 31 [Radeon RX 7900 XTX]",
        "0000:05:00.0": None,
    }
    assert found["0000:00:02.0"].integrated is True
    assert {d.backend for d in found.values()} == {None}
    assert {d.total_bytes for d in found.values()} == {None}


@pytest.mark.parametrize(
    ("version", "driver"), [("version", "550.120"), ("version-open", "570.133.07")]
)
def test_the_nvidia_driver_s_own_files_name_its_cards(machine, recorded, version, driver):
    root = "proc/driver/nvidia"
    roots = machine(
        {
            f"{root}/version": recorded(f"nvidia/{version}.txt"),
            f"{root}/gpus/0000:01:00.0/information": recorded("nvidia/information.txt"),
            f"{root}/gpus/0000:41:00.0/information": recorded("nvidia/information-asleep.txt"),
        }
    )
    awake, asleep = NvidiaProcProbe().read(roots).devices
    assert awake.name == "NVIDIA GeForce RTX 3090"
    assert awake.uuid == "GPU-5b8f1c2e-7d3a-4e60-9c11-2f0a6b7d8e90"
    assert awake.driver == driver
    assert (asleep.bus_id, asleep.uuid) == ("0000:41:00.0", None)
    assert awake.total_bytes is None


class Fixed:
    name = "fixed"

    def __init__(self, *devices, **facts):
        self.found = Findings(
            cpu=Cpu("CPU", 4, 8),
            memory=Memory(16 * GIB, 8 * GIB),
            devices=tuple(devices),
            **facts,
        )

    def read(self, roots):
        return self.found


@pytest.mark.parametrize(
    ("integrated", "unified"),
    [((True,), True), ((True, True), True), ((True, False), False), ((None,), False), ((), False)],
)
def test_a_machine_is_unified_when_all_its_accelerators_work_in_its_ram(integrated, unified):
    devices = [new_device("AMD", bus_id=str(i), integrated=v) for i, v in enumerate(integrated)]
    assert snapshot(probes=[Fixed(*devices)]).unified is unified


def test_what_a_probe_says_of_the_machine_wins():
    host = snapshot(probes=[Fixed(os="android", unified=True)])
    assert (host.os, host.unified) == ("android", True)
