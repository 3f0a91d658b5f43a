"""The processes of a sandbox, as seen from outside: one stream for each worker."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import subprocess
import time

from local_swarm.sandbox.inside import frames
from local_swarm.sandbox.ways import Way

START_S = 20.0
_END_S = 5.0
_MOST_WORDS = 65536
_STALLED_S = 5  # a stream that neither takes nor gives anything for so long is broken
_SAME_HASHES = {"PYTHONHASHSEED": "0"}  # sets keep their order from one process to the next


class Unwalled(Exception):
    """Why this way gives no sandbox here."""


class Tree:
    """Begun when made; blocks until its walls are tested. Raises Unwalled.

    It ends with this process, however this ends: its workers watch their streams, and a
    descriptor that tells when this process is gone (other children may hold copies of a stream).
    """

    def __init__(self, way: Way, workers: int) -> None:
        if (why := way.missing()) is not None:
            raise Unwalled(why)
        self.streams: list[socket.socket] = []
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._begin(way, workers)
            self._await_workers(time.monotonic() + START_S)
        except OSError as exc:
            self.end()
            raise Unwalled(str(exc)) from exc
        except BaseException:
            self.end()
            raise

    def _begin(self, way: Way, workers: int) -> None:
        with contextlib.ExitStack() as given:
            theirs = []
            for _ in range(workers):
                ours, its = socket.socketpair()
                self.streams.append(_bounded(ours))
                theirs.append(given.enter_context(its))
                _bounded(its, sends=False)
            self._process = _begun(way, [stream.fileno() for stream in theirs])

    def forget(self) -> None:
        """For a fork of the process that made it: lets go of it, and ends nothing."""
        for stream in self.streams:
            stream.close()
        if self._process is not None:
            self._process.poll()  # no child of this process: so it is not held to be still running
            assert self._process.stderr is not None
            self._process.stderr.close()

    def end(self) -> None:
        """Ends every process of the tree. Does nothing when called again."""
        for stream in self.streams:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)  # also where another process holds a copy
            stream.close()
        if self._process is not None:
            _await_end(self._process)
            assert self._process.stderr is not None
            self._process.stderr.close()

    def _await_workers(self, deadline: float) -> None:
        for stream in self.streams:
            if not _says(stream, deadline):
                raise Unwalled("the sandbox did not start in time")
            self._check(stream)

    def _check(self, stream: socket.socket) -> None:
        try:
            told = frames.receive(stream.fileno())
        except (EOFError, OSError, ValueError):
            raise Unwalled(self._last_words()) from None
        if told.get("failed"):
            raise Unwalled(told["failed"])
        if told["holes"]:
            raise Unwalled(f"code in it could {', '.join(told['holes'])}")

    def _last_words(self) -> str:
        """What the first process wrote before it ended, or that it said nothing."""
        assert self._process is not None
        assert self._process.stderr is not None
        _await_end(self._process)
        words = self._process.stderr.read(_MOST_WORDS).decode("utf-8", "replace").strip()
        return words.splitlines()[-1] if words else "the sandbox ended while it started"


def _says(stream: socket.socket, deadline: float) -> bool:
    poller = select.poll()  # select(2) takes no descriptor above 1023
    poller.register(stream, select.POLLIN)
    return bool(poller.poll(max(0.0, deadline - time.monotonic()) * 1000))


def _await_end(process: subprocess.Popen[bytes]) -> None:
    """By itself, as its workers see their streams end, or else killed; the others go with it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    process.kill()
    process.wait()


def _bounded(stream: socket.socket, sends: bool = True) -> socket.socket:
    patience = struct.pack("@ll", _STALLED_S, 0)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
    if sends:  # whoever takes reports may have been stopped for a while
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
    return stream


def _leash() -> int | None:
    """Becomes readable when this process ends; None where the kernel cannot (before 5.3)."""
    try:
        return os.pidfd_open(os.getpid())
    except (AttributeError, OSError):
        return None


def _begun(way: Way, fds: list[int]) -> subprocess.Popen[bytes]:
    """The first process, which gets `fds`."""
    leash = _leash()
    given = fds if leash is None else [*fds, leash]
    try:
        return subprocess.Popen(
            way.argv(fds, leash),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env=_SAME_HASHES,
            pass_fds=given,
            start_new_session=True,  # a Ctrl-C is for the program
        )
    finally:
        if leash is not None:
            os.close(leash)
