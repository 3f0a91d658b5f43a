"""Whatever a file holds, only `ModelError` leaves, soon, and with a bounded allocation."""

import contextlib
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_swarm.errors import ModelError
from local_swarm.models import cursor, read_facts
from tests.models.gguf_files import GgufFile, TensorSpec, small_llama

SOUND = small_llama().encode()
HEADER_BYTES = len(small_llama().header())

edits = st.tuples(st.integers(0, HEADER_BYTES + 8), st.binary(min_size=1, max_size=9))
thorough = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        read_facts(path)
    except ModelError as error:
        message = error.message
    else:
        return
    assert str(path) in message


@pytest.fixture(params=[1 << 20, 16], ids=["large chunks", "small chunks"])
def path(request, tmp_path, monkeypatch):
    monkeypatch.setattr(cursor, "CHUNK", request.param)
    return tmp_path / "fuzzed.gguf"


def test_the_file_that_is_mutated_is_sound(path):
    path.write_bytes(SOUND)
    assert read_facts(path).arch == "llama"


@thorough
@given(st.lists(edits, min_size=1, max_size=4))
def test_overwritten_bytes(path, changes):
    content = bytearray(SOUND)
    for at, patch in changes:
        content[at : at + len(patch)] = patch
    read(path, bytes(content))


@thorough
@given(st.integers(0, HEADER_BYTES), st.integers(0, 64), st.binary(max_size=64))
def test_cut_out_and_inserted_bytes(path, at, cut, inserted):
    read(path, SOUND[:at] + inserted + SOUND[at + cut :])


@thorough
@given(st.integers(0, HEADER_BYTES), st.sampled_from([1, 4, 8]), st.integers(-1, 1))
def test_extreme_numbers(path, at, width, near):
    for extreme in (0, 1 << (8 * width - 1), 1 << (8 * width)):
        number = ((extreme + near) % (1 << (8 * width))).to_bytes(width, "little")
        read(path, SOUND[:at] + number + SOUND[at + width :])


@thorough
@given(st.binary(max_size=400))
def test_bytes_out_of_nowhere(path, body):
    read(path, body)
    read(path, SOUND[:8] + body)


def test_no_field_makes_it_allocate_much(path):
    """0xFF over each place in turn: no length or count is believed before it is checked."""
    tracemalloc.start()
    try:
        for at in range(4, HEADER_BYTES, 3):
            read(path, SOUND[:at] + b"\xff" * 8 + SOUND[at + 8 :])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


@thorough
@given(st.lists(edits, min_size=1, max_size=4), st.integers(0, 2))
def test_parts_of_a_model_that_were_overwritten(path, changes, which):
    keys = [{"split.no": n, "split.count": 3} for n in range(3)]
    keys[0] |= small_llama().keys
    for number, own in enumerate(keys):
        content = bytearray(GgufFile(own, [TensorSpec(f"t{number}", (32,))]).encode())
        if number == which:
            for at, patch in changes:
                content[at : at + len(patch)] = patch
        name = f"fuzzed-{number + 1:05}-of-00003.gguf"
        path.with_name(name).write_bytes(content)
    with contextlib.suppress(ModelError):
        read_facts(path.with_name("fuzzed-00001-of-00003.gguf"))


@thorough
@given(st.binary(max_size=400))
def test_the_other_byte_order(path, body):
    read(path, b"GGUF\0\0\0\x03" + body)
