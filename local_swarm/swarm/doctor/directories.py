"""Where the program writes: whether it may, and whether others may look."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from local_swarm.config.paths import chosen
from local_swarm.models import Store
from local_swarm.swarm.doctor.finding import Context, Finding, error, ok, warning

ELSEWHERE = "Make it writable for this user, or set LSWARM_HOME to a folder of your own."


def places(context: Context) -> dict[str, Path]:
    """Each directory that is written to, by what it is for."""
    paths, config = context.paths, context.config
    return {
        "state": paths.state,
        "run files": paths.run,
        "logs": chosen(config.logs.dir, paths.state / "logs"),
        "cache": paths.cache,
        "models": Store.of(config.models.cache_dir).root,
    }


def nearest(path: Path) -> Path:
    """The directory itself, or the first above it that exists."""
    return next((each for each in (path, *path.parents) if each.exists()), path)


def check(context: Context) -> Iterator[Finding]:
    wrong = [finding for what, path in places(context).items() for finding in _of(what, path)]
    yield from wrong
    if not wrong:
        yield ok(f"All directories can be written to; state is in {context.paths.state}.")
    yield from _private(context.paths.run)


def _of(what: str, path: Path) -> Iterator[Finding]:
    there = nearest(path)
    if not there.is_dir():
        yield error(f"{there}, for {what}, is a file.", "Move it away.")
    elif not os.access(there, os.W_OK | os.X_OK):
        yield error(f"{path}, for {what}, cannot be written to.", ELSEWHERE)


def _private(run: Path) -> Iterator[Finding]:
    """Run files hold the key to the gateway."""
    if os.name != "posix" or not run.is_dir():
        return
    for path in (run, *sorted(run.glob("swarm-*.json"))):
        if path.stat().st_mode & 0o077:
            mode = "700" if path.is_dir() else "600"
            yield warning(
                f"{path} is open to other users, and holds keys.", f"Run `chmod {mode} {path}`."
            )
