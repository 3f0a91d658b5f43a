"""The settings: valid or not, and from where."""

from __future__ import annotations

import os
from collections.abc import Iterator

from local_swarm.config.paths import CONFIG_NAME
from local_swarm.swarm.doctor.finding import Context, Finding, error, note, ok, warning


def check(context: Context) -> Iterator[Finding]:
    if context.problem is not None:
        yield error(context.problem.message, context.problem.hint)
        return
    file, origins = context.loaded.path, context.loaded.origins
    yield ok(f"The settings are valid, from {file}." if file else "All settings are the defaults.")
    if file is not None and file == context.cwd / CONFIG_NAME:
        yield note(
            f"They come from the {CONFIG_NAME} of this directory; elsewhere others are in force.",
            "Move the file to the user's directory of settings if that is not meant.",
        )
    given = sorted(o.where for o in origins.values() if o.kind == "environment")
    if given:
        yield note(f"The environment sets {', '.join(given)}.")
    if file is not None and _is_open(str(file)) and _has_secrets(context):
        yield warning(
            f"{file} holds keys, and other users of this machine can read it.",
            f"Run `chmod 600 {file}`.",
        )


def _has_secrets(context: Context) -> bool:
    config = context.config
    return bool(config.server.api_keys or config.engine.api_key)


def _is_open(file: str) -> bool:
    return os.name == "posix" and bool(os.stat(file).st_mode & 0o077)
