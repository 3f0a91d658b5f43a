"""Downloading: resumed where it stopped, verified by checksum, never a half file under its name.

huggingface-hub says what there is and opens the connection; the loop is ours because the library's
own (as of 2.4) throws an unfinished file away. A part is named after the checksum it is to have,
so that it is only ever continued with the same content.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from local_swarm.config.paths import ensured
from local_swarm.domain.memory import MIB, format_bytes
from local_swarm.errors import BusyError, ModelError
from local_swarm.models import hub
from local_swarm.models.hub import Listing, RemoteFile
from local_swarm.models.hub_errors import Transient
from local_swarm.models.store import (
    LOCK,
    ORIGIN,
    PART,
    Origin,
    Store,
    Stored,
    beside,
    part_path,
    read_origin,
    write_origin,
)

TRIES = 6
"""Attempts that bring nothing new, before a download is given up."""
ASKS = 3
"""Attempts to ask what a repository holds: nothing is lost by giving up early."""
FREE_BYTES = 64 * MIB
"""What is left free on the disk."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Report = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes there will be, as they arrive."""


def silent(done: int, total: int) -> None:
    """Reports nothing."""


@dataclass
class Puller:
    """Fetches models into a store. `wait` is how it pauses between tries, for tests."""

    store: Store
    report: Report = silent
    wait: Callable[[float], None] = time.sleep
    _before: int = field(default=0, init=False)
    _total: int = field(default=0, init=False)

    def listing(self, repo: str) -> Listing:
        """What a repository holds, asked again when the hub is briefly away."""
        for attempt in range(ASKS):
            if attempt:
                self.wait(_pause(attempt - 1))
            try:
                return hub.listing(repo)
            except Transient as error:
                last = error
        raise _away(repo, last) from last

    def pull(self, listing: Listing, names: Sequence[str]) -> Stored:
        """Brings these files (all parts of one model, in order) here; what is here already stays.

        `ModelError` where the disk is too small or fills up, the hub stays away, or a file is not
        what the hub says it is; `BusyError` where another program is pulling it. What has
        arrived is kept for the next time, except after a wrong checksum.
        """
        files = [listing[name] for name in names]
        missing = [file for file in files if not self._is_here(listing, file)]
        self._total = sum(file.size_bytes for file in files)
        self._before = self._total - sum(file.size_bytes for file in missing)
        self._check_room(listing, missing)
        for file in missing:
            self._fetch(listing, file)
            self._before += file.size_bytes
        self.report(self._total, self._total)
        stored = self.store.get(listing.repo, names[0])
        assert stored is not None
        return stored

    def _is_here(self, listing: Listing, file: RemoteFile) -> bool:
        path = self.store.path(listing.repo, file.name)
        if not path.is_file() or path.stat().st_size != file.size_bytes:
            return False
        origin = read_origin(path)
        known = origin.sha256 if origin else None
        return None in (known, file.sha256) or known == file.sha256

    def _check_room(self, listing: Listing, files: Sequence[RemoteFile]) -> None:
        parts = [part_path(self.store.path(listing.repo, f.name), f.sha256) for f in files]
        have = sum(part.stat().st_size for part in parts if part.is_file())
        needed = sum(file.size_bytes for file in files) - have
        free = shutil.disk_usage(_existing(self.store.root)).free
        if needed > 0 and needed + FREE_BYTES > free:
            raise ModelError(
                f"{format_bytes(needed)} are needed in {self.store.root}, and {format_bytes(free)}"
                " are free.",
                hint="Free some (`lswarm models rm`), or set models.cache_dir to another disk.",
            )

    def _fetch(self, listing: Listing, file: RemoteFile) -> None:
        from filelock import FileLock, Timeout

        path = self.store.path(listing.repo, file.name)
        ensured(path.parent)
        part = part_path(path, file.sha256)
        try:
            with FileLock(f"{path}{LOCK}", timeout=0):
                digest = self._complete(listing, file, part)
                _check(file, part, digest)
                os.replace(part, path)
                for stale in beside(path, PART, ORIGIN):
                    stale.unlink()
        except Timeout as error:
            raise BusyError(
                f"{path.name} is being downloaded by another program.", hint="Wait for it."
            ) from error
        except OSError as error:
            raise _disk_error(path, error) from error
        origin = Origin(
            listing.repo, file.name, listing.revision, file.size_bytes, file.sha256 and digest
        )
        write_origin(path, origin)

    def _complete(self, listing: Listing, file: RemoteFile, path: Path) -> str:
        """Makes `path` as long as the file, in as many tries as bring something; its SHA-256."""
        fruitless = 0
        with path.open("a+b") as out:
            part = _Part(out, file.size_bytes)
            while (have := part.length) < file.size_bytes:
                problem = self._try(listing, file, part)
                fruitless = 0 if part.length > have else fruitless + 1
                if fruitless >= TRIES:
                    raise _away(listing.repo, problem) from problem
                if fruitless:
                    self.wait(_pause(fruitless - 1))
            out.flush()
            os.fsync(out.fileno())
            return part.digest.hexdigest()

    def _try(self, listing: Listing, file: RemoteFile, part: _Part) -> Transient:
        """One connection's worth of bytes; what ended it, if that was too early."""
        try:
            with hub.opened(listing, file.name, part.length) as response:
                if response.status_code != 206 and part.length:  # the server ignored the range
                    part.empty()
                if response.status_code == 416:
                    return Transient("the hub refused to go on where it stopped")
                for chunk in response.iter_bytes():  # as it comes: nothing waits unsaved
                    part.add(chunk)
                    self.report(self._before + part.length, self._total)
                    if part.length > file.size_bytes:
                        break
        except Transient as error:
            return error
        return Transient("the connection ended early")


class _Part:
    """An unfinished file and the hash of what it holds; emptied if it is longer than it may be."""

    def __init__(self, out: BinaryIO, most_bytes: int) -> None:
        self._out = out
        self.digest = hashlib.sha256()
        self.length = out.seek(0, os.SEEK_END)
        if self.length > most_bytes:
            self.empty()
        out.seek(0)
        while chunk := out.read(hub.CHUNK_BYTES):
            self.digest.update(chunk)

    def empty(self) -> None:
        self._out.seek(0)
        self._out.truncate()
        self.digest, self.length = hashlib.sha256(), 0

    def add(self, chunk: bytes) -> None:
        self._out.write(chunk)
        self.digest.update(chunk)
        self.length += len(chunk)


def _check(file: RemoteFile, part: Path, digest: str) -> None:
    if part.stat().st_size == file.size_bytes and file.sha256 in (None, digest):
        return
    part.unlink()
    raise ModelError(
        f"{file.name} arrived damaged: its checksum is {digest[:12]}, not"
        f" {(file.sha256 or 'known')[:12]}.",
        hint="Pull it again; if it happens again, something on the way changes it.",
    )


def _disk_error(path: Path, error: OSError) -> ModelError:
    if error.errno in _FULL:
        return ModelError(
            f"The disk is full: {path.name} is not complete.",
            hint="Free some space and pull again; it goes on where it stopped.",
        )
    return ModelError(
        f"{path} cannot be written: {error.strerror or error}.", hint="Check models.cache_dir."
    )


def _away(repo: str, error: Transient) -> ModelError:
    return ModelError(
        f"{repo} could not be downloaded: {error}.",
        hint="Pull again later; it goes on where it stopped.",
    )


def _pause(attempt: int) -> float:
    return min(30.0, float(2 << attempt) / 2)


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
