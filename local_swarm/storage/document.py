"""One small JSON document that several processes may keep: read, changed and written under a lock.

What is damaged is set aside under a name of its own. What a later version of the program has
written is left alone. Where the file cannot be read or written, the value is kept in memory, so
that the program goes on with what it knows, and is written as soon as that works again, unless
another process has written meanwhile: what is on disk wins.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from local_swarm.storage.envelope import Damaged, Migrate, Newer, decode, encode
from local_swarm.storage.files import make_directory, replace_file, sweep

LOCK_TIMEOUT_S = 5.0
LOCK_POLL_S = 0.01
MAX_BYTES = 16 << 20  # of what is still read; no document of ours comes near
KEPT_DAMAGED = 3
READ, KEPT = "read from", "kept in"

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Found(Generic[T]):
    """`content` is None where there is no file, or none that can be read. With a `trouble` the
    file must not be written."""

    content: bytes | None
    value: T
    trouble: str = ""


class Document(Generic[T]):
    """A file of `kind` (a dataclass or msgspec.Struct) in its form `version`; `empty` is the value
    where there is none. `what` names it in warnings. For any thread; every method blocks for a
    small file, and for the lock up to five seconds; none raises OSError.
    """

    def __init__(
        self,
        path: Path,
        kind: type[T],
        version: int,
        empty: T,
        *,
        what: str,
        migrate: Migrate[T] | None = None,
    ) -> None:
        self.path = path
        self._kind = kind
        self._version = version
        self._empty = empty
        self._what = what
        self._migrate = migrate
        self._mutex = threading.Lock()
        self._unsaved: _Found[T] | None = None  # our value, and the file beside which it was made
        self._told = {READ: "", KEPT: ""}

    def look(self) -> T:
        """The value as it is on the disk; for those who may change nothing. Raises Damaged."""
        return self._load().value

    def read(self) -> T:
        """The value as it is now."""
        with self._mutex:
            try:
                found = self._load()
            except Damaged:
                with self._lock() as trouble:
                    found = self._find(trouble)
            self._tell(READ, found.trouble)
            return self._latest(found)

    def update(self, change: Callable[[T], T]) -> T:
        """Reads, changes and writes, and nobody else does meanwhile. Returns the new value, also
        where it could not be kept. What `change` raises leaves all as it was."""
        with self._mutex, self._lock() as locked_out:
            found = self._find(locked_out)
            self._tell(READ, found.trouble)
            value = change(self._latest(found))
            trouble = locked_out or found.trouble or self._write(value)
            self._unsaved = _Found(found.content, value) if trouble else None
            if not found.trouble:
                self._tell(KEPT, trouble)
            return value

    def _latest(self, found: _Found[T]) -> T:
        """Ours while it waits to be written and nobody else has written."""
        ours = self._unsaved
        return ours.value if ours and ours.content == found.content else found.value

    def _find(self, locked_out: str) -> _Found[T]:
        """What the file holds; one that is damaged is set aside, unless we have no lock."""
        try:
            return self._load()
        except Damaged as error:
            if locked_out:
                return _Found(None, self._empty, f"{error}; {locked_out}")
            return _Found(None, self._empty, self._set_aside(str(error)))

    def _load(self) -> _Found[T]:
        """Raises Damaged."""
        content = None
        try:
            with self.path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise Damaged(f"it has more than {MAX_BYTES} bytes")
            return _Found(content, decode(content, self._kind, self._version, self._migrate))
        except FileNotFoundError:
            return _Found(None, self._empty)
        except OSError as error:
            return _Found(None, self._empty, _words(error))
        except Newer as error:
            return _Found(content, self._empty, str(error))

    def _write(self, value: T) -> str:
        """Why it could not be written, or nothing."""
        try:
            sweep(self.path.parent, self.path.name)
            replace_file(self.path, encode(value, self._version))
        except OSError as error:
            return _words(error)
        return ""

    @contextlib.contextmanager
    def _lock(self) -> Iterator[str]:
        """Gives why there is no lock, or nothing."""
        from filelock import FileLock, Timeout

        lock = FileLock(f"{self.path}.lock", mode=0o600)
        trouble = ""
        try:
            make_directory(self.path.parent)
            lock.acquire(timeout=LOCK_TIMEOUT_S, poll_interval=LOCK_POLL_S)
        except Timeout:
            trouble = "another program holds its lock"
        except OSError as error:
            trouble = _words(error)
        except NotImplementedError:
            trouble = "its file system has no locks"
        try:
            yield trouble
        finally:
            lock.release()

    def _set_aside(self, why: str) -> str:
        """Moves the file away, under the lock. Why that could not be done, or nothing."""
        earlier = sorted(self._damaged())
        aside = self.path.with_name(f"{self.path.name}.damaged-{max(earlier, default=0) + 1}")
        try:
            os.replace(self.path, aside)
        except OSError as error:
            return f"{why}; {_words(error)}"
        log.warning("%s in %s cannot be used (%s): now %s", self._what, self.path, why, aside)
        for number in earlier[: max(0, len(earlier) + 1 - KEPT_DAMAGED)]:
            with contextlib.suppress(OSError):
                self.path.with_name(f"{self.path.name}.damaged-{number}").unlink()
        return ""

    def _damaged(self) -> Iterator[int]:
        """The numbers of those that were set aside before."""
        prefix = f"{self.path.name}.damaged-"
        with contextlib.suppress(OSError):
            for entry in os.listdir(self.path.parent):
                number = entry.removeprefix(prefix)
                if entry.startswith(prefix) and number.isdecimal():
                    yield int(number)

    def _tell(self, doing: str, trouble: str) -> None:
        """A warning when it begins or changes, a word when it is over."""
        if trouble == self._told[doing]:
            return
        self._told[doing] = trouble
        if trouble:
            log.warning("%s cannot be %s %s: %s", self._what, doing, self.path, trouble)
        else:
            log.info("%s can be %s %s again", self._what, doing, self.path)


def _words(error: OSError) -> str:
    """The same for the same trouble: without the name of a temporary file."""
    return error.strerror or str(error)
