"""The JSON form of a snapshot."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.domain.hardware import Cpu, Device, HostSnapshot, Memory
from local_swarm.errors import ConfigError
from local_swarm.hardware import load, to_dict, to_json

sizes = st.integers(1, 1 << 50)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
devices = st.builds(
    Device,
    id=texts.filter(lambda id_: id_ not in ("", "cpu")),
    uuid=st.none() | texts,
    vendor=st.none() | texts,
    name=st.none() | texts,
    backend=st.none() | texts,
    total_bytes=st.none() | sizes,
    free_bytes=st.none() | sizes,
    driver=st.none() | texts,
    bus_id=st.none() | texts,
    integrated=st.none() | st.booleans(),
    compute_capability=st.none() | texts,
    others_bytes=st.none() | sizes,
    power_limit_w=st.none() | st.floats(0, 2000),
)
hosts = st.builds(
    HostSnapshot,
    os=texts,
    arch=texts,
    cpu=st.builds(
        Cpu,
        model=st.none() | texts,
        physical=st.none() | st.integers(1, 512),
        logical=st.integers(1, 512),
        numa=st.lists(st.lists(st.integers(0, 511), max_size=3).map(tuple), max_size=2).map(tuple),
    ),
    memory=st.builds(
        Memory, total_bytes=sizes, available_bytes=sizes, limit_bytes=st.none() | sizes
    ),
    unified=st.booleans(),
    devices=st.lists(
        devices,
        max_size=3,
        unique_by=(lambda d: d.id, lambda d: object() if d.uuid is None else d.uuid),
    ).map(tuple),
)

HOST = HostSnapshot(
    os="linux",
    arch="x86_64",
    cpu=Cpu("CPU", 4, 8),
    memory=Memory(32 << 30, 24 << 30),
    devices=(Device("gpu0", None, "NVIDIA", "Card", "CUDA", 8 << 30, 7 << 30, "550"),),
)


@settings(deadline=None)
@given(hosts)
def test_a_snapshot_survives_its_file(tmp_path_factory, host):
    path = tmp_path_factory.mktemp("host") / "host.json"
    path.write_text(to_json(host), encoding="utf-8")
    assert load(path) == host


def test_the_document_has_the_contract_s_keys():
    document = to_dict(HOST)
    assert list(document) == ["os", "arch", "cpu", "memory", "unified", "devices"]
    assert list(document["cpu"]) == ["model", "physical", "logical"]
    assert document["memory"]["limit_bytes"] is None
    device = ["id", "uuid", "vendor", "name", "backend", "total_bytes", "free_bytes", "driver"]
    assert list(document["devices"][0]) == device
    assert json.loads(to_json(HOST)) == document


def test_facts_beyond_the_contract_are_written_where_they_are_known():
    card = replace(HOST.devices[0], bus_id="0000:01:00.0", integrated=False)
    cpu = replace(HOST.cpu, numa=((0, 1), (2, 3)))
    document = to_dict(replace(HOST, cpu=cpu, devices=(card,)))
    assert document["cpu"]["numa"] == [[0, 1], [2, 3]]
    assert document["devices"][0]["bus_id"] == "0000:01:00.0"
    assert document["devices"][0]["integrated"] is False
    assert "power_limit_w" not in document["devices"][0]


def changed(**places):
    document = to_dict(HOST)
    for place, value in places.items():
        *groups, last = place.split("__")
        target = document
        for group in groups:
            target = target[group]
        target[last] = value
    return json.dumps(document)


def without(*places):
    document = to_dict(HOST)
    for place in places:
        del document[place]
    return json.dumps(document)


def cards(*changes):
    one = to_dict(HOST)["devices"][0]
    return changed(devices=[{**one, **change} for change in changes])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "truncated"),
        ("{", "truncated"),
        ("[]", "Expected `object`, got `array`"),
        ("nonsense", "malformed"),
        (without("memory"), "missing required field `memory`"),
        (changed(memory__total_bytes="32 GiB"), r"\$\.memory\.total_bytes"),
        (changed(memory__total_bytes=0), r"\$\.memory\.total_bytes"),
        (changed(memory__available_bytes=-1), r"\$\.memory\.available_bytes"),
        (changed(cpu__logical=0), r"\$\.cpu\.logical"),
        (changed(cpu__physical=1.5), r"\$\.cpu\.physical"),
        (changed(unified=None), r"\$\.unified"),
        (changed(devices=[{"id": "gpu0"}]), r"\$\.devices\[0\]"),
        (changed(devices=[{**to_dict(HOST)["devices"][0], "free_bytes": -5}]), "free_bytes"),
        ('{"a":' * 100_000, "."),
        (changed(memory__total_bytes=(1 << 63) + 1), r"\$\.memory\.total_bytes"),
        (cards({"total_bytes": (1 << 63) + 1}), r"\$\.devices\[0\]\.total_bytes"),
        (cards({"free_bytes": 1 << 80}), r"\$\.devices\[0\]\.free_bytes"),
        (cards({"id": ""}), r"'' is no .*\$\.devices\[0\]\.id"),
        (cards({"id": "a"}, {"id": "cpu"}), r"'cpu' is no .*\$\.devices\[1\]\.id"),
        (cards({}, {}), r"\$\.devices\[0\] already.*\$\.devices\[1\]\.id"),
        (
            cards({"id": "a", "uuid": "GPU-1"}, {"id": "b"}, {"id": "c", "uuid": "GPU-1"}),
            r"\$\.devices\[0\] already.*\$\.devices\[2\]\.uuid",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_place(tmp_path, text, said):
    path = tmp_path / "other-machine.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"other-machine\.json") as caught:
        load(path)
    with pytest.raises(ConfigError, match=said):
        raise caught.value


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "host.json"
    path.write_bytes(b'{"os": "\xff\xfe"}')
    with pytest.raises(ConfigError, match=r"host\.json"):
        load(path)


@pytest.mark.parametrize("name", ["missing.json", ".", "nul\0byte"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot be used"):
        load(tmp_path / name)


def test_facts_of_later_versions_are_passed_over(tmp_path):
    path = tmp_path / "host.json"
    path.write_text(changed(npu={"tops": 40}))
    assert load(path) == HOST


def test_devices_of_which_no_uuid_is_known_are_not_alike(tmp_path):
    path = tmp_path / "host.json"
    path.write_text(cards({"id": "CUDA0"}, {"id": "CUDA1", "total_bytes": 1 << 63}))
    assert [device.id for device in load(path).devices] == ["CUDA0", "CUDA1"]
