"""Tries what must not work, before any job is taken.

Nothing that is tried does harm where it does work: this may be root, and a wall may be missing.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable

from . import child, seccomp
from .keeper import started
from .libc import call

_AF_INET, _SOCK_STREAM, _SOCK_DGRAM = 2, 1, 2
_OUTSIDE = struct.pack("=H", _AF_INET) + struct.pack("!H4s8x", 9, bytes((192, 0, 2, 1)))
"""An address that is kept for documentation; a datagram socket sends nothing to connect."""

_PROT_ALL, _MAP_PRIVATE_ANONYMOUS = 7, 0x22
_NEW_USER = 0x10000000
_MEMORY_BYTES = 256 * 1024 * 1024
_CPU_S = 10
_BEGUN = b"\0"


def holes() -> list[str]:
    """What works and should not; empty when all walls stand. Raises RuntimeError, with the reason,
    where a wall cannot be tried."""
    return [*_in_namespaces(), *_behind_filter()]


def _in_namespaces() -> list[str]:
    """Tried without the filter: the walls stand for themselves."""
    attempts: dict[str, Callable[[], object]] = {
        "see the machine's files": lambda: os.stat("/etc"),
        "see what lies behind its root": lambda: os.stat("/../etc"),
        "see processes": lambda: os.stat("/proc/self"),
        "write a file": _write_to_root,
        "reach a network": _connect,
        "use the rights of root": lambda: os.chroot("/"),
    }
    return [f"{name} (outside the filter)" for name, attempt in attempts.items() if _works(attempt)]


def _write_to_root() -> None:
    if not os.access("/", os.W_OK):
        raise PermissionError


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _connect() -> None:
    fd = call("socket", _AF_INET, _SOCK_DGRAM, 0)
    try:
        call("connect", fd, _OUTSIDE, len(_OUTSIDE))
    finally:
        os.close(fd)


def _map_executable() -> None:
    # mmap gives a pointer, so the number is called: -1 is then the failure.
    calls = seccomp.CALLS[os.uname().machine]
    call("syscall", calls.mmap, 0, 4096, _PROT_ALL, _MAP_PRIVATE_ANONYMOUS, -1, 0)


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _passes_filter(attempt: Callable[[], object]) -> bool:
    """Limits and namespaces refuse too, with other words than the filter."""
    try:
        attempt()
    except OSError as exc:
        return exc.errno != errno.EPERM
    return True


_BEHIND_FILTER: dict[str, Callable[[], object]] = {
    "open a file": lambda: os.open("/", os.O_RDONLY),
    "read another descriptor": lambda: os.read(0, 1),
    "write to another descriptor": lambda: os.write(2, b""),
    "open a socket": lambda: call("socket", _AF_INET, _SOCK_STREAM, 0),
    "start a process": _fork,
    "run a program": lambda: os.execv("/", ["/"]),
    "send a signal": lambda: os.kill(os.getppid(), 0),
    "trace a process": lambda: call("ptrace", 0, 0, 0, 0),
    "have a user namespace": lambda: call("unshare", _NEW_USER),
    "get executable memory": _map_executable,
    "change what it may": lambda: call("prctl", 4, 1, 0, 0, 0),
}


def _behind_filter() -> list[str]:
    with started(_try_all) as running:
        told = b"".join(iter(lambda: os.read(running.fd, 4096), b""))
    if not told.startswith(_BEGUN):
        raise RuntimeError(told.decode("utf-8", "replace") or "a child ends while it is walled in")
    works = told[len(_BEGUN) :]
    if len(works) != len(_BEHIND_FILTER):
        raise RuntimeError("the filter ends a process that does nothing wrong")
    return [name for name, worked in zip(_BEHIND_FILTER, works, strict=True) if worked]


def _try_all(parent: int, result_fd: int) -> None:
    try:
        child.wall_in(result_fd, parent, _MEMORY_BYTES, _CPU_S)
    except (OSError, ValueError) as exc:
        os.write(child.RESULT_FD, f"a limit or the filter cannot be set: {exc}".encode())
        return
    os.write(child.RESULT_FD, _BEGUN)
    for attempt in _BEHIND_FILTER.values():
        os.write(child.RESULT_FD, bytes([_passes_filter(attempt)]))
