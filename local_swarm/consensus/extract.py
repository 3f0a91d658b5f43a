"""Get the answer out of what a model wrote: reasoning, fences and talk taken off.

What comes out is only compared; the text that is returned to the client is always the model's own.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from local_swarm.consensus import repair, syntax
from local_swarm.consensus.canonical import canonical_calls, canonical_json
from local_swarm.consensus.repair import Header
from local_swarm.domain.candidate import Candidate


class Kind(str, Enum):
    """What an answer is, in the order in which a tie between kinds is settled."""

    TOOL_CALLS = "tool calls"
    CODE = "code"
    JSON = "JSON"
    TEXT = "text"
    EMPTY = "nothing"


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is the answer itself; `sound` says that it is a whole one of its kind.

    Code is sound when it compiles as Python; text always is.
    """

    kind: Kind
    text: str
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its language tag, lower case, and what it holds."""

    tag: str
    body: str


_NAMES = "think|thinking|thought|reasoning"
_REASONING = re.compile(rf"\A(?:\s*<({_NAMES})>(?:.*?</\1>|.*\Z))+", re.DOTALL | re.IGNORECASE)
_REASONING_END = re.compile(rf"</(?:{_NAMES})>[ \t]*(?:\r?\n|\Z)", re.IGNORECASE)
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(.*)", re.DOTALL)
_MAX_BLOCKS = 16


def extract(candidate: Candidate, header: Header | None = None) -> Answer:
    """The answer in one candidate. `header` is the function that the prompt asks for, if any.

    Total: any text gives an answer.
    """
    if candidate.tool_calls:
        return _tool_calls(candidate)
    text = drop_reasoning(candidate.text)
    if all(not line.strip() or _fence_line(line)[0] for line in text.splitlines()):
        return Answer(Kind.EMPTY, "")
    if blocks := _affordable(fences(text)):
        return _fenced(blocks, header)
    return _bare(text, header)


def drop_reasoning(text: str) -> str:
    """Without what the model thought aloud before answering. A thought without an end is all
    thought; an end without a beginning (the template opened it) ends one."""
    text = _REASONING.sub("", text, count=1)
    end = _REASONING_END.search(text)
    if end is not None and "<" + end.group(0).strip()[2:] not in text[: end.start()].lower():
        return text[end.end() :]
    return text


def fences(text: str) -> list[Fence]:
    """The fenced blocks, in order. A fence that is never closed runs to the end."""
    blocks: list[Fence] = []
    body: list[str] = []
    opener = tag = ""
    for line in text.splitlines():
        marks, info = _fence_line(line)
        if not opener and marks:
            opener, tag, body = marks, info.partition(" ")[0].lower(), []
        elif opener and marks.startswith(opener) and not info:
            blocks.append(Fence(tag, "\n".join(body)))
            opener = ""
        elif opener:
            body.append(line)
    if opener:
        blocks.append(Fence(tag, "\n".join(body)))
    return [block for block in blocks if block.body.strip()]


def _affordable(blocks: Sequence[Fence]) -> list[Fence]:
    """The first few, as long as all of them together are no longer than a source may be; at least
    one, if there is one."""
    kept, length = list(blocks[:1]), len(blocks[0].body) if blocks else 0
    for block in blocks[1:_MAX_BLOCKS]:
        length += len(block.body)
        if length <= syntax.MAX_SOURCE_CHARS:
            kept.append(block)
    return kept


def _fence_line(line: str) -> tuple[str, str]:
    """The marks of a fence and what follows them; two empty strings for any other line."""
    match = _FENCE.match(line)
    if match is None or "`" in match.group(2):
        return ("", "")
    return (match.group(1), match.group(2).strip())


def _tool_calls(candidate: Candidate) -> Answer:
    canonical = canonical_calls(candidate.tool_calls)
    return Answer(Kind.TOOL_CALLS, canonical.text, canonical.sound)


def _fenced(blocks: Sequence[Fence], header: Header | None) -> Answer:
    """The block that defines the asked function itself, else the best other one. (A block that
    became sound as the body of the asked function says less: nearly any code can.)"""

    def worth(pair: tuple[Fence, Answer]) -> tuple[bool, bool, bool, bool, bool, int]:
        block, answer = pair
        is_code = answer.kind is Kind.CODE
        return (
            header is not None and syntax.defines(textwrap.dedent(block.body), header.name),
            answer.sound,
            is_code and header is not None and syntax.defines(answer.text, header.name),
            is_code and syntax.defines_something(answer.text),
            is_code,
            len(answer.text),
        )

    return max(((block, _block(block, header)) for block in blocks), key=worth)[1]


def _block(block: Fence, header: Header | None) -> Answer:
    if (document := _document(block.body)) is not None:
        return document
    program = repair.whole_program(block.body, header)
    if program is not None:
        return Answer(Kind.CODE, program)
    return Answer(Kind.CODE, block.body.strip("\n"), sound=False)


def _bare(text: str, header: Header | None) -> Answer:
    if (document := _document(text)) is not None:
        return document
    if not repair.looks_like_code(text):
        return Answer(Kind.TEXT, text)
    program = repair.whole_program(text, header)
    if program is not None:
        return Answer(Kind.CODE, program)
    if syntax.defines_something(text):
        return Answer(Kind.CODE, text.strip("\n"), sound=False)
    return Answer(Kind.TEXT, text)


def _document(text: str) -> Answer | None:
    """A JSON object or array; a lone number or word is text."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    canonical = canonical_json(text)
    return None if canonical is None else Answer(Kind.JSON, canonical)
