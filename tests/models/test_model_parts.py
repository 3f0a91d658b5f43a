"""Models in several files, and files of the other byte order."""

import struct

import pytest

from local_swarm.errors import ModelError
from local_swarm.models import read_facts, read_header
from tests.models.gguf_files import F16_TENSOR, U16, GgufFile, TensorSpec, Typed, small_llama


@pytest.fixture
def parts(tmp_path):
    """Writes a model in three parts; `changes` replace the keys of some."""

    def parts(**changes):
        whole = small_llama()
        paths = []
        for number in range(3):
            keys = dict(whole.keys) if number == 0 else {}
            keys |= {"split.no": Typed(U16, number), "split.count": Typed(U16, 3)}
            keys |= {"split.tensors.count": 4}
            keys |= changes.get(f"part{number}", {})
            tensors = whole.tensors[number : number + 1] if number else [whole.tensors[0]]
            tensors = tensors if number < 2 else whole.tensors[2:]
            path = tmp_path / f"model-{number + 1:05}-of-00003.gguf"
            path.write_bytes(GgufFile(keys, tensors).encode())
            paths.append(path)
        return paths

    return parts


def test_any_part_stands_for_the_whole(parts):
    paths = parts()
    first = read_facts(paths[0])
    assert first.parts == tuple(map(str, paths))
    assert first.path == str(paths[0])
    assert first.size_bytes == sum(path.stat().st_size for path in paths)
    assert [t.name for t in first.tensors] == [t.name for t in small_llama().tensors]
    assert read_facts(paths[2]) == first


def test_a_missing_part_is_named(parts):
    paths = parts()
    paths[1].unlink()
    with pytest.raises(ModelError, match=r"Part 2 of 3 .* missing: .*model-00002-of-00003.gguf"):
        read_facts(paths[0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"part1": {"split.no": Typed(U16, 2)}}, "named part 2 of 3, but says that it is part 3"),
        ({"part2": {"split.count": Typed(U16, 4)}}, "part 3 of 4"),
        ({"part0": {"split.count": 2_000_000_000}}, "one of 2000000000 parts"),
        ({"part0": {"split.tensors.count": 5}}, "have 4 tensors, not the 5 it says"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(parts, changes, said):
    with pytest.raises(ModelError, match=said):
        read_facts(parts(**changes)[0])


def test_a_tensor_in_two_parts_is_refused(parts, tmp_path):
    paths = parts()
    again = {"split.no": Typed(U16, 1), "split.count": Typed(U16, 3)}
    twice = GgufFile(again, [TensorSpec("token_embd.weight", (64, 40), F16_TENSOR)])
    paths[1].write_bytes(twice.encode())
    with pytest.raises(ModelError, match=r"'token_embd.weight' is in another part too"):
        read_facts(paths[0])


def test_a_part_under_another_name_is_refused(parts):
    path = parts()[0]
    with pytest.raises(ModelError, match="which its name does not say") as caught:
        read_facts(path.rename(path.with_name("renamed.gguf")))
    assert "00001-of-00003" in caught.value.hint


def big_endian() -> bytes:
    """A header by hand: one string, one number, one array of strings, one of numbers, a tensor."""

    def text(value: str) -> bytes:
        return struct.pack(">Q", len(value)) + value.encode()

    out = b"GGUF" + struct.pack(">IQQ", 3, 1, 4)
    out += text("general.architecture") + struct.pack(">I", 8) + text("llama")
    out += text("llama.block_count") + struct.pack(">II", 4, 7)
    out += text("words") + struct.pack(">IIQ", 9, 8, 2) + text("one") + text("three")
    out += text("numbers") + struct.pack(">IIQ2h", 9, 3, 2, -2, 258)
    out += text("w") + struct.pack(">IQQIQ", 2, 32, 2, 8, 0)
    return out + bytes(-len(out) % 32 + 68)


def test_big_endian_files_are_read(tmp_path):
    path = tmp_path / "big.gguf"
    path.write_bytes(big_endian())
    header = read_header(path)
    assert header.big_endian
    assert header.version == 3
    assert header.metadata["llama.block_count"] == 7
    assert header.metadata["numbers"] == (-2, 258)
    assert header.tensors[0].shape == (32, 2)


def test_every_shorter_prefix_of_a_big_endian_header_is_refused(tmp_path):
    path, content = tmp_path / "big.gguf", big_endian()
    for end in range(len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(ModelError):
            read_header(path)
