"""Log files on disk: their last lines, and what is added to them, over rotation. Blocking calls.

A file is opened for each reading and closed again, because on Windows nobody can rotate a file
that another program holds open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 1 << 16
MOST_BYTES = 1 << 20  # of one file at a time, and of a line that does not end


@dataclass(frozen=True, slots=True)
class Tail:
    """The last whole lines of a log, what follows them, and where that begins in which file."""

    lines: tuple[str, ...] = ()
    rest: str = ""
    offset: int = 0
    inode: int | None = None


def worker_logs(directory: Path) -> dict[str, Path]:
    """The log of each worker that ever wrote there, by its name, w2 before w10."""
    files = directory.glob("*.log")
    return {file.stem: file for file in sorted(files, key=lambda f: _natural(f.stem))}


def tail(path: Path, count: int) -> Tail:
    """The last `count` lines, from rotated files too. Reads no more than it needs; empty where
    there is no file. Raises OSError."""
    try:
        with path.open("rb") as file:
            data, end = _end_of(file, count)
            inode = os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return Tail()
    *whole, rest = data.split(b"\n")
    lines = whole[max(0, len(whole) - count) :]
    earlier: tuple[str, ...] = ()
    if len(lines) < count and (older := _older(path)).exists():
        earlier = tail(older, count - len(lines)).lines
    texts = tuple(_text(line) for line in lines)
    return Tail((*earlier, *texts), _text(rest), end - len(rest), inode)


@dataclass(slots=True)
class Follower:
    """Gives whole lines as they are written: to the files that `find` names, each by its worker,
    when they are rotated or cut as well, and to those that appear later."""

    find: Callable[[], Mapping[str, Path]]
    _files: dict[Path, _Followed] = field(default_factory=dict)

    def after(self, path: Path, seen: Tail) -> None:
        """The lines up to there are known already."""
        self._files[path] = _Followed(path, seen.inode, seen.offset)

    def read(self) -> list[tuple[str, str]]:
        """(worker, line) of everything that was written since."""
        found = []
        for worker, path in self.find().items():
            followed = self._files.setdefault(path, _Followed(path))
            found += [(worker, line) for line in followed.read()]
        return found


@dataclass(slots=True)
class _Followed:
    path: Path
    inode: int | None = None
    offset: int = 0
    rest: bytes = b""

    def read(self) -> list[str]:
        try:
            now = self.path.stat()
            if now.st_ino == self.inode and now.st_size == self.offset:
                return []
            with self.path.open("rb") as file:
                return [*self._moved_on(file), *self._lines_of(file)]
        except FileNotFoundError:
            if not self._was_rotated():
                self.inode, self.offset = None, 0
            return []
        except OSError:
            return []  # the next reading sees

    def _was_rotated(self) -> bool:
        """Whether the file has just been renamed, and the next one is not there yet."""
        try:
            return _older(self.path).stat().st_ino == self.inode
        except OSError:
            return False

    def _moved_on(self, file: BinaryIO) -> Iterator[str]:
        """What was left unread in the file that had this name before, where it is another one."""
        now = os.fstat(file.fileno())
        if self.inode is not None and now.st_ino != self.inode:
            yield from self._rotated()
        elif now.st_size >= self.offset:
            self.inode = now.st_ino
            return
        yield from self._unfinished()
        self.inode, self.offset = now.st_ino, 0

    def _rotated(self) -> Iterator[str]:
        """The rest of the file that was followed, and all files between it and the newest."""
        between: list[Path] = []
        older = _older(self.path)
        while older.exists():
            between.append(older)
            if older.stat().st_ino == self.inode:
                break
            older = _older(older)
        else:
            return  # it was removed: nobody can say which of the others are newer
        for path in reversed(between):
            with path.open("rb") as file:
                while self.offset < os.fstat(file.fileno()).st_size:
                    yield from self._lines_of(file)
            yield from self._unfinished()
            self.offset = 0

    def _lines_of(self, file: BinaryIO) -> list[str]:
        file.seek(self.offset)
        data = file.read(MOST_BYTES)
        self.offset += len(data)
        *whole, self.rest = (self.rest + data).split(b"\n")
        lines = [_text(line) for line in whole]
        return [*lines, *self._unfinished()] if len(self.rest) > MOST_BYTES else lines

    def _unfinished(self) -> list[str]:
        rest, self.rest = self.rest, b""
        return [_text(rest)] if rest else []


def _end_of(file: BinaryIO, count: int) -> tuple[bytes, int]:
    """The end of a file with at least `count` whole lines in it, if it has so many; its size."""
    end = position = file.seek(0, os.SEEK_END)
    data = b""
    while position and data.count(b"\n") <= count:
        size = min(BLOCK_BYTES, position)
        position -= size
        file.seek(position)
        data = file.read(size) + data
    return data, end


def _older(path: Path) -> Path:
    """The file that this one was before it: `w0.log` -> `w0.log.1` -> `w0.log.2`."""
    number = path.suffix[1:]
    if number.isdecimal():
        return path.with_suffix(f".{int(number) + 1}")
    return path.with_name(f"{path.name}.1")


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", name)]


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")
