"""From what is asked on the command line to what the service runs: its words and its settings."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from local_swarm.errors import UsageError
from local_swarm.service.service import Target

KEPT = ("LSWARM_HOME", "PATH")
TAKEN_OVER = ("LSWARM_HOME", "LSWARM_CONFIG")


def program(python: str) -> tuple[str, ...]:
    """How a service begins `lswarm`: with this installation, and with Python telling where it was
    when the watchdog ends it."""
    return (os.path.abspath(python), "-X", "faulthandler", "-m", "local_swarm")


def up_words(
    args: Sequence[str], *, config: Path | None, port: int | None, model: str | None
) -> tuple[str, ...]:
    """The command `up` with these options and more flags of its own; what follows a `--` among
    them goes to the engine. The options come last, where they count."""
    at = args.index("--") if "--" in args else len(args)
    named = {"--config": config, "--port": port, "--model": model}
    options = [word for k, v in named.items() if v is not None for word in (k, str(v))]
    return ("up", *args[:at], *options, *args[at:])


def absolute_model(model: str | None) -> str | None:
    """A model that is a file here, as the service will find it; other names as they are."""
    if model is not None and os.path.isfile(os.path.expanduser(model)):
        return os.path.abspath(os.path.expanduser(model))
    return model


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """What a service of the user keeps of the shell's environment. PATH, because a service manager
    has one of its own, on which the user's engine may not be."""
    kept = {name: env[name] for name in KEPT if env.get(name)}
    if "LSWARM_HOME" in kept:
        kept["LSWARM_HOME"] = os.path.abspath(os.path.expanduser(kept["LSWARM_HOME"]))
    if "PATH" in kept:
        folders = filter(os.path.isabs, kept["PATH"].split(os.pathsep))
        kept["PATH"] = os.pathsep.join(dict.fromkeys(folders))
    return kept


def own_environment(directory: str) -> dict[str, str]:
    """For a service with a user of its own: everything it keeps is in one directory."""
    return {"HOME": directory, "LSWARM_HOME": directory}


def left_behind(env: Mapping[str, str]) -> list[str]:
    """Settings of the shell that the service will not have (they may be keys, and a unit can be
    read by everybody)."""
    return sorted(k for k in env if k.startswith("LSWARM_") and k not in TAKEN_OVER)


def check_user(user: str) -> None:
    """Raises UsageError where the machine has no such user."""
    try:
        import pwd
    except ImportError:
        return  # Windows: the Task Scheduler says so itself
    try:
        pwd.getpwnam(user)
    except KeyError:
        raise UsageError(f"There is no user {user!r} on this machine.") from None


def check_open(paths: Iterable[Path], target: Target) -> None:
    """Raises UsageError for the first path that another user than its owner cannot read."""
    for path in paths:
        if (wall := _wall(path)) is not None:
            raise UsageError(
                f"The service's own user cannot read {path}: {wall} is closed to others.",
                hint=f"Install the program where all can read it, such as /opt/{target.unit}, or"
                " name a user with --run-as.",
            )


def _wall(path: Path) -> Path | None:
    """The outermost of the path and what is above it that others cannot enter or read. A link
    counts with what it leads to."""
    real = Path(os.path.realpath(path))
    for part in [*reversed(real.parents), real]:
        wanted = stat.S_IXOTH if part.is_dir() else stat.S_IROTH
        if not part.stat().st_mode & wanted:
            return part
    return None
