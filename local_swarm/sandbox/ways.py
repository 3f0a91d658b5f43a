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
    (see `pool`) does the same for the process.
    """

    name: str = "bubblewrap"

    def missing(self) -> str | None:
        return None if shutil.which("bwrap") else "bwrap is not installed"

    def argv(self, fds: list[int], leash: int | None) -> list[str]:
        walls = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net"]
        walls += ["--unshare-uts", "--unshare-cgroup-try", "--new-session", "--cap-drop", "ALL"]
        walls += ["--uid", _NOBODY, "--gid", _NOBODY, "--chdir", "/"]
        for path in _interpreter():
            walls += ["--ro-bind-try", path, path]
        walls += ["--ro-bind", str(_ROOM), _ROOM_INSIDE, "--remount-ro", "/"]
        setup = {"fds": fds, "leash": leash, "is_walled": True}
        return [shutil.which("bwrap") or "bwrap", *walls, "--", *_python(_ROOM_INSIDE, setup)]


Way = Namespaces | Bubblewrap
WAYS: tuple[Way, ...] = (Bubblewrap(), Namespaces())


def _python(room: str, setup: Mapping[str, object]) -> list[str]:
    """-S: no code of installed packages runs; the environment is empty but for the hash seed."""
    return [_executable(), "-S", "-s", "-B", "-c", _START, room, json.dumps(setup)]


def _executable() -> str:
    """The interpreter itself, not the link to it in a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _interpreter() -> list[str]:
    """Where the interpreter, its library and the system's shared libraries lie."""
    libraries = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"]
    libraries += [sysconfig.get_config_var(name) for name in ("LIBDIR", "DESTSHARED")]
    found = [_executable(), sysconfig.get_path("stdlib"), *libraries]
    return sorted({path for path in found if path})
