"""Reads the header of a GGUF file: metadata and tensor table, never tensor data.

The format is ggml's docs/gguf.md, versions 2 and 3, in either byte order; the checks are those of
llama.cpp ggml/src/gguf.cpp as of the version in llama-cpp-python 0.3.36, so that a file refused
here is one the engine refuses too (it also refuses the byte order that is not its machine's).
Arrays of strings (the vocabulary) are counted and stepped over. Whatever the file holds, the only
error that leaves is `ModelError`.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_swarm.domain.model import Tensor
from local_swarm.errors import ModelError
from local_swarm.models.cursor import Cursor
from local_swarm.models.ggml_types import GGML_TYPES

VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_KEYS = 1 << 16
MAX_TENSORS = 1 << 17
MAX_DIMENSIONS = 4
MAX_ARRAY = 1 << 24
MAX_KEY_BYTES = 1024  # the format allows 65535; real ones stay below 100
KEPT_STRING_BYTES = 65536  # longer ones (a large chat template) are stepped over
KEPT_ARRAY_ITEMS = 4096  # per-layer arrays; longer ones belong to the vocabulary

_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class Skipped:
    """A value that was stepped over: an array's number of items, or a string's of bytes.

    `longest` is the most bytes that an item of an array of strings has, 0 for other values.
    """

    count: int
    longest: int = field(default=0, compare=False)


Scalar = int | float | bool | str
Value = Scalar | tuple[int | float | bool, ...] | Skipped


@dataclass(frozen=True, slots=True)
class Header:
    """`data_offset` is where tensor data starts; every tensor lies inside `size_bytes`.

    Of a model in several files (`parts`), `size_bytes` and `tensors` are those of all.
    """

    path: str
    version: int
    size_bytes: int
    data_offset: int
    metadata: Mapping[str, Value]
    tensors: tuple[Tensor, ...]
    big_endian: bool = False
    parts: tuple[str, ...] = ()


def read_header(path: Path) -> Header:
    """Blocks for tens of milliseconds; `ModelError` says what is wrong and at which byte."""
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):  # opening a pipe would wait for ever
            raise ModelError(f"{path} is not a file.", hint="Name a .gguf file.")
        with open(path, "rb") as file:
            return _read(Cursor(file, info.st_size, str(path)), path)
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path}.", hint="Check the path.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} could not be opened: {error}.") from error


def _read(cursor: Cursor, path: Path) -> Header:
    version = _preamble(cursor, path)
    tensor_count = _count(cursor, "tensors", MAX_TENSORS)
    key_count = _count(cursor, "metadata keys", MAX_KEYS)
    metadata = _metadata(cursor, key_count)
    alignment = _alignment(cursor, metadata)
    tensors, data_bytes = _tensors(cursor, tensor_count, alignment)
    data_offset = _pad(cursor.offset, alignment)
    missing = data_offset + data_bytes - cursor.size
    if tensors and missing > 0:
        raise ModelError(
            f"{path} is cut short: {missing} bytes are missing.",
            hint="The download did not finish: fetch it again.",
        )
    big_endian = cursor.order == ">"
    return Header(str(path), version, cursor.size, data_offset, metadata, tensors, big_endian)


def _preamble(cursor: Cursor, path: Path) -> int:
    if cursor.size == 0:
        raise ModelError(f"{path} is empty.", hint="Download it again.")
    magic = cursor.take(4, "the magic number")
    if magic != b"GGUF":
        raise ModelError(f"{path} is not a GGUF file{_guess(magic)}.", hint="Name a .gguf model.")
    version = cursor.u32("the version")
    if version & 0xFFFF == 0:  # the engine's own test for the other byte order
        version = int.from_bytes(version.to_bytes(4, "little"), "big")
        cursor.order = ">"
    if version not in VERSIONS:
        raise ModelError(
            f"{path} is GGUF version {version}; versions 2 and 3 can be read.",
            hint="Convert it with a current llama.cpp.",
        )
    return version


def _guess(magic: bytes) -> str:
    known = {
        b"vers": " but a Git LFS pointer: the real file was not fetched",
        b"<!DO": " but a web page",
        b"<htm": " but a web page",
        b"PK\x03\x04": " but a zip archive",
        b"lmgg": " but one of its predecessors",
        b"tjgg": " but one of its predecessors",
    }
    return known.get(magic, "")


def _count(cursor: Cursor, what: str, most: int) -> int:
    count = cursor.u64(f"the number of {what}")
    if count > most:
        cursor.fail(f"it claims {count} {what} (at most {most} are believed)")
    return count


def _metadata(cursor: Cursor, count: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for _ in range(count):
        key = _text(cursor, "a metadata key", MAX_KEY_BYTES)
        if key in metadata:
            cursor.fail(f"the key {key!r} appears twice")
        metadata[key] = _value(cursor, key)
    return metadata


def _text(cursor: Cursor, what: str, most: int) -> str:
    length = cursor.u64(f"the length of {what}")
    if length > most:
        cursor.fail(f"{what} is {length} bytes long")
    return cursor.take(length, what).decode("utf-8", "backslashreplace")


def _value(cursor: Cursor, key: str) -> Value:
    kind = cursor.u32(f"the type of {key!r}")
    if kind == _STRING:
        return _string(cursor, key)
    if kind == _ARRAY:
        return _array(cursor, key)
    if kind not in _SCALARS:
        cursor.fail(f"{key!r} has the unknown type {kind}")
    return _scalars(cursor, kind, 1, key)[0]


def _string(cursor: Cursor, key: str) -> str | Skipped:
    length = cursor.u64(f"the length of {key!r}")
    if length > KEPT_STRING_BYTES:
        cursor.skip(length, repr(key))
        return Skipped(length)
    return cursor.take(length, repr(key)).decode("utf-8", "backslashreplace")


def _array(cursor: Cursor, key: str) -> Value:
    kind = cursor.u32(f"the item type of {key!r}")
    count = _count(cursor, f"items in {key!r}", MAX_ARRAY)
    if kind == _STRING:
        longest = cursor.skip_strings(count, repr(key))
        return Skipped(count, longest)
    if kind not in _SCALARS:
        cursor.fail(f"the array {key!r} has items of the unusable type {kind}")
    if count > KEPT_ARRAY_ITEMS:
        cursor.skip(count * struct.calcsize(_SCALARS[kind]), repr(key))
        return Skipped(count)
    return _scalars(cursor, kind, count, key)


def _scalars(cursor: Cursor, kind: int, count: int, key: str) -> tuple[int | float | bool, ...]:
    layout = f"{cursor.order}{count}{_SCALARS[kind]}"
    return struct.unpack(layout, cursor.take(struct.calcsize(layout), repr(key)))


def _alignment(cursor: Cursor, metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(alignment) is not int or alignment <= 0 or alignment & (alignment - 1):
        cursor.fail(f"general.alignment is {alignment}, not a power of two")
    return alignment


def _tensors(cursor: Cursor, count: int, alignment: int) -> tuple[tuple[Tensor, ...], int]:
    """The tensor table and the bytes its data takes, up to the last tensor's last byte."""
    tensors: dict[str, Tensor] = {}
    end = expected = 0
    for _ in range(count):
        tensor = _tensor(cursor)
        if tensor.name in tensors:
            cursor.fail(f"the tensor {tensor.name!r} appears twice")
        offset = cursor.u64(f"the offset of {tensor.name!r}")
        if offset != expected:
            cursor.fail(f"{tensor.name!r} lies at offset {offset} of the data, not {expected}")
        end = offset + tensor.size_bytes
        expected = _pad(end, alignment)
        tensors[tensor.name] = tensor
    return tuple(tensors.values()), end


def _tensor(cursor: Cursor) -> Tensor:
    name = _text(cursor, "a tensor's name", MAX_KEY_BYTES)
    rank = cursor.u32(f"the rank of {name!r}")
    if rank > MAX_DIMENSIONS:
        cursor.fail(f"{name!r} has {rank} dimensions")
    shape = tuple(cursor.u64(f"the shape of {name!r}") for _ in range(rank))
    type_id = cursor.u32(f"the type of {name!r}")
    kind = GGML_TYPES.get(type_id)
    if kind is None:
        cursor.fail(f"{name!r} has the unknown tensor type {type_id}")
    if (shape[0] if shape else 1) % kind.block:
        cursor.fail(f"rows of {name!r} are no multiple of {kind.name}'s block of {kind.block}")
    values = 1
    for length in shape:
        values *= length
    if values >= 1 << 63:
        cursor.fail(f"{name!r} has an impossible shape {shape}")
    return Tensor(name, shape, type_id, values // kind.block * kind.block_bytes)


def _pad(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
