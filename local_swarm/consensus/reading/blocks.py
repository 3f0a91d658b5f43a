"""Which of several blocks is the answer, and which others it needs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace

from local_swarm.consensus.parsing import languages, syntax
from local_swarm.consensus.parsing.tree import tree_tokens
from local_swarm.consensus.reading import readers
from local_swarm.consensus.reading.answer import Answer, Kind
from local_swarm.consensus.reading.fences import Fence
from local_swarm.consensus.reading.repair import Header

MAX_BLOCKS = 16
_Read = tuple[Fence, Answer]
_NOT_IT = re.compile(
    r"\b(?:alternative(?:ly)?|another (?:way|approach|option|solution|version)|instead of|"
    r"originals?|incorrect|wrong|buggy|broken|na[iï]ve|inefficient|slower|don't|do not|"
    r"(?:first|initial) (?:try|attempt|draft)|previous(?:ly)?|before|bad)\b",
    re.IGNORECASE,
)


def choose(text: str, blocks: Sequence[Fence], header: Header | None) -> Answer:
    """The last whole block that defines the asked function itself, unless the talk before it says
    that it is not the one; else the best other one. (A block that became sound as the body of the
    asked function says less: nearly any code can.)"""
    able = affordable(blocks)
    read = [(block, readers.block(block, header)) for block in _rejoined(able)]
    at = max(range(len(read)), key=lambda place: _worth(read[place], place, header))
    main, answer = read[at]
    if answer.kind in (Kind.TEXT, Kind.SHORT):
        return readers.talk(text)
    others = [pair for pair in read if pair[0] is not main and not pair[0].is_plain]
    if answer.kind is Kind.CODE and not answer.language and answer.sound:
        answer, others = _with_helpers(answer, others, header)
    rest = [readers.block(block, None) for block, _ in others if not _is_asked(block, header)]
    unread = [
        Answer(Kind.CODE, block.body, sound=False)
        for block in blocks[len(able) :]
        if not block.is_plain
    ]
    return replace(answer, rest=(*rest, *unread))


def affordable(blocks: Sequence[Fence]) -> list[Fence]:
    """The first few, as long as all of them together are no longer than a source may be; at least
    one, if there is one."""
    kept, length = list(blocks[:1]), len(blocks[0].body) if blocks else 0
    for block in blocks[1:MAX_BLOCKS]:
        length += len(block.body)
        if length > syntax.MAX_SOURCE_CHARS:
            break
        kept.append(block)
    return kept


def _rejoined(blocks: Sequence[Fence]) -> list[Fence]:
    """Blocks that only a docstring with a fence in it had cut in two, whole again."""
    joined: list[Fence] = []
    until = -1
    for block in blocks:
        if block.at < until:
            continue
        if block.longer and not syntax.compile_source(textwrap.dedent(block.body)).ok:
            for end, body in block.longer:
                if syntax.compile_source(textwrap.dedent(body)).ok:
                    block, until = replace(block, body=body), end + 1
                    break
        joined.append(block)
    return joined


def _is_asked(block: Fence, header: Header | None) -> bool:
    return header is not None and syntax.defines(textwrap.dedent(block.body), header.name)


def _worth(pair: _Read, place: int, header: Header | None) -> tuple[int, ...]:
    block, answer = pair
    name = header.name if header is not None else ""
    is_code = answer.kind is Kind.CODE
    is_asked = _is_asked(block, header)
    return (
        is_asked,
        block.language not in languages.SHELLS and (answer.sound or bool(block.tag)),
        answer.sound,
        is_code and bool(name) and syntax.defines(answer.text, name),
        is_code and (bool(answer.language) or syntax.defines_something(answer.text)),
        is_code,
        not _NOT_IT.search(block.lead),
        place if is_asked else len(answer.text),
    )


def _with_helpers(
    answer: Answer, others: Sequence[_Read], header: Header | None
) -> tuple[Answer, list[_Read]]:
    """The program with the blocks before it that define what it lacks."""
    programs = [pair for pair in others if _is_python(pair[1])]
    if not programs:
        return answer, list(others)
    needed = _lacks(answer.text, header)
    helpers = [pair for pair in programs if any(syntax.binds(pair[1].text, n) for n in needed)]
    if not helpers:
        return answer, list(others)
    source = "\n\n\n".join([*(helper.text for _, helper in helpers), answer.text])
    if not syntax.compile_source(source).ok:
        return answer, list(others)
    left = [pair for pair in others if pair not in helpers]
    return replace(answer, text=source), left


def _lacks(source: str, header: Header | None) -> set[str]:
    given = header.words if header is not None else frozenset()
    tokens = tree_tokens(source, given) or ()
    return {token[1:] for token in tokens if token[:1] == "?"}


def _is_python(answer: Answer) -> bool:
    return answer.kind is Kind.CODE and answer.sound and not answer.language
