"""Runs `lswarm` where there is no console: `windowless.py LOG [NAME=VALUE ...] COMMAND [ARG ...]`.

Windows' `pythonw` opens no window and has no output; what is said goes to LOG, which begins anew
when it has grown beyond 10 MiB.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024


def main(argv: Sequence[str]) -> None:
    """Never returns: ends with the command's own exit code."""
    log, *rest = argv
    settings, command = split(rest)
    os.environ.update(settings)
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "w" if path.exists() and path.stat().st_size > MAX_BYTES else "a"
    with path.open(mode, buffering=1, encoding="utf-8", errors="replace") as output:
        sys.stdout = sys.stderr = output
        sys.argv = ["lswarm", *command]
        runpy.run_module("local_swarm", run_name="__main__")


def split(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The NAME=VALUE words at the front, and the command."""
    settings: dict[str, str] = {}
    for number, word in enumerate(words):
        name, is_setting, value = word.partition("=")
        if not is_setting:
            return settings, list(words[number:])
        settings[name] = value
    return settings, []


if __name__ == "__main__":
    main(sys.argv[1:])
