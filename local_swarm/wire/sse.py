"""Server-sent events: bytes to events and back, without I/O.

The decoder follows the WHATWG event-stream rules as far as OpenAI-style streams use them: LF, CRLF
and CR line ends, several `data:` lines in one event, comments, and a chunk boundary anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable

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

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that `chunk` completes.

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
        events = []
        if end := chunk.rfind(b"\n") + 1:
            lines = bytes(self._line) + chunk[:end]
            self._line.clear()
            events = self._take(lines)
        self._line += chunk[end:]
        if len(self._line) + self._size > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event is larger than {MAX_EVENT_BYTES} bytes")
        return events

    def _take(self, lines: bytes) -> list[bytes]:
        """The events that end with these lines. What nearly all streams send, one `data: ` line
        for each event, is cut apart at once."""
        if not self._data and lines.startswith(b"data: ") and lines.endswith(b"\n\n"):
            events = lines[6:-2].split(b"\n\ndata: ")
            if lines.count(b"\n") == 2 * len(events):
                return events
        ended = (self._end_line(line) for line in lines.split(b"\n")[:-1])
        return [event for event in ended if event is not None]

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


def encode_events(batch: Iterable[bytes]) -> bytes:
    """Several events; nothing for none."""
    return b"".join([b"data: %b\n\n" % data for data in batch])


PING = b": ping\n\n"
"""A comment that keeps a connection alive; clients ignore it."""
