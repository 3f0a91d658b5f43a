"""Read one block, or a text without blocks, as an answer."""

from __future__ import annotations

from local_swarm.consensus.forms.canonical import canonical_json
from local_swarm.consensus.parsing import foreign, languages, syntax
from local_swarm.consensus.reading import finals, repair
from local_swarm.consensus.reading.answer import Answer, Kind
from local_swarm.consensus.reading.fences import Fence
from local_swarm.consensus.reading.repair import Header, Program

_MAX_DOCUMENTS = 4
_TALK_SHARE = 3
_LITTLE_TALK = 240
"""Characters of talk that may stand around data, however short that is."""


def block(fence: Fence, header: Header | None) -> Answer:
    """The answer in a fenced block. The compiler, or a grammar, has more to say than the tag."""
    if (data := document(fence.body)) is not None:
        return data
    if fence.is_plain:
        return bare(fence.body, header)
    if fence.language == "json":
        return Answer(Kind.JSON, fence.body.strip(), sound=False)
    if fence.language:
        return _tagged(fence, header)
    if (program := repair.whole_program(fence.body, header)) is not None:
        return _python(program)
    if (other := foreign.recognised(fence.body)) is not None:
        return other
    if not repair.looks_like_code(fence.body):
        return talk(fence.body)
    return Answer(Kind.CODE, fence.body.strip("\n"), sound=False)


def _python(program: Program) -> Answer:
    return Answer(Kind.CODE, program.source, mended=program.mended)


def _tagged(fence: Fence, header: Header | None) -> Answer:
    answer = foreign.program(fence.body, fence.language)
    is_wrong = not answer.sound or (header is not None and syntax.defines(fence.body, header.name))
    if is_wrong and syntax.defines_something(fence.body):
        program = repair.whole_program(fence.body, header)
        if program is not None and syntax.defines_something(program.source):
            return _python(program)
    return answer


def bare(text: str, header: Header | None) -> Answer:
    """The answer in a text without fences: data, code with talk around it or without, or text."""
    if (data := document(text)) is not None:
        return data
    if repair.reads_as_code(text, header) and (program := repair.whole_program(text, header)):
        return _python(program)
    if (other := foreign.in_talk(text)) is not None:
        return other
    if syntax.defines_something(text) or (header is not None and _is_all_code(text)):
        return Answer(Kind.CODE, text.strip("\n"), sound=False)
    return talk(text)


def _is_all_code(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return all(line[0].isspace() or repair.looks_like_code(line) for line in lines) and any(
        map(repair.looks_like_code, lines)
    )


def talk(text: str) -> Answer:
    """The answer in prose: data that it is about, the short answer that it ends in, or itself."""
    if (data := _document_in(text)) is not None:
        return data
    final = finals.final_answer(text)
    return Answer(Kind.TEXT, text) if final is None else Answer(Kind.SHORT, final)


def document(text: str) -> Answer | None:
    """A JSON object or array; a lone number or word is text."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    canonical = canonical_json(text)
    return None if canonical is None else Answer(Kind.JSON, canonical)


def _document_in(text: str) -> Answer | None:
    """The data on lines of its own in a text that says little more."""
    lines = text.split("\n")
    starts = [at for at, line in enumerate(lines) if line.lstrip()[:1] in ("{", "[")]
    for start in starts[:_MAX_DOCUMENTS]:
        mark = {"{": "}", "[": "]"}[lines[start].lstrip()[0]]
        ends = [at for at in range(start, len(lines)) if lines[at].rstrip().endswith(mark)]
        for end in reversed(ends[-_MAX_DOCUMENTS:]):
            data = "\n".join(lines[start : end + 1])
            around = len(text) - len(data)
            if around > max(_LITTLE_TALK, _TALK_SHARE * len(data)):
                continue
            if (found := document(data)) is not None:
                return found
    return None


def is_command(fence: Fence) -> bool:
    """Whether a block shows what to type, or what was printed, rather than code."""
    if fence.language in languages.SHELLS:
        return True
    return not fence.language and not repair.looks_like_code(fence.body)
