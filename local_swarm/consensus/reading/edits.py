"""Edits as coding agents write them, in one form: which lines of which file become which.

Read are unified diffs, `*** Begin Patch` blocks and search/replace blocks. Line numbers, how much
is shown around a change, the order of changes and `a/`, `b/` before a path do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

MAX_CHARS = 131_072
_MAX_CELLS = 250_000
"""Two versions of more lines times lines are not compared line by line."""

Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit says of one place: the lines that are there, and those that come instead, what
    stays between them in both. `note` is what happens to the file itself."""

    path: str
    old: Lines = ()
    new: Lines = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Edits:
    """What was found; `sound` says that nothing of it was cut off or is out of place."""

    changes: tuple[Change, ...]
    sound: bool = True


def canonical(edits: Edits) -> str:
    """One spelling for all edits that do the same, as lines: `=== ` and the path, what happens to
    the file, `@` and the line that something is inserted after, `-` and `+` lines."""
    parts: dict[str, None] = {}
    for change in edits.changes:
        head = f"=== {change.path}" + (f"\n{change.note}" if change.note else "")
        parts.update({f"{head}\n{part}" if part else head: None for part in _parts(change)})
    return "\n".join(sorted(parts))


def _parts(change: Change) -> Iterator[str]:
    if change.note == "deleted":
        yield ""
        return
    old = [line.rstrip() for line in change.old]
    new = [line.rstrip() for line in change.new]
    if old == new:
        if change.note:
            yield ""
        return
    for low, high, start, end in _differences(old, new):
        anchor = [] if low < high else [_anchor(old, low)]
        removed = [f"-{line}" for line in old[low:high]]
        yield "\n".join([*anchor, *removed, *(f"+{line}" for line in new[start:end])])


def _differences(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    if len(old) * len(new) > _MAX_CELLS:
        yield _middle(old, new)
        return
    for tag, low, high, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield (low, high, start, end)


def _middle(old: Sequence[str], new: Sequence[str]) -> tuple[int, int, int, int]:
    """What is left without the equal lines at both ends."""
    shorter = min(len(old), len(new))
    first = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    last = next(
        (at for at in range(shorter - first) if old[-1 - at] != new[-1 - at]), shorter - first
    )
    return (first, len(old) - last, first, len(new) - last)


def _anchor(old: Sequence[str], at: int) -> str:
    above = next((line for line in reversed(old[:at]) if line), None)
    below = next((line for line in old[at:] if line), None)
    if above is not None:
        return f"@ {above.strip()}"
    return f"@< {below.strip()}" if below is not None else "@"


_MENTIONS = re.compile(
    r"^(?:[ \t]*(?:<{5,9} ?(?:SEARCH|ORIGINAL)|-{5,9} ?SEARCH)"
    r"|\*\*\* Begin Patch|@@ |@@$|--- \S|diff --git )",
    re.MULTILINE,
)


def mentioned(text: str) -> bool:
    """Whether it may hold an edit: quick, and right where it says no."""
    return len(text) <= MAX_CHARS and _MENTIONS.search(text) is not None


def clean_path(path: str, *, prefixed: bool = False) -> str:
    """A path without quotes, `./`, a time after it, and, in a diff, `a/` or `b/`."""
    path = path.partition("\t")[0].strip().strip("`*\"'").strip()
    if prefixed and path[:2] in ("a/", "b/"):
        path = path[2:]
    return path.removeprefix("./")
