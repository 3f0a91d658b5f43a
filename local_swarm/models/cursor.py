"""A bounded walk through an untrusted binary file, little endian unless told otherwise.

Every read is checked against the file's size before it happens, so a hostile length costs
nothing: it raises `ModelError` with the byte where it stands. At most `KEPT_LIMIT` bytes are ever
handed out and at most `HEADER_LIMIT` walked, whatever the file says.
"""

from __future__ import annotations

import struct
from operator import length_hint
from typing import BinaryIO, NoReturn

from local_swarm.errors import ModelError

CHUNK = 1 << 20
HEADER_LIMIT = 256 << 20
KEPT_LIMIT = 32 << 20

_U32 = {"<": struct.Struct("<I"), ">": struct.Struct(">I")}
_U64 = {"<": struct.Struct("<Q"), ">": struct.Struct(">Q")}


class Cursor:
    """Reads `file`, `size` bytes long, from its first byte on.

    `name` is the file's, for messages; `what` in each call names the thing being read. `order` is
    the byte order in struct's notation.
    """

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self.size = size
        self.order = "<"
        self._file = file
        self._name = name
        self._base = 0  # file offset of the buffer's first byte
        self._buffer = b""
        self._at = 0  # index into the buffer
        self._kept = 0

    @property
    def offset(self) -> int:
        return self._base + self._at

    def fail(self, what: str) -> NoReturn:
        """Refuses the file, naming the current byte."""
        raise ModelError(
            f"{self._name} is not a sound GGUF file: {what}, at byte {self.offset}.",
            hint="Download or convert it again.",
        )

    def u32(self, what: str) -> int:
        start = self._advance(4, what)
        return int(_U32[self.order].unpack_from(self._buffer, start)[0])

    def u64(self, what: str) -> int:
        start = self._advance(8, what)
        return int(_U64[self.order].unpack_from(self._buffer, start)[0])

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes, out of the `KEPT_LIMIT` bytes that one file may hand out."""
        self._kept += count
        if self._kept > KEPT_LIMIT:
            self.fail(f"its header holds more than {KEPT_LIMIT} bytes of values")
        start = self._advance(count, what)
        return self._buffer[start : start + count]

    def skip(self, count: int, what: str) -> None:
        target = self.offset + count
        self._check(target, what)
        self._goto(target)

    def skip_strings(self, count: int, what: str) -> int:
        """Steps over `count` strings (a u64 length and that many bytes each), reading lengths.

        Gives the length of the longest, in bytes.
        """
        unpack = _U64[self.order].unpack_from
        longest = 0
        while count:
            self._need(8, what)
            buffer, at = self._buffer, self._at
            rest = iter(range(count))
            try:
                for _ in rest:  # a bare loop: 150,000 strings take about 20 ms
                    length = unpack(buffer, at)[0]
                    at += 8 + length
                    if length > longest:
                        longest = length
                count = 0
            except (struct.error, OverflowError):  # the next length lies beyond the buffer
                count = length_hint(rest) + 1
            target = self._base + at
            self._check(target, what)
            self._goto(target)
        return longest

    def _advance(self, count: int, what: str) -> int:
        """Makes `count` bytes available and steps over them; their index in the buffer."""
        self._need(count, what)
        start = self._at
        self._at += count
        return start

    def _need(self, count: int, what: str) -> None:
        if self._at + count <= len(self._buffer):
            return
        self._check(self.offset + count, what)
        self._base, self._at = self.offset, 0
        self._buffer = self._read(max(CHUNK, count))
        if len(self._buffer) < count:
            self.fail(f"it ends inside {what}")

    def _read(self, count: int) -> bytes:
        try:
            self._file.seek(self._base)
            return self._file.read(count)
        except OSError as error:
            raise ModelError(f"{self._name} could not be read: {error.strerror}.") from error

    def _check(self, target: int, what: str) -> None:
        if target > self.size:
            self.fail(f"{what} needs {target - self.size} bytes more than the file has")
        if target > HEADER_LIMIT:
            self.fail(f"its header is larger than {HEADER_LIMIT} bytes")

    def _goto(self, target: int) -> None:
        if target <= self._base + len(self._buffer):
            self._at = target - self._base
        else:
            self._base, self._at, self._buffer = target, 0, b""
