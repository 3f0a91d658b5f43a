"""Get the answer out of what a model wrote: reasoning, fences and talk taken off.

What comes out is only compared; the text that is returned to the client is always the model's own.
"""

from __future__ import annotations

from collections.abc import Sequence

from local_swarm.consensus.forms.canonical import canonical_calls
from local_swarm.consensus.parsing import languages, syntax
from local_swarm.consensus.reading import blocks, edit_formats, edits, readers
from local_swarm.consensus.reading.answer import Answer, Kind
from local_swarm.consensus.reading.edits import Edits
from local_swarm.consensus.reading.fences import Fence, fence_line, fences
from local_swarm.consensus.reading.repair import Header
from local_swarm.consensus.reading.wrappers import drop_reasoning, without_template
from local_swarm.domain.candidate import Candidate

__all__ = ["Answer", "Kind", "drop_reasoning", "extract", "fences"]

_PROSE_SHARE = 3
"""An answer with so many times more talk than commands is not code."""


def extract(candidate: Candidate, header: Header | None = None) -> Answer:
    """The answer in one candidate. `header` is the function that the prompt asks for, if any.

    Total: any text gives an answer.
    """
    if candidate.tool_calls:
        canonical = canonical_calls(candidate.tool_calls)
        return Answer(Kind.TOOL_CALLS, canonical.text, canonical.sound)
    text = candidate.text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = without_template(drop_reasoning(without_template(text)))
    if all(not line.strip() or fence_line(line)[1] for line in text.split("\n")):
        return Answer(Kind.EMPTY, "")
    return _answer(text, header)


def _answer(text: str, header: Header | None) -> Answer:
    found = [] if _is_program(text) else _unpacked(fences(_with_code_fenced(text, header)))
    answer = _fenced(text, found, header) if found else readers.bare(text, header)
    changes = _edits(text, found)
    if changes is None or _is_the_program(answer, header):
        return answer
    return Answer(Kind.EDIT, edits.canonical(changes), changes.sound)


def _is_program(text: str) -> bool:
    """Whether all of it is Python, fences in its docstrings too."""
    return syntax.defines_something(text) and syntax.compile_source(text).ok


def _with_code_fenced(text: str, header: Header | None) -> str:
    """With a fence before the code that comes before the first mark. That mark ends the code (the
    prompt had opened the block already), or begins another block."""
    lines = text.split("\n")
    marked = [at for at, line in enumerate(lines) if fence_line(line)[1]]
    if not marked:
        return text
    before = "\n".join(lines[: marked[0]])
    _, marks, info = fence_line(lines[marked[0]])
    is_end = len(marked) % 2 == 1 and not info
    if not is_end and not syntax.defines_something(before):
        return text
    answer = readers.bare(before, header)
    if answer.kind is not Kind.CODE or not answer.sound:
        return text
    return f"{marks}\n{text}" if is_end else "\n".join([marks, before, marks, *lines[marked[0] :]])


def _unpacked(found: Sequence[Fence]) -> list[Fence]:
    """The blocks in a block of Markdown instead of that."""
    unpacked: list[Fence] = []
    for fence in found:
        inner = fences(fence.body) if fence.language in languages.MARKUP else []
        unpacked += inner or [fence]
    return unpacked


def _fenced(text: str, found: Sequence[Fence], header: Header | None) -> Answer:
    return readers.talk(text) if _is_talk(text, found) else blocks.choose(text, found, header)


def _is_talk(text: str, found: Sequence[Fence]) -> bool:
    """Whether it is prose that shows a command or two, not an answer in code."""
    if not all(map(readers.is_command, found)):
        return False
    code = len("".join("".join(block.body for block in found).split()))
    return len("".join(text.split())) - code > _PROSE_SHARE * code


def _edits(text: str, found: Sequence[Fence]) -> Edits | None:
    if edits.mentioned(text) and (changes := edit_formats.find(text)) is not None:
        return changes
    if len(text) > edits.MAX_CHARS:
        return None
    diffs = [block.body for block in found if block.language in languages.DIFFS]
    read = [changes for body in diffs if (changes := edit_formats.bare_diff(body)) is not None]
    return Edits(tuple(change for one in read for change in one.changes)) if read else None


def _is_the_program(answer: Answer, header: Header | None) -> bool:
    """Whether it is a program all the same: the function that is asked for, next to an edit that
    shows how it came about, or one that holds such marks in a string."""
    if answer.kind is not Kind.CODE or not answer.sound or answer.language:
        return False
    is_asked = header is not None and syntax.defines(answer.text, header.name)
    return is_asked or edits.mentioned(answer.text)
