"""The log of a swarm without a terminal: all that it writes to stdout and stderr, its last words
in a crash included, in a file that is rotated.

Works on the file descriptors, so it needs nobody's help. On Windows, where no open file can be
renamed, the file is not rotated (never seen on a real one).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

NAME = "swarm.log"
VARIABLE = "LSWARM_LOG_FILE"
"""Names the file into which a detached swarm writes at first; until its port is known there is no
folder for it."""
EVERY_S = 5.0
OUTPUTS = (1, 2)


class OwnLog:
    """`outputs` are the descriptors that lead to the file."""

    def __init__(
        self, path: Path, *, max_bytes: int, backups: int, outputs: tuple[int, ...] = OUTPUTS
    ) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._outputs = outputs

    def move(self, directory: Path) -> None:
        """The file goes on as `swarm.log` of that directory; the one before it is kept as an older
        one. Stays where it is when that cannot be."""
        target = directory / NAME
        with suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True)
            _make_way(target, self._backups)
            os.replace(self.path, target)
            self.path = target

    def keep_small(self) -> None:
        """Begins a new file when this one is large. Raises nothing: a full disk costs lines."""
        with suppress(OSError):
            if os.fstat(self._outputs[-1]).st_size > self._max_bytes:
                self._begin_anew()

    def _begin_anew(self) -> None:
        _make_way(self.path, self._backups)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if self._backups else os.O_TRUNC)
        file = os.open(self.path, flags, 0o600)
        try:
            for output in self._outputs:
                os.dup2(file, output)
        finally:
            os.close(file)

    @asynccontextmanager
    async def kept_small(self, every_s: float = EVERY_S) -> AsyncIterator[None]:
        task = asyncio.create_task(self._keep(every_s), name="own-log")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _keep(self, every_s: float) -> None:
        while True:
            self.keep_small()
            await asyncio.sleep(every_s)


def _make_way(path: Path, backups: int) -> None:
    """`swarm.log` becomes `swarm.log.1`, that one `swarm.log.2`, and so on. Raises OSError."""
    if backups and path.exists():
        handler = RotatingFileHandler(path, maxBytes=1, backupCount=backups, delay=True)
        handler.doRollover()
        handler.close()
