"""Read one block, or a text without blocks, as an answer."""

from __future__ import annotations

import re

from local_swarm.consensus.forms.canonical import begins_with_json, canonical_json
from local_swarm.consensus.parsing import foreign, languages, syntax
from local_swarm.consensus.reading import finals, repair
from local_swarm.consensus.reading.answer import Answer, Kind
from local_swarm.consensus.reading.fences import Fence
from local_swarm.consensus.reading.repair import Header, Program

_MAX_DOCUMENTS = 4
_TALK_SHARE = 3
_LITTLE_TALK = 240
"""Characters of talk that may stand around data, however short that is."""

_DATA_BEGINS = re.compile(r"[ \t*`]*([\[{])")
_NAMES_DATA = re.compile(r"(?::|\bis)[ \t*`]*([\[{])")
_IS_DATA = re.compile(r"\s*(?:\{\s*\"(?:[^\"\\\n]|\\.)*\"\s*:|\[\s*\{\s*\")")
_CLOSING = {"{": "}", "[": "]"}
_PRINTED = re.compile(r"^Traceback \(most recent call last\):", re.MULTILINE)


def block(fence: Fence, header: Header | None) -> Answer:
    """The answer in a fenced block. The compiler, or a grammar, has more to say than the tag."""
    if (data := document(fence.body)) is not None:
        return data
    if fence.is_plain:
        return bare(fence.body, header)
    if fence.language == "json":
        value = canonical_json(fence.body)
        return Answer(Kind.JSON, fence.body.strip() if value is None else value, value is not None)
    if fence.language:
        return _tagged(fence, header)
    if (program := repair.whole_program(fence.body, header)) is not None:
        return _python(program)
    if (other := foreign.recognised(fence.body)) is not None:
        return other
    if not _may_be_code(fence, header):
        return talk(fence.body)
    return Answer(Kind.CODE, fence.body.strip("\n"), sound=False)


def _may_be_code(fence: Fence, header: Header | None) -> bool:
    """Whether a block that nothing takes is broken code, and not what a program printed or a
    sketch of one."""
    body = fence.body
    if _PRINTED.search(body) is not None or not repair.looks_like_code(body):
        return False
    is_asked = bool(fence.tag) or header is not None
    return is_asked or syntax.defines_something(body) or _is_all_code(body)


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
    answer = talk(text)
    is_cut = answer.kind is Kind.TEXT and _IS_DATA.match(text) and not begins_with_json(text)
    return Answer(Kind.JSON, text.strip(), sound=False) if is_cut else answer


def _is_all_code(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
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
    """The only data in a text that says little more, on lines of its own or behind what names it
    ("The result is {...}.")."""
    lines = text.split("\n")
    begun = [(at, match) for at, line in enumerate(lines) if (match := _begins_data(line))]
    for start, match in begun[:_MAX_DOCUMENTS]:
        mark = _CLOSING[match.group(1)]
        ends = [at for at in range(start, len(lines)) if _end_of(lines[at]).endswith(mark)]
        for end in reversed(ends[-_MAX_DOCUMENTS:]):
            data = _end_of("\n".join(lines[start : end + 1])[match.start(1) :])
            around = len(text) - len(data)
            if around > max(_LITTLE_TALK, _TALK_SHARE * len(data)):
                continue
            if (found := document(data)) is not None:
                others = [*lines[:start], *lines[end + 1 :]]
                return None if any(map(_holds_data, others)) else found
    return None


def _begins_data(line: str) -> re.Match[str] | None:
    """The bracket that opens data, in front or behind a few words. (One word and a colon may be
    data themselves, in YAML.)"""
    if (match := _DATA_BEGINS.match(line)) is not None:
        return match
    match = _NAMES_DATA.search(line)
    return match if match is not None and repair.is_talk(line[: match.start()]) else None


def _end_of(line: str) -> str:
    """Without what may stand behind data on its line."""
    return line.rstrip(" \t.`*")


def _holds_data(line: str) -> bool:
    return line.strip() in ("{", "[") or document(line) is not None or bool(_IS_DATA.match(line))


def is_command(fence: Fence) -> bool:
    """Whether a block shows what to type, or what was printed, rather than code."""
    if fence.language in languages.SHELLS:
        return True
    return not fence.language and not repair.looks_like_code(fence.body)
