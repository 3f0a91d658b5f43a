"""Find the examples in a prompt: calls of the asked function, and what each is to give.

People write them as doctests and assertions (`sessions`), as `f(1) == 2`, `f(1) -> 2` or "f(1)
returns 2" (`calls`), as "Input: ... Output: ..." or "For n = 1 the result should be 2" (`pairs`).
All of these are read; what reads in two ways is not trusted, and what is not a plain value is left
out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from local_swarm.consensus.execution import asked as function
from local_swarm.consensus.execution.asked import Asked
from local_swarm.consensus.execution.examples.calls import calls
from local_swarm.consensus.execution.examples.expressions import Example
from local_swarm.consensus.execution.examples.pairs import pairs, sentences
from local_swarm.consensus.execution.examples.sessions import assertions, doctests
from local_swarm.consensus.reading.repair import find_header

__all__ = ["MAX_EXAMPLES", "Example", "find", "hide"]

MAX_EXAMPLES = 16
_MAX_PROMPT_CHARS = 32_768
_FINDERS = (doctests, assertions, calls, pairs, sentences)

_HEADING = re.compile(
    r"\W*(?:(?:for|see|some|here|are|is|as|input|output)\W+)*(?:an?\s+)?"
    r"(?:exam(?:pl|bl)es?|e\.g\.?|samples?|usage|test\s*cases?|doctests?)\b[^.]{0,24}",
    re.IGNORECASE,
)
_LEFT_OVER = re.compile(
    r"\W*(?:(?:for\s+)?(?:example|instance)|e\.?g\.?|assert|and|so|such as)?[\s\W]*"
    r"(?:#.*|(?:because|since|as)\b.*|\(.*\)\W*|(?:=|or)\s.*)?",
    re.IGNORECASE,
)


@lru_cache(maxsize=8)
def find(prompt: str, asked: Asked) -> tuple[Example, ...]:
    """The examples in the order in which they stand, each call once, sixteen at most. Total: any
    prompt will do. Where the prompt never calls the asked function by its own name, calls of
    another name that fit are trusted."""
    unique = {one.call: one for one in reversed(_all(prompt, asked))}
    found = sorted(unique.values(), key=lambda one: one.span)[:MAX_EXAMPLES]
    if not any(one.trusted for one in found) and f"{asked.name}(" not in _behind(prompt, asked):
        found = [replace(one, trusted=True) for one in found]
    return tuple(found)


def hide(prompt: str, asked: Asked | None = None) -> str:
    """The prompt without its examples: the lines and headings that only hold them go, the rest
    stays as it stands. For a prompt with a function header `asked` need not be told."""
    asked = asked or function.find(prompt, find_header(prompt), ())
    if asked is None:
        return prompt
    spans = [one.span for one in _all(prompt, asked)]
    kept: list[str | None] = []
    place = 0
    for line in prompt.split("\n"):
        end = place + len(line)
        cuts = [(max(s, place) - place, min(e, end) - place) for s, e in spans]
        held = sorted(cut for cut in cuts if cut[0] < cut[1])
        kept.append(_without(line, held) if held else line)
        place = end + 1
    return "\n".join(line for at, line in enumerate(kept) if line is not None and _stays(kept, at))


def _all(prompt: str, asked: Asked) -> list[Example]:
    """Every one, in the order in which they stand."""
    text = prompt[-_MAX_PROMPT_CHARS:]
    offset = len(prompt) - len(text)
    found: list[Example] = []
    for finder in _FINDERS:
        taken = [one.span for one in found]
        found += [one for one in finder(text, asked) if not _overlaps(one.span, taken)]
    moved = [replace(one, span=(one.span[0] + offset, one.span[1] + offset)) for one in found]
    return sorted(moved, key=lambda one: one.span)


def _overlaps(span: tuple[int, int], taken: Sequence[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in taken)


def _behind(prompt: str, asked: Asked) -> str:
    """What the prompt says after the function's own header."""
    _, _, rest = prompt.rpartition(f"def {asked.name}")
    return rest.partition(")")[2] if rest else prompt


def _without(line: str, cuts: Sequence[tuple[int, int]]) -> str | None:
    """The line without the examples in it; None where nothing is left that says something."""
    rest, behind = "", 0
    for start, end in cuts:
        rest += line[behind:start]
        behind = end
    rest += line[behind:]
    if _LEFT_OVER.fullmatch(rest.strip()) is None:
        return rest
    quotes = [mark for mark in ('"""', "'''") if mark in rest]
    return line[: len(line) - len(line.lstrip())] + quotes[0] if quotes else None


def _stays(kept: Sequence[str | None], at: int) -> bool:
    """Not a heading over examples that are gone, nor the empty lines between them."""
    line = kept[at] or ""
    below = next((one for one in kept[at + 1 :] if one is None or one.strip()), "")
    if not line.strip():
        return not (at and kept[at - 1] is None and below is None)
    return not (_HEADING.fullmatch(line.strip()) and below is None)
