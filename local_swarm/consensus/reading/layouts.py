"""Ways in which a program may have been laid out before its layout was lost, to be tried in order.

They only move code, and are only guesses: the compiler judges each.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

_TAB_WIDTHS = (4, 8)
_DEF_LINE = re.compile(r"(?:async[ \t]+)?def[ \t]+\w+[ \t]*\(.*:[ \t]*(?:#.*)?")


def opens(source: str, name: str) -> bool:
    """Whether a line of it seems to begin the function `name`, be it in a string or without its
    `def`."""
    escaped = re.escape(name)
    begins = rf"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+{escaped}\b|{escaped}[ \t]*\([^\n]*:)"
    return re.search(begins, source, re.MULTILINE) is not None


def of_program(source: str, name: str) -> Iterator[str]:
    """Of a whole program; `name` is the asked function, if that is known."""
    if "\t" in source:
        yield from (source.expandtabs(width) for width in _TAB_WIDTHS)
    if (moved := _first_part_moved_out(source)) is not None:
        yield moved
    if name and (restored := _def_restored(source, name)) != source:
        yield restored
        yield from _flush_body(restored)
    yield from _flush_body(source)


def of_body(text: str) -> Iterator[tuple[str, str]]:
    """Of the body of a function: the body, and what follows the function."""
    lines = text.strip("\n").rstrip().split("\n")
    is_indented = lines[0][:1].isspace()
    if is_indented and (end := _first_flush(lines)):
        rest = "\n".join(["", "", "", *lines[end:]])
        yield (textwrap.dedent("\n".join(lines[:end])).rstrip(), rest)
    yield (textwrap.dedent("\n".join(lines)), "")
    depths = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    if depths and min(depths) > 0 and not is_indented:
        first_restored = " " * min(depths) + lines[0]
        yield (textwrap.dedent("\n".join([first_restored, *lines[1:]])), "")
    if "\t" in text:
        for width in _TAB_WIDTHS:
            yield (textwrap.dedent("\n".join(line.expandtabs(width) for line in lines)), "")


def indent(body: str) -> str:
    """Not `textwrap.indent`: that takes a form feed inside of a string for the end of a line."""
    return "\n".join(f"    {line}" if line.strip() else line for line in body.split("\n"))


def _first_flush(lines: Sequence[str]) -> int:
    """The first line that is not indented; 0 if the first is, or none."""
    return next((at for at, line in enumerate(lines) if line[:1].strip()), 0)


def _first_part_moved_out(source: str) -> str | None:
    """An indented function, and flush ones behind it."""
    lines = source.split("\n")
    end = _first_flush(lines)
    if not end:
        return None
    return "\n".join([textwrap.dedent("\n".join(lines[:end])), *lines[end:]])


def _def_restored(source: str, name: str) -> str:
    return re.sub(rf"^(async[ \t]+)?(?={re.escape(name)}[ \t]*\()", r"\1def ", source, count=1,
                  flags=re.MULTILINE)  # fmt: skip


def _flush_body(source: str) -> Iterator[str]:
    """A function whose body, or the first line of it, lost its indentation."""
    lines = source.split("\n")
    at = next((at for at, line in enumerate(lines) if _DEF_LINE.match(line)), len(lines))
    below = lines[at + 1 :]
    if not below or not below[0][:1].strip():
        return
    yield "\n".join([*lines[: at + 1], indent("\n".join(below))])
    yield "\n".join([*lines[: at + 1], indent(below[0]), *below[1:]])
