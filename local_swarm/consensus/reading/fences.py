"""The fenced blocks of a text in Markdown, as models really write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from local_swarm.consensus.parsing import languages

MAX_REACH = 4
"""How many fences further a block that is not whole is looked for the end of."""

_LEAD_LINES = 3
_TAGS = frozenset(("python", "py", "python3", "bash", "sh", "js", "javascript", "json", "sql"))
_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})(.*)", re.DOTALL)
_ONE_LINE = re.compile(r"[ \t]*(`{3,})[ \t]*([^`\s][^`]*?)[ \t]*\1[ \t]*")
_LATE_OPENING = re.compile(r"[^`]*[^`\s][^`]*?(`{3,})[ \t]*([\w+#.-]*)[ \t]*")
_LATE_CLOSING = re.compile(r"([^`]*[^`\s][ \t]*)(`{3,})[ \t]*")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its language tag as it was written, what it holds, the line of talk just
    before it, and the line that it begins on. `longer` is what it would hold if it ended at one of
    the next fences instead, and the line of that."""

    tag: str
    body: str
    lead: str = ""
    at: int = 0
    longer: tuple[tuple[int, str], ...] = ()

    @property
    def language(self) -> str:
        """One name for every language; empty for Python and where the tag says nothing."""
        return languages.named(self.tag)

    @property
    def is_plain(self) -> bool:
        """Whether the tag says that it is not code."""
        return self.tag.lower() in languages.PLAIN


@dataclass(frozen=True, slots=True)
class _Open:
    at: int
    marks: str
    tag: str
    margin: int


def fence_line(line: str) -> tuple[int, str, str]:
    """The indentation and the marks of a fence and what follows them; no marks for any other
    line."""
    match = _FENCE.match(line)
    if match is None or "`" in match.group(3):
        return (0, "", "")
    return (len(match.group(1).expandtabs()), match.group(2), match.group(3).strip())


def fences(text: str) -> list[Fence]:
    """The fenced blocks, in order. A fence that is never closed runs to the end; one that is
    indented deeper than the opening one closes nothing: it stands in a docstring. Marks may follow
    talk or code on their line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    may_close_late = _ends_anew(lines)
    blocks: list[tuple[_Open, int]] = []
    begun: _Open | None = None
    depth = 0
    for at, line in enumerate(lines):
        if begun is None:
            begun, depth = _opening(at, line), 0
            continue
        indent, marks, info = fence_line(line)
        if not depth and may_close_late[at] and _closes_late(line, begun):
            blocks.append((begun, at + 1))
            begun = None
            continue
        if not marks.startswith(begun.marks) or indent > begun.margin:
            continue
        if info:
            depth += (
                languages.named(begun.tag) in languages.MARKUP
            )  # it shows Markdown, with blocks of its own
        elif depth:
            depth -= 1
        else:
            blocks.append((begun, at))
            begun = None
    if begun is not None:
        blocks.append((begun, len(lines)))
    return [block for block in _one_liners(lines, blocks) if block.body.strip()]


def _ends_anew(lines: list[str]) -> list[bool]:
    """Of every line whether the fences below it make whole blocks only if none is open there."""
    answers = []
    closed, opened, begins = True, False, False  # whether it all ends well, from either state
    for line in reversed(lines):
        answers.append(begins or (closed and not opened))
        _, marks, info = fence_line(line)
        if marks:
            closed, opened = opened, opened if info else closed
            begins = bool(info)
    return answers[::-1]


def _closes_late(line: str, begun: _Open) -> bool:
    """Whether it ends in the marks that end the block, behind code."""
    late = _LATE_CLOSING.fullmatch(line) if begun.marks in line else None
    return late is not None and late.group(2) == begun.marks


def _opening(at: int, line: str) -> _Open | None:
    indent, marks, info = fence_line(line)
    if marks:
        return _Open(at, marks, info.partition(" ")[0], indent)
    late = _LATE_OPENING.fullmatch(line) if "```" in line else None
    return None if late is None else _Open(at, late.group(1), late.group(2), indent)


def _one_liners(lines: list[str], blocks: list[tuple[_Open, int]]) -> list[Fence]:
    """The blocks, and those that open and close on one line between them."""
    found = [_cut_out(lines, begun, end) for begun, end in blocks]
    inside = {at for begun, end in blocks for at in range(begun.at, end)}
    for at, line in enumerate(lines):
        if at not in inside and "```" in line and (match := _ONE_LINE.fullmatch(line)):
            word, _, code = match.group(2).partition(" ")
            is_tag = bool(code) and word.lower() in _TAGS
            tag, body = (word, code) if is_tag else ("", match.group(2))
            found.append(Fence(tag, body, at=at))
    return sorted(found, key=lambda block: block.at)


def _cut_out(lines: list[str], begun: _Open, end: int) -> Fence:
    body = lines[begun.at + 1 : end]
    if body and (late := _LATE_CLOSING.fullmatch(body[-1])):
        body[-1] = late.group(1)
    above = lines[max(0, begun.at - _LEAD_LINES) : begun.at]
    lead = next((line for line in reversed(above) if line.strip()), "")
    return Fence(begun.tag, "\n".join(body), lead, begun.at, _longer(lines, begun, end))


def _longer(lines: list[str], begun: _Open, end: int) -> tuple[tuple[int, str], ...]:
    """Only a docstring can hold a fence that is not the end."""
    if not any('"""' in line or "'''" in line for line in lines[begun.at : end]):
        return ()
    ends = (
        at for at in range(end + 1, len(lines)) if fence_line(lines[at])[1:] == (begun.marks, "")
    )
    reached = [at for _, at in zip(range(MAX_REACH), ends, strict=False)]
    return tuple((at, "\n".join(lines[begun.at + 1 : at])) for at in reached)
