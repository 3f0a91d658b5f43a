"""How the process that jobs are forked from is started: the ways to wall it in, best first."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ROOM = Path(__file__).parent
_START = (
    "import sys; del sys.path[0]; sys.path.append(sys.argv[1]); "
    "from inside.zygote import main; import json; main(json.loads(sys.argv[2]))"
)
_ROOM_INSIDE = "/room"
_NOBODY = "65534"
_FIRST_TO_DIE = (
    "/bin/sh",
    "-c",
    '{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null; exec "$@"',
    "sh",
)
"""See `inside.namespaces.die_first`: within bubblewrap's walls there is no /proc."""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The process walls itself in: nothing is left of the file system."""

    name: str = "namespaces"

    def missing(self) -> str | None:
        return None

    def argv(self, fds: list[int], leash: int | None) -> list[str]:
        return _python(str(_ROOM), {"fds": fds, "leash": leash, "is_walled": False})


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """bwrap(1) does it: of the file system the interpreter is left, to be read only.

    Not with its --die-with-parent: that ends the sandbox with the thread that began it. The leash
    (see `tree`) does the same for the process. Nor with --new-session: `tree` has begun one.
    """

    name: str = "bubblewrap"

    def missing(self) -> str | None:
        return None if shutil.which("bwrap") else "bwrap is not installed"

    def argv(self, fds: list[int], leash: int | None) -> list[str]:
        walls = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net"]
        walls += ["--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL"]
        walls += ["--uid", _NOBODY, "--gid", _NOBODY, "--chdir", "/"]
        for path in _interpreter():
            walls += ["--ro-bind-try", path, path]
        walls += ["--ro-bind", str(_ROOM), _ROOM_INSIDE, "--remount-ro", "/"]
        setup = {"fds": fds, "leash": leash, "is_walled": True}
        bwrap = shutil.which("bwrap") or "bwrap"
        return [*_FIRST_TO_DIE, bwrap, *walls, "--", *_python(_ROOM_INSIDE, setup)]


Way = Namespaces | Bubblewrap
WAYS: tuple[Way, ...] = (Bubblewrap(), Namespaces())


def _python(room: str, setup: Mapping[str, object]) -> list[str]:
    """-S: no code of installed packages runs; the environment is empty but for the hash seed."""
    return [_executable(), "-S", "-s", "-B", "-c", _START, room, json.dumps(setup)]


def _executable() -> str:
    """The interpreter itself, not the link to it in a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _interpreter() -> list[str]:
    """Where the interpreter, its library and the system's shared libraries lie. Without symbolic
    links too: the interpreter, called by its real path, looks for its library beside that."""
    library = sysconfig.get_path("stdlib")
    libraries = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", os.path.dirname(library)]
    libraries += [sysconfig.get_config_var(name) for name in ("LIBDIR", "DESTSHARED")]
    found = [path for path in (_executable(), library, *libraries) if path]
    return sorted({*found, *map(os.path.realpath, found)})
