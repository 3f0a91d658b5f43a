"""Server-sent events: bytes to events and back, without I/O.

The decoder follows the WHATWG event-stream rules as far as OpenAI-style streams use them: LF, CRLF
and CR line ends, several `data:` lines in one event, comments, and a chunk boundary anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator

DONE = b"[DONE]"
MAX_EVENT_BYTES = 16 * 1024 * 1024


class EventTooLarge(ValueError):
    """An event grew beyond MAX_EVENT_BYTES without ending."""


class SSEDecoder:
    """Feed it bytes, get the `data` of each completed event.

    Events without data (comments, pings) yield nothing. A last event that was not ended by an
    empty line is incomplete and never yielded.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._skip_lf = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yields the data of every event that `chunk` completes.

        Raises EventTooLarge when an unfinished event is larger than MAX_EVENT_BYTES.
        """
        if self._skip_lf and chunk:
            if chunk[:1] == b"\n":
                chunk = chunk[1:]
            self._skip_lf = False
        if chunk.endswith(b"\r"):
            self._skip_lf = True
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            if self._line:
                line = bytes(self._line) + line
                self._line.clear()
            event = self._end_line(line)
            if event is not None:
                yield event
        self._line += rest
        if len(self._line) + self._size > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event is larger than {MAX_EVENT_BYTES} bytes")

    def _end_line(self, line: bytes) -> bytes | None:
        if not line:
            if not self._data:
                return None
            event = b"\n".join(self._data)
            self._data = []
            self._size = 0
            return event
        if line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(value)
            self._size += len(value)
        return None


def encode_event(data: bytes) -> bytes:
    """One event carrying `data` (no line ends inside)."""
    return b"data: " + data + b"\n\n"


PING = b": ping\n\n"
"""A comment that keeps a connection alive; clients ignore it."""
