"""A process's own view of the machine: no files, no network, no other processes, no rights."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os

from .libc import call

NOBODY = 65534
_NEW_USER = 0x10000000
_NEW_REST = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
"""Mounts, cgroups, host name, System V objects, processes, network."""

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_RDONLY = 2, 4, 8, 1
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITIES_V3 = 0x20080522
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SIGKILL = 9

_FORBIDDING = {
    "kernel/apparmor_restrict_unprivileged_userns": "1",
    "kernel/unprivileged_userns_clone": "0",
    "user/max_user_namespaces": "0",
}
"""Settings of the system (sysctl), and the value by which each forbids namespaces."""

_NO_SETTING = "in a container, or a service with a filter, unshare and mount must be allowed"


def leave() -> None:
    """Goes into new namespaces; processes forked from here on are in a new one too. One with the
    rights of root needs no user namespace, others get one. Raises OSError where neither works."""
    try:
        call("unshare", _NEW_REST)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        call("unshare", _NEW_REST | _NEW_USER)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{NOBODY} {user} 1")
        _write("/proc/self/gid_map", f"{NOBODY} {group} 1")


def empty_root() -> None:
    """Makes an empty, read-only file system the root, and lets go of the other."""
    call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    bare = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    call("mount", b"none", b"/tmp", b"tmpfs", bare, b"size=4k,nr_inodes=2,mode=555")
    os.chdir("/tmp")
    call("syscall", _PIVOT_ROOT[os.uname().machine], b".", b".")
    call("umount2", b".", _MNT_DETACH)
    os.chdir("/")
    call("mount", None, b"/", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | bare, None)


def give_up_rights() -> None:
    """Becomes nobody, where this is root, and has no capability any more."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    call("syscall", _CAPSET[os.uname().machine], _Header(_CAPABILITIES_V3, 0), _Nothing())


def forbid_rights() -> None:
    """No program that this process runs ever gets more rights."""
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Has the kernel kill this process when its parent ends; ends it at once where the parent
    (by its id) is gone already."""
    call("prctl", _PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def why(exc: Exception) -> str:
    """What failed while the walls were built, and what may forbid it, for the machine's admin."""
    words = str(exc) if isinstance(exc, (OSError, RuntimeError)) else repr(exc)
    if not isinstance(exc, OSError) or exc.errno not in (errno.EPERM, errno.EACCES, errno.ENOSPC):
        return words
    found = [name for name, value in _FORBIDDING.items() if _read(f"/proc/sys/{name}") == value]
    settings = [f"{name.replace('/', '.')} is {_FORBIDDING[name]}" for name in found]
    return f"{words}: {', '.join(settings) or _NO_SETTING}"


def hide() -> None:
    """Nobody of the same user may look into this process, or into those forked from it."""
    call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_first() -> None:
    """When memory runs out, these processes go before any other of the machine."""
    with contextlib.suppress(OSError):
        _write("/proc/self/oom_score_adj", "1000")


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Nothing(ctypes.Structure):
    _fields_ = (("words", ctypes.c_uint32 * 6),)


def _read(path: str) -> str:
    """Empty where there is no such file."""
    with contextlib.suppress(OSError), open(path) as file:
        return file.read().strip()
    return ""


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
