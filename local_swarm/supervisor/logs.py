"""What a worker writes: the last lines in memory, all of it in a rotating file."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
from collections import deque
from pathlib import Path

MAX_LINE_BYTES = 16 * 1024
MAX_START_LINES = 1000


class WorkerLog:
    """Takes bytes as they come, keeps the last `lines`, writes each prefixed with `worker | `.

    A line longer than MAX_LINE_BYTES is cut into several. A file that cannot be written (full
    disk, no permission) costs log lines, never the worker.
    """

    def __init__(
        self,
        worker: str,
        path: Path | None,
        *,
        lines: int = 50,
        max_bytes: int = 10 * 1024 * 1024,
        backups: int = 3,
    ) -> None:
        self.path = path
        self._prefix = f"{worker} | "
        self._tail: deque[str] = deque(maxlen=lines)
        self._start: list[str] = []
        self._life: deque[str] = deque(maxlen=lines)
        self._rest = b""
        self._handler: logging.Handler | None = None
        if path is not None:
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._handler = _QuietRotatingFile(
                    path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8", delay=True
                )

    def feed(self, chunk: bytes) -> None:
        """Adds what was read; complete lines are kept and written at once."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        while len(rest) > MAX_LINE_BYTES:
            lines.append(rest[:MAX_LINE_BYTES])
            rest = rest[MAX_LINE_BYTES:]
        self._rest = rest
        for line in lines:
            self._add(line)

    def note(self, text: str) -> None:
        """A line of the supervisor's own."""
        self._keep(f"[supervisor] {text}")

    def begin(self) -> None:
        """A new life of the worker begins."""
        self._start = []
        self._life.clear()

    def life(self) -> tuple[str, ...]:
        """The last lines that the worker itself wrote in this life."""
        return tuple(self._life)

    def start(self) -> tuple[str, ...]:
        """The first lines of this life, at most MAX_START_LINES."""
        return tuple(self._start)

    def tail(self) -> tuple[str, ...]:
        return tuple(self._tail)

    def end(self) -> None:
        """The process is gone: an unfinished last line counts as a line."""
        if self._rest:
            self._add(self._rest)
            self._rest = b""

    def close(self) -> None:
        self.end()
        handler, self._handler = self._handler, None
        if handler is not None:
            with contextlib.suppress(OSError):  # a full disk
                handler.close()

    def _add(self, line: bytes) -> None:
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        self._life.append(text)
        if len(self._start) < MAX_START_LINES:
            self._start.append(text)
        self._keep(text)

    def _keep(self, text: str) -> None:
        self._tail.append(text)
        if self._handler is not None:
            record = logging.LogRecord("worker", logging.INFO, "", 0, "", None, None)
            record.msg = self._prefix + text
            self._handler.handle(record)


class _QuietRotatingFile(logging.handlers.RotatingFileHandler):
    def doRollover(self) -> None:
        """Without backups the file begins anew; the library would go on with it."""
        if not self.backupCount:
            with contextlib.suppress(OSError):
                os.truncate(self.baseFilename, 0)
        super().doRollover()

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk must not write a traceback per line."""
