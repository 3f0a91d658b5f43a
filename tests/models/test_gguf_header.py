"""Reading sound GGUF headers, and refusing the others with what and where."""

import os
import struct
import tracemalloc

import pytest

from local_swarm.domain.model import Tensor
from local_swarm.errors import ModelError
from local_swarm.models import Skipped, cursor, read_header
from tests.models.gguf_files import (
    ARRAY,
    BOOL,
    F64,
    I8,
    I16,
    I32,
    I64,
    STRING,
    U8,
    U16,
    U64,
    GgufFile,
    TensorSpec,
    Typed,
    small_llama,
    string,
)

START = b"GGUF" + struct.pack("<I", 3)


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "model.gguf"
        path.write_bytes(content.encode() if isinstance(content, GgufFile) else content)
        return path

    return write


@pytest.fixture(params=[1 << 20, 64, 9], ids="chunk {}".format)
def chunk(request, monkeypatch):
    """Small chunks, so that every value lies across the edge of a buffer in some run."""
    monkeypatch.setattr(cursor, "CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("version", [2, 3])
def test_every_kind_of_value_is_read(write, version):
    kinds = {
        "a.u8": Typed(U8, 255),
        "a.i8": Typed(I8, -1),
        "a.u16": Typed(U16, 65535),
        "a.i16": Typed(I16, -2),
        "a.u32": 7,
        "a.i32": Typed(I32, -3),
        "a.f32": 0.5,
        "a.bool": True,
        "a.string": "naïve ✓",
        "a.ints": Typed(ARRAY, [1, -2, 3], I32),
        "a.bools": Typed(ARRAY, [True, False], BOOL),
        "a.empty": Typed(ARRAY, [], I32),
        "a.u64": Typed(U64, 1 << 60),
        "a.i64": Typed(I64, -(1 << 60)),
        "a.f64": Typed(F64, 0.25),
    }
    header = read_header(write(GgufFile(kinds, version=version)))
    plain = {key: item.value if isinstance(item, Typed) else item for key, item in kinds.items()}
    expected = {key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()}
    assert header.metadata == expected
    assert header.version == version


@pytest.mark.usefixtures("chunk")
def test_arrays_of_strings_are_counted_not_kept(write):
    words = ["", "x", "y" * 7, "z" * 300, *(f"word {n}" for n in range(500))]
    header = read_header(write(GgufFile({"v.words": words, "v.last": 1})))
    assert header.metadata == {"v.words": Skipped(len(words)), "v.last": 1}


@pytest.mark.usefixtures("chunk")
def test_long_values_are_stepped_over(write):
    keys = {"v.scores": [0.5] * 5000, "v.template": "t" * 70_000, "v.last": 1}
    header = read_header(write(GgufFile(keys)))
    assert header.metadata == {
        "v.scores": Skipped(5000),
        "v.template": Skipped(70_000),
        "v.last": 1,
    }


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("alignment", [None, 8, 64])
def test_tensors_are_listed_with_their_sizes(write, alignment):
    file = small_llama(general__alignment=alignment)
    file.alignment = alignment or 32
    header = read_header(write(file))
    assert header.tensors == (
        Tensor("token_embd.weight", (64, 40), 1, 64 * 40 * 2),
        Tensor("blk.0.ffn_gate.weight", (64, 128), 8, 64 * 128 // 32 * 34),
        Tensor("blk.1.ffn_gate.weight", (64, 128), 8, 64 * 128 // 32 * 34),
        Tensor("output_norm.weight", (63,), 0, 252),
    )
    assert header.data_offset % file.alignment == 0
    assert header.size_bytes == len(file.encode())


def test_tensor_data_is_not_read(tmp_path):
    """A file with a terabyte of holes for data is read as fast as its header."""
    path = tmp_path / "huge.gguf"
    shape = (1 << 20, 1 << 19)
    path.write_bytes(GgufFile({}, [TensorSpec("w", shape)]).header())
    try:
        os.truncate(path, (1 << 40) + 4096)
    except OSError:
        pytest.skip("the file system holds no terabyte of holes")
    assert read_header(path).tensors[0].size_bytes == 1 << 40


def test_a_large_vocabulary_is_not_kept(write):
    path = write(GgufFile({"tokenizer.ggml.tokens": [f"token {n}" for n in range(150_000)]}))
    tracemalloc.start()
    try:
        header = read_header(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert header.metadata["tokenizer.ggml.tokens"] == Skipped(150_000)
    assert peak < 4 << 20  # a buffer or two


@pytest.mark.parametrize("missing", [1, 252, 4000])
def test_a_truncated_file_says_how_much_is_missing(write, missing):
    file = small_llama()
    file.missing = missing
    with pytest.raises(ModelError, match=f"cut short: {missing} bytes are missing"):
        read_header(write(file))


def test_every_shorter_prefix_of_a_header_is_refused(write):
    header = small_llama().header()
    for end in range(len(header)):
        with pytest.raises(ModelError):
            read_header(write(header[:end]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"GG", "the magic number needs 2 bytes more"),
        (b"PK\x03\x04rest of an archive", "not a GGUF file but a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html>", "web page"),
        (b"\x7fELF" + bytes(60), "not a GGUF file"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(16), "version 1"),
        (b"GGUF" + struct.pack("<I", 4) + bytes(16), "version 4"),
        (b"GGUF" + bytes(20), "version 0"),
        (b"GGUF" + struct.pack(">I", 1) + bytes(16), "version 1"),
    ],
)
def test_foreign_files_are_named_for_what_they_are(write, content, said):
    with pytest.raises(ModelError, match=said) as caught:
        read_header(write(content))
    assert "model.gguf" in caught.value.message
    assert caught.value.hint


def keys(count, body=b"", tensors=0):
    return START + struct.pack("<QQ", tensors, count) + body


def tensor(name, shape, type_id, offset):
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return string(name) + dims + struct.pack("<IQ", type_id, offset)


BIG = (1 << 64) - 1
ONE = string("a") + struct.pack("<II", 4, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (keys(BIG), "claims 18446744073709551615 metadata keys"),
        (keys(0, tensors=BIG), "claims 18446744073709551615 tensors"),
        (keys(1, struct.pack("<Q", BIG)), "a metadata key is 18446744073709551615 bytes long"),
        (keys(1, string("a") + struct.pack("<IQ", STRING, BIG)), "bytes more than the file has"),
        (keys(1, string("a") + struct.pack("<I", 77)), "unknown type 77"),
        (keys(1, string("a") + struct.pack("<IIQ", ARRAY, 4, BIG)), "items in 'a'"),
        (keys(1, string("a") + struct.pack("<IIQ", ARRAY, 4, 1 << 24)), "bytes more than"),
        (keys(1, string("a") + struct.pack("<IIQ", ARRAY, STRING, 1 << 24)), "bytes more than"),
        (keys(1, string("a") + struct.pack("<IIQQ", ARRAY, STRING, 9, BIG)), "bytes more than"),
        (keys(1, string("a") + struct.pack("<IIQ", ARRAY, ARRAY, 1)), "unusable type 9"),
        (keys(2, ONE + ONE), "'a' appears twice"),
        (keys(1, string("general.alignment") + struct.pack("<II", 4, 24)), "power of two"),
        (keys(1, string("general.alignment") + struct.pack("<II", 4, 0)), "power of two"),
        (keys(0, tensor("w", (1,) * 5, 0, 0), 1), "5 dimensions"),
        (keys(0, tensor("w", (4,), 4, 0), 1), "unknown tensor type 4"),
        (keys(0, tensor("w", (4,), 8, 0), 1), "no multiple of Q8_0's block of 32"),
        (keys(0, tensor("w", (), 8, 0), 1), "no multiple of Q8_0's block of 32"),
        (keys(0, tensor("w", (1 << 32, 1 << 32), 0, 0), 1), "impossible shape"),
        (keys(0, tensor("w", (8,), 0, 64), 1), "offset 64 of the data, not 0"),
        (keys(0, tensor("w", (8,), 0, 0) + tensor("w", (8,), 0, 32), 2), "'w' appears twice"),
    ],
)
def test_hostile_headers_are_refused_with_what_and_where(write, content, said):
    with pytest.raises(ModelError, match=said) as caught:
        read_header(write(content))
    assert "at byte" in caught.value.message


def test_a_header_may_not_hand_out_unlimited_memory(write, monkeypatch):
    monkeypatch.setattr(cursor, "KEPT_LIMIT", 1000)
    with pytest.raises(ModelError, match="more than 1000 bytes of values"):
        read_header(write(GgufFile({f"k{n}": "v" * 100 for n in range(20)})))


def test_a_header_may_not_go_on_for_ever(write, monkeypatch):
    monkeypatch.setattr(cursor, "HEADER_LIMIT", 1000)
    with pytest.raises(ModelError, match="header is larger than 1000 bytes"):
        read_header(write(GgufFile({"words": ["x" * 50] * 100})))


def test_names_that_are_no_text_do_not_break_messages(write):
    name = string(b"\xff\xfe\x1b[31m")
    with pytest.raises(ModelError) as caught:
        read_header(write(keys(1, name + struct.pack("<I", 77))))
    assert caught.value.message.isprintable()


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    pipe = tmp_path / "pipe.gguf"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
        with pytest.raises(ModelError, match="is not a file"):
            read_header(pipe)
    with pytest.raises(ModelError, match="is not a file"):
        read_header(tmp_path)
    with pytest.raises(ModelError, match="There is no file"):
        read_header(tmp_path / "none.gguf")
    with pytest.raises(ModelError, match="could not be opened"):
        read_header(tmp_path / "nul\0byte.gguf")
