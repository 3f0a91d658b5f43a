"""Readers of the ways in which an edit is written down."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from local_swarm.consensus.reading.edits import Change, Edits, clean_path
from local_swarm.consensus.reading.fences import fence_line

_SEARCH = re.compile(r"[ \t]*(?:<{5,9}|-{5,9}(?= ?SEARCH)) ?(?:SEARCH|ORIGINAL)\b[ >]*(.*)")
_DIVIDER = re.compile(r"[ \t]*={5,9}[ \t]*")
_REPLACE = re.compile(r"[ \t]*(?:>{5,9} ?(?:REPLACE|UPDATED)?|\+{5,9} ?REPLACE)[ \t>]*")
_PLACE = re.compile(r":(?:start|end)_line: ?\d+[ \t]*|-{5,9}[ \t]*")
"""Where to search, told between the mark and the lines to search for."""
_PATH = re.compile(
    r"(?:[\w@~+.-]*[\\/])*[\w@~+.-]*\w\.\w{1,12}|[\w@~+.-]+(?:[\\/][\w@~+.-]+)+"
    r"|Makefile|Dockerfile"
)
_FILE = re.compile(r"\*\*\* (Update|Add|Delete) File: *(.+)")
_HUNK = re.compile(r"@@(?: .*)?|@@ .* @@.*")
_UNMARKED = re.compile(r"(?![ +\t\\-]).+", re.DOTALL)
_PATCH_BEGINS = re.compile(r"\s*\*\*\* Begin Patch\s*")
_PATCH_ENDS = re.compile(r"\s*\*\*\* End Patch\s*")
_NOWHERE = "/dev/null"


def find(text: str) -> Edits | None:
    """The edits in a text, in whichever of the ways it uses; None where it holds none."""
    lines = text.split("\n")
    for read in (_search_replace, _patch, _diff):
        edits = read(lines)
        if edits is not None and edits.changes:
            return edits
    return None


def bare_diff(body: str) -> Edits | None:
    """Of a block that says that it is a diff: lines with marks and no heads are one, too."""
    lines = body.split("\n")
    edits = _diff(lines) or _patch(lines)
    if edits is not None and edits.changes:
        return edits
    change = _hunk_of([line for line in lines if not line.startswith(("---", "+++"))], "")
    return Edits((change,)) if change is not None and change.old != change.new else None


def _search_replace(lines: Sequence[str]) -> Edits | None:
    changes, sound, path, at = [], True, "", 0
    while at < len(lines):
        begun = _SEARCH.fullmatch(lines[at])
        if begun is None:
            at += 1
            continue
        path = clean_path(begun.group(1)) or _path_above(lines, at) or path
        middle = _next(lines, at + 1, _DIVIDER)
        end = _next(lines, middle + 1, _REPLACE)
        old, new = _without_place(lines[at + 1 : middle]), tuple(lines[middle + 1 : end])
        is_new = not any(line.strip() for line in old)
        sound = end < len(lines)
        if sound or any(map(str.strip, (*old, *new))):
            changes.append(Change(path, () if is_new else old, new, "created" if is_new else ""))
        at = end + 1
    return Edits(tuple(changes), sound) if changes else None


def _without_place(lines: Sequence[str]) -> tuple[str, ...]:
    if not lines or not lines[0].startswith(":"):
        return tuple(lines)
    start = next((at for at, line in enumerate(lines) if not _PLACE.fullmatch(line)), len(lines))
    return tuple(lines[start:])


def _next(lines: Sequence[str], at: int, pattern: re.Pattern[str]) -> int:
    return next((i for i in range(at, len(lines)) if pattern.fullmatch(lines[i])), len(lines))


def _path_above(lines: Sequence[str], at: int) -> str:
    """On the line before, or before the fence that the block stands in."""
    for line in reversed(lines[max(0, at - 4) : at]):
        _, marks, info = fence_line(line)
        named = info.partition(":")[2] if marks else line
        path = clean_path(named.strip().lstrip("#/ ").rstrip(":"))
        if path and _PATH.fullmatch(path):
            return path
        if line.strip() and not marks:
            return ""
    return ""


def _patch(lines: Sequence[str]) -> Edits | None:
    start = _next(lines, 0, _PATCH_BEGINS)
    end = _next(lines, start, _PATCH_ENDS)
    heads = [at for at in range(start, end) if _FILE.fullmatch(lines[at].strip())]
    changes = [
        change
        for at, stop in zip(heads, [*heads[1:], end], strict=False)
        for change in _file_of_patch(lines[at].strip(), lines[at + 1 : stop])
    ]
    return Edits(tuple(changes), sound=end < len(lines)) if changes else None


def _file_of_patch(head: str, body: Sequence[str]) -> list[Change]:
    match = _FILE.fullmatch(head)
    assert match is not None
    what, path = match.group(1), clean_path(match.group(2))
    if what == "Delete":
        return [Change(path, note="deleted")]
    if what == "Add":
        new = tuple(line[1:] for line in body if line[:1] == "+")
        return [Change(path, new=new, note="created")]
    moved = [clean_path(line[13:]) for line in body if line.startswith("*** Move to: ")]
    notes = [Change(path, note=f"moved to {target}") for target in moved[:1]]
    return [*notes, *_hunks([line for line in body if not line.startswith("*** ")], path)]


def _diff(lines: Sequence[str]) -> Edits | None:
    files = [at for at in range(len(lines)) if _names_file(lines, at)]
    changes = [*_renames(lines), *_marked_hunks(lines[: files[0] if files else len(lines)], "")]
    for at, end in zip(files, [*files[1:], len(lines)], strict=False):
        changes += _file_of_diff(lines[at:end])
    return Edits(tuple(changes)) if changes else None


def _names_file(lines: Sequence[str], at: int) -> bool:
    return (
        lines[at].startswith("--- ")
        and lines[at + 1 : at + 2] != []
        and lines[at + 1][:4] == "+++ "
    )


def _renames(lines: Sequence[str]) -> list[Change]:
    return [
        Change(clean_path(source[12:]), note=f"moved to {clean_path(target[10:])}")
        for source, target in pairwise(lines)
        if source.startswith("rename from ") and target.startswith("rename to ")
    ]


def _file_of_diff(lines: Sequence[str]) -> list[Change]:
    source, target = (clean_path(head[4:], prefixed=True) for head in lines[:2])
    if target == _NOWHERE:
        return [Change(source, note="deleted")]
    hunks = _marked_hunks(lines[2:], target)
    if source != _NOWHERE:
        return hunks
    return [Change(target, new=hunk.new, note="created") for hunk in hunks]


def _marked_hunks(lines: Sequence[str], path: str) -> list[Change]:
    """Each as far as its lines have marks: talk may follow. (A line without anything on it has
    lost the mark of a line that stays.)"""
    starts = [at + 1 for at, line in enumerate(lines) if _HUNK.fullmatch(line.rstrip())]
    ends = [_next(lines, at, _UNMARKED) for at in starts]
    parts = (lines[at:end] for at, end in zip(starts, ends, strict=True))
    return [change for part in parts if (change := _hunk_of(part, path)) is not None]


def _hunks(lines: Sequence[str], path: str) -> list[Change]:
    """All the lines are of one; the first may come without a mark before it."""
    starts = [-1, *(at for at, line in enumerate(lines) if line.startswith("@@"))]
    parts = [lines[at + 1 : end] for at, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    return [change for part in parts if (change := _hunk_of(part, path)) is not None]


def _hunk_of(lines: Sequence[str], path: str) -> Change | None:
    """None where nothing is added or taken away. A line without a mark is one that stays."""
    if not any(line[:1] in ("+", "-") for line in lines):
        return None
    kept = [line for line in lines if not line.startswith("\\")]
    old = tuple(line[1:] for line in kept if line[:1] != "+")
    new = tuple(line[1:] for line in kept if line[:1] != "-")
    return Change(path, old, new)
