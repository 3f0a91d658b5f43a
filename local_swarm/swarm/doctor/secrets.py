"""What must not leave this machine: keys in settings, run files and the environment, and names."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from local_swarm.config.settings import SETTINGS
from local_swarm.config.sources import find_file
from local_swarm.errors import ConfigError
from local_swarm.swarm.doctor.finding import Context
from local_swarm.swarm.doctor.scrub import SECRET_NAME, Scrubber

SHORTEST = 6  # of what is only thought to be a secret: a shorter one would blank ordinary words
SHORTEST_NAME = 3
NOBODYS = {"root", "user", "localhost", "main"}


def scrubber(context: Context) -> Scrubber:
    found = (*_of_settings(context), *_of_file(context), *_of_runs(context), *_guessed(context))
    return Scrubber(tuple(dict.fromkeys(filter(None, found))), tuple(_names()))


def _of_settings(context: Context) -> Iterator[str]:
    for setting in SETTINGS.values():
        if setting.secret:
            value = getattr(getattr(context.config, setting.section), setting.key)
            yield from _strings(value)
            if text := context.environ.get(setting.variable):
                yield from (text, *(part.strip(" \"'[]") for part in text.split(",")))


def _of_file(context: Context) -> Iterator[str]:
    """Read once more, for a file that is refused may hold keys all the same."""
    try:
        file = find_file(context.config_path, context.environ, context.cwd)
        text = file.path.read_text(encoding="utf-8", errors="replace") if file else ""
    except (ConfigError, OSError):
        return
    try:
        yield from _under_telling_keys(msgspec.toml.decode(text), is_telling=False)
    except msgspec.DecodeError:  # nobody can say which of its texts are keys
        quoted = re.findall(r"\"([^\"\n]*)\"|'([^'\n]*)'", text)
        yield from (t for pair in quoted for t in pair if len(t) >= SHORTEST)


def _of_runs(context: Context) -> Iterator[str]:
    for run in context.runs():
        yield from (run.token, run.control_key)


def _guessed(context: Context) -> Iterator[str]:
    """Of other programs: whatever their environment variables call a key."""
    for name, value in context.environ.items():
        if SECRET_NAME.search(name) and len(value) >= SHORTEST:
            yield value


def _under_telling_keys(value: object, *, is_telling: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _under_telling_keys(
                item, is_telling=is_telling or bool(SECRET_NAME.search(str(key)))
            )
    elif is_telling:
        yield from _strings(value)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)


def _names() -> Iterator[tuple[str, str]]:
    """The longest first: a home directory before the user's name in it."""
    with contextlib.suppress(RuntimeError, OSError):
        homes = {str(Path.home()), os.path.realpath(Path.home())}
        yield from ((home, "~") for home in sorted(homes, key=len) if len(home) > 1)
    with contextlib.suppress(KeyError, OSError, ImportError):
        yield from _name(getpass.getuser(), "[user]")
    with contextlib.suppress(OSError):
        yield from _name(socket.gethostname(), "[host]")


def _name(name: str, instead: str) -> Iterator[tuple[str, str]]:
    if len(name) >= SHORTEST_NAME and name.lower() not in NOBODYS:
        yield name, instead
