"""What a child writes into its pipe: one record for each thing done. The code that it runs can
write there too, so whoever reads takes nothing for granted."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

VALUE, RAISED, TIMEOUT, LIMIT, NOT_RUN = "value", "raised", "timeout", "limit", "not run"

Result = tuple[str, str]  # how it ended, and its text

_HEAD = struct.Struct("<BI")
_ENDINGS = (VALUE, RAISED, LIMIT)  # what a child can know of itself
BYTES_PER_CHAR = 4


def packed(ended: str, text: str) -> bytes:
    payload = text.encode("utf-8", "replace")
    return _HEAD.pack(_ENDINGS.index(ended), len(payload)) + payload


@dataclass(slots=True)
class Reader:
    """Takes bytes as they come, gives whole records. A text may have `most_chars`.

    `is_forged` once something came that no child of ours writes; nothing after it is read.
    """

    most_chars: int
    is_forged: bool = False
    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[Result]:
        """The records that are complete now."""
        self._buffer += data
        found: list[Result] = []
        while (end := self._end()) is not None:
            found.append(self._taken(end))
        return found

    def _end(self) -> int | None:
        """Where the first record ends; None while it is not whole."""
        if self.is_forged or len(self._buffer) < _HEAD.size:
            return None
        ending, length = _HEAD.unpack_from(self._buffer)
        if ending >= len(_ENDINGS) or length > BYTES_PER_CHAR * self.most_chars:
            self.is_forged = True
            return None
        end = _HEAD.size + int(length)
        return end if len(self._buffer) >= end else None

    def _taken(self, end: int) -> Result:
        ending = _ENDINGS[self._buffer[0]]
        text = self._buffer[_HEAD.size : end].decode("utf-8", "replace")
        del self._buffer[:end]
        return ending, text[: self.most_chars]
