"""The known name that is nearest to an unknown one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from local_swarm.config.settings import SECTIONS, SETTINGS


def suggestion(unknown: str, write: Callable[[str], str] = str) -> str:
    """`", the nearest known one is server.port"`. `unknown` is a section or `section.key`."""
    near = nearest(unknown)
    shown = f"[{near}]" if near in SECTIONS else write(near)
    return f", the nearest known one is {shown}"


def nearest(unknown: str) -> str:
    """A key of the same name elsewhere, else the most similar one of its section, else of all.

    For a name without a dot: the section most like it, or a key of that very name.
    """
    section, dot, key = unknown.rpartition(".")
    same = [setting.name for setting in SETTINGS.values() if setting.key == key]
    if not dot:
        return same[0] if same else _closest(unknown, SECTIONS)
    if section not in SECTIONS:
        return _closest(unknown, same or SETTINGS)
    inside = [name for name in SETTINGS if name.startswith(f"{section}.")]
    return _closest(unknown, same or inside)


def _closest(unknown: str, known: Iterable[str]) -> str:
    from difflib import SequenceMatcher

    return max(known, key=lambda name: SequenceMatcher(None, unknown.lower(), name).ratio())
