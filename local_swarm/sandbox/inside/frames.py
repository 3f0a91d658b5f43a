"""Messages on a stream: four bytes of length, then JSON."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

LENGTH = struct.Struct("<I")
MOST_BYTES = 8 * 1024 * 1024
"""A longer message is not taken."""

_READ_BYTES = 1 << 16


def framed(message: object) -> bytes:
    payload = json.dumps(message).encode("ascii")
    return LENGTH.pack(len(payload)) + payload


def send(fd: int, message: object) -> None:
    """Blocks until all is written. Raises OSError."""
    rest = memoryview(framed(message))
    while rest:
        rest = rest[os.write(fd, rest) :]


def receive(fd: int) -> Any:
    """One whole message; blocks. Raises EOFError, OSError, and ValueError where it is none."""
    (length,) = LENGTH.unpack(_exactly(fd, LENGTH.size))
    if length > MOST_BYTES:
        raise ValueError(f"a message of {length} bytes")
    return json.loads(_exactly(fd, length))


def _exactly(fd: int, count: int) -> bytes:
    parts: list[bytes] = []
    while count:
        part = os.read(fd, min(count, _READ_BYTES))
        if not part:
            raise EOFError("the other end is closed")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
