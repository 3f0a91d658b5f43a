"""The sample machines of conf/hosts."""

import json
from pathlib import Path

import pytest

from local_swarm.hardware import load, to_dict

HOSTS = sorted((Path(__file__).parents[2] / "conf" / "hosts").glob("*.json"))


def test_there_is_a_dozen():
    assert len(HOSTS) >= 12


@pytest.mark.parametrize("path", HOSTS, ids=lambda path: path.stem)
def test_a_sample_host_loads_and_is_written_back_the_same(path):
    host = load(path)
    assert to_dict(host) == json.loads(path.read_text(encoding="utf-8"))
    assert load(path) == host


@pytest.mark.parametrize("path", HOSTS, ids=lambda path: path.stem)
def test_a_sample_host_is_a_possible_machine(path):
    host = load(path)
    cpu, memory = host.cpu, host.memory
    assert cpu.physical is None or cpu.physical <= cpu.logical
    assert memory.available_bytes <= memory.total_bytes
    assert len({device.id for device in host.devices}) == len(host.devices)
    assert sorted(n for node in cpu.numa for n in node) in ([], list(range(cpu.logical)))
    for device in host.devices:
        assert device.free_bytes is None or device.free_bytes <= (device.total_bytes or 0)
        assert not device.integrated or (device.total_bytes or 0) <= memory.total_bytes
    alone = bool(host.devices) and all(device.integrated for device in host.devices)
    assert host.unified is alone
