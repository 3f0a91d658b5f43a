"""Finds what a run left behind by the marks in its environment, and ends it.

Also a program, the warden (`python -I -S reaper.py`; `warden.py` starts it). Standard input is its
leash and tells it, line by line, first the token of the run, then `+PID STARTED` for each child and
`-PID` for each that has ended. When the leash is let go, however its holder ended, it kills the
process group of every child that is left and everything that holds the token, and exits. Only the
standard library is there then.
"""

import contextlib
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # `typing` costs the program memory
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN_TOKEN = "LSWARM_RUN_TOKEN"  # in the environment of every child: whose it is
RUN_CHILD = "LSWARM_RUN_CHILD"  # in that of a child and of all it starts: its pid
HAS_PROC = sys.platform in ("linux", "android")
PROC = "/proc"
PATIENCE_S = 3.0  # for what starts others faster than it is killed, or hangs in a driver
SHORT_PATIENCE_S = 0.2  # while the leash is not watched
POLL_S = 0.02
IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGPIPE")


# One process ------------------------------------------------------------------------------


def started(pid: int, proc: str = PROC) -> "int | None":
    """When it began, in clock ticks since the machine did (Linux): setting the clock moves that
    not. None when it is gone, a zombie too. Raises OSError when that cannot be told."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            state, *fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in (b"Z", b"X") else int(fields[18])  # the 22nd of all, man 5 proc


def environment(pid: int) -> bytes:
    """Its environment as it began, `NAME=value` each between two zero bytes. Empty where it may
    not be read, and of a zombie."""
    try:
        with open(f"{PROC}/{pid}/environ", "rb") as file:
            return b"\0" + file.read() + b"\0"
    except OSError:
        return b""


def own_processes() -> "Iterator[int]":
    """The pids of this user's processes, without this one."""
    for name in os.listdir(PROC):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                if os.stat(f"{PROC}/{name}").st_uid == os.geteuid():
                    yield int(name)


def kill(pid: int, is_it: "Callable[[int], bool]") -> bool:
    """SIGKILL to the process of which `is_it(pid)` holds; True when it was sent.

    Never to another that took over its pid: a pidfd is of one process for ever. A kernel without
    them (before 5.3) leaves a gap of microseconds.
    """
    try:
        fd = os.pidfd_open(pid)  # type: ignore[attr-defined,unused-ignore]
    except ProcessLookupError:
        return False
    except (AttributeError, OSError):
        return is_it(pid) and _sent(lambda: os.kill(pid, signal.SIGKILL))
    try:
        return is_it(pid) and _sent(lambda: _signal_pidfd(fd))
    finally:
        os.close(fd)


def _signal_pidfd(fd: int) -> None:
    signal.pidfd_send_signal(fd, signal.SIGKILL)  # type: ignore[attr-defined,unused-ignore]


def _sent(send: "Callable[[], None]") -> bool:
    try:
        send()
    except (ProcessLookupError, PermissionError):
        return False
    return True


# All that are marked ----------------------------------------------------------------------


def end_all(is_ours: "Callable[[bytes], bool]", patience_s: float = PATIENCE_S) -> "list[int]":
    """Kills this user's processes whose environment `is_ours` (Linux), until there are none: what
    they start meanwhile is marked too. Returns their pids. Blocks: milliseconds for each hundred
    processes of this user, up to `patience_s` where some cannot be killed."""
    ended: dict[int, None] = {}
    deadline = time.monotonic() + patience_s
    while True:
        found = [pid for pid in own_processes() if is_ours(environment(pid))]
        still = lambda pid: is_ours(environment(pid))  # noqa: E731
        ended.update(dict.fromkeys(pid for pid in found if kill(pid, still)))
        if not found or time.monotonic() > deadline:
            return list(ended)
        time.sleep(POLL_S)


def marked(*marks: "tuple[str, str]") -> "Callable[[bytes], bool]":
    """Whether all these names have these values in an environment."""
    wanted = [f"\0{name}={value}\0".encode() for name, value in marks]
    return lambda block: all(mark in block for mark in wanted)


# The program ------------------------------------------------------------------------------


class Children:
    """The children that live, as far as the supervisor has told. Linux: each with its start."""

    def __init__(self) -> None:
        self._starts: dict[int, int] = {}

    def add(self, pid: int, start: int) -> None:
        self._starts[pid] = start

    def discard(self, pid: int) -> None:
        self._starts.pop(pid, None)

    def alive(self) -> "list[int]":
        return [pid for pid, start in self._starts.items() if started(pid) == start]


class KqueueChildren:
    """The same on macOS and BSD, where the kernel tells which of them have ended: their pids may
    be others' by now. Never seen on a real system."""

    def __init__(self, queue: "select.kqueue") -> None:  # type: ignore[name-defined,unused-ignore]
        self._queue = queue
        self._pids: set[int] = set()

    def add(self, pid: int, start: int) -> None:
        with contextlib.suppress(OSError):  # it has ended already
            self._queue.control([_exit_event(pid)], 0)
            self._pids.add(pid)

    def discard(self, pid: int) -> None:
        self._pids.discard(pid)

    def alive(self) -> "list[int]":
        while ended := self._queue.control(None, 64, 0):
            self._pids.difference_update(event.ident for event in ended)
        return list(self._pids)


def _exit_event(pid: int) -> "select.kevent":  # type: ignore[name-defined,unused-ignore]
    return select.kevent(  # type: ignore[attr-defined,unused-ignore]
        pid,
        filter=select.KQ_FILTER_PROC,  # type: ignore[attr-defined,unused-ignore]
        flags=select.KQ_EV_ADD,  # type: ignore[attr-defined,unused-ignore]
        fflags=select.KQ_NOTE_EXIT,  # type: ignore[attr-defined,unused-ignore]
    )


def main() -> None:
    """Blocks until the leash is let go."""
    for name in IGNORED:  # a Ctrl-C, or `kill -- -PGID`, must not end it before the others
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    children = Children() if HAS_PROC else KqueueChildren(select.kqueue())  # type: ignore[attr-defined,unused-ignore]
    with open(0, "rb", closefd=False) as leash:
        token = leash.readline().decode().strip()
        for line in leash:
            with contextlib.suppress(ValueError, IndexError):  # the last one may be cut off
                _take(line.split(), token, children)
    for pid in children.alive():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    if HAS_PROC and token:
        end_all(marked((RUN_TOKEN, token)))


def _take(words: "list[bytes]", token: str, children: "Children | KqueueChildren") -> None:
    pid = int(words[0][1:])
    if words[0].startswith(b"+"):
        children.add(pid, int(words[1]))
        return
    children.discard(pid)
    if HAS_PROC:  # what it started may have left its group
        end_all(marked((RUN_TOKEN, token), (RUN_CHILD, str(pid))), SHORT_PATIENCE_S)


if __name__ == "__main__":
    main()
