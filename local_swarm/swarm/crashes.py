"""The last deaths of workers over all runs of this user: a file in the state directory.

`CrashFile` reads and writes it, `CrashBook` takes crashes on the event loop and writes them in a
thread, however many come, once a second at most.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

from local_swarm.config.paths import Paths
from local_swarm.domain.worker import Death
from local_swarm.storage import Document
from local_swarm.telemetry.logs import get_logger, redacted

VERSION = 1
KEPT = 200
LINES = 5
LINE_CHARACTERS = 400
WRITTEN_EVERY_S = 1.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Crash:
    """How a life of a worker ended that nobody had asked to end.

    `time` is UTC (`2026-01-31T12:00:00Z`), `cause` a value of `domain.worker.Cause`; of `exit_code`
    and `signal` one at most is set; `lived_s` counts from the start of its process. `action` says
    what the supervisor did about it, `log` has the last lines of the life.
    """

    time: str
    worker: str
    model: str
    engine: str
    generation: int
    cause: str
    exit_code: int | None
    signal: int | None
    lived_s: float
    action: str
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Content:
    crashes: tuple[Crash, ...]


class CrashFile:
    """Both methods block for a small file, and never raise OSError."""

    def __init__(self, document: Document[_Content]) -> None:
        self._document = document

    @classmethod
    def of(cls, paths: Paths) -> CrashFile:
        path = paths.state / "crashes.json"
        return cls(Document(path, _Content, VERSION, _Content(()), what="the crash history"))

    def read(self) -> tuple[Crash, ...]:
        """The last 200, the oldest first. Changes nothing; raises Damaged."""
        return self._document.look().crashes

    def add(self, *crashes: Crash) -> None:
        """Writes the file once, however many these are."""
        self._document.update(lambda known: _Content((*known.crashes, *crashes)[-KEPT:]))


def crash_of(
    death: Death, *, model: str, engine: str, action: str, now: datetime | None = None
) -> Crash:
    """What is kept of a death: its last lines shortened, and without secrets."""
    lines = [redacted(line)[:LINE_CHARACTERS] for line in death.log_tail[-LINES:]]
    time = (now or datetime.now(timezone.utc)).astimezone(timezone.utc)
    return Crash(
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        worker=death.worker,
        model=model,
        engine=engine,
        generation=death.generation,
        cause=death.kind.value,
        exit_code=death.exit_code,
        signal=death.signal,
        lived_s=round(death.lived_s, 3),
        action=action,
        log=tuple(lines),
    )


class CrashBook:
    """Lives on one event loop. Holds no more than the file does, whatever comes."""

    def __init__(self, file: CrashFile, *, every_s: float = WRITTEN_EVERY_S) -> None:
        self._file = file
        self._every_s = every_s
        self._waiting: deque[Crash] = deque(maxlen=KEPT)
        self._any = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def note(self, crash: Crash) -> None:
        """To be written soon. Does not block."""
        self._waiting.append(crash)
        self._any.set()

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[CrashBook]:
        """Writes what is noted, the last of it when the context closes."""
        task = asyncio.create_task(self._now_and_then(), name="keep-crashes")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if self._writing is not None:
                await self._writing
            await self._write()

    async def _now_and_then(self) -> None:
        while True:
            await self._any.wait()
            await self._write()
            await asyncio.sleep(self._every_s)

    async def _write(self) -> None:
        """Not cut off by a cancellation: what was taken is written."""
        self._writing = asyncio.create_task(self._put(), name="write-crashes")
        await asyncio.shield(self._writing)

    async def _put(self) -> None:
        crashes = tuple(self._waiting)
        self._waiting.clear()
        self._any.clear()
        try:
            if crashes:
                await asyncio.to_thread(self._file.add, *crashes)
        except Exception as error:  # no threads left: it must not end the writing for ever
            log.warning("crashes are not kept", crashes=len(crashes), error=repr(error))
