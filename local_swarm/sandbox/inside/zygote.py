"""The process that all others in the sandbox are forked from."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import signal
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import NoReturn, TypedDict

from . import frames, namespaces, worker

PRELOADED = """
abc array ast base64 binascii bisect calendar cmath collections collections.abc contextlib copy
dataclasses datetime decimal difflib enum fractions functools graphlib hashlib heapq html inspect io
itertools json keyword math numbers operator pprint queue random re secrets statistics string struct
sys textwrap threading time timeit traceback types typing unicodedata warnings weakref zlib
_strptime
"""
"""What answers use of the standard library; they can import nothing else that needs a file."""

_OURS = frozenset({__name__.partition(".")[0], "ctypes", "_ctypes"})

_MOST_FDS = 64
_NICE = 5  # whoever serves clients goes first


class Setup(TypedDict):
    """`fds`: one stream for each worker; `leash`: see `worker.serve`; `is_walled`: whether this
    process was begun in namespaces of its own."""

    fds: list[int]
    leash: int | None
    is_walled: bool


def main(setup: Setup) -> NoReturn:
    """Ends when the pool is gone, or a worker is."""
    try:
        setup["fds"] = [_low(fd) for fd in setup["fds"]]
        setup["leash"] = None if setup["leash"] is None else _low(setup["leash"])
        _prepare()
        if not setup["is_walled"]:
            _wall_in(setup["fds"])
        namespaces.hide()
        _forget_own_modules()
        gc.collect()
        gc.freeze()  # so that children do not copy pages by collecting
        for fd in setup["fds"]:
            _fork_worker(fd, setup)
    except Exception as exc:
        _tell(setup["fds"], namespaces.why(exc))
    for fd in setup["fds"]:
        os.close(fd)
    os.wait()
    os._exit(0)


def _low(fd: int) -> int:
    """The same descriptor below the limit that is set here: a child closes those and no others."""
    if fd < _MOST_FDS:
        return fd
    low = os.dup(fd)
    os.close(fd)
    return low


def _prepare() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, nobody can be waited for
    namespaces.die_first()
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    for name in PRELOADED.split():
        importlib.import_module(name)
    sys.argv[:] = [""]
    sys.path.clear()
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter]
    os.environ.clear()
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_FDS, _MOST_FDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _forget_own_modules() -> None:
    """What is loaded for the sandbox alone is not there for answers to import."""
    for name in list(sys.modules):
        if name.partition(".")[0] in _OURS:
            del sys.modules[name]


def _wall_in(fds: list[int]) -> None:
    """Goes on as the first process of new namespaces; the one before waits for its end."""
    namespaces.leave()
    pid = os.fork()
    if pid:
        for fd in fds:
            os.close(fd)
        os.waitpid(pid, 0)
        os._exit(0)
    namespaces.die_with_parent(0)  # as seen from inside: the parent has no id there
    namespaces.empty_root()
    namespaces.give_up_rights()
    namespaces.die_with_parent(0)  # becoming somebody else has undone it
    namespaces.forbid_rights()


def _fork_worker(fd: int, setup: Setup) -> None:
    parent = os.getpid()
    if os.fork():
        return
    try:
        namespaces.die_with_parent(parent)
        for other in setup["fds"]:
            if other != fd:
                os.close(other)
        worker.serve(fd, setup["leash"])
    except Exception as exc:
        _tell([fd], namespaces.why(exc))
    finally:
        os._exit(0)


def _tell(fds: list[int], why: str) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            frames.send(fd, {"failed": why})
