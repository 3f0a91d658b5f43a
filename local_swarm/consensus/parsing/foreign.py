"""Code that is not Python: which language it is in, and whether it is whole."""

from __future__ import annotations

import re
from functools import lru_cache

from local_swarm.consensus.parsing import grammars, languages
from local_swarm.consensus.parsing.grammars import Parsed
from local_swarm.consensus.reading.answer import Answer, Kind

_PYTHON = re.compile(
    r"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+\w+[ \t]*\([^\n]*|class[ \t]+\w+[^\n{]*|elif\b[^\n]*)"
    r":[ \t]*$",
    re.MULTILINE,
)
_LOOKS_LIKE_CODE = re.compile(
    r"[;{})]$|^[ \t]*(?:#!|#include|\$ |<[!?h])"
    r"|^[ \t]*(?:end|fi|done|with|select|insert|create|update|delete|alter)\b",
    re.MULTILINE | re.IGNORECASE,
)
"""Prose has few such lines, and is read by nothing slow."""
_MAX_GUESSES = 3
_PART = 3
_MAX_LINES = 400
_LAST_LINE = re.compile(r"[});>][ \t]*$|^[ \t]+\S|^(?:end|fi|done|esac)[ \t]*$")
_AROUND = {
    **dict.fromkeys(("c", "cpp"), (("void f() {\n", "\n}"),)),
    "go": (("package p\nfunc f() {\n", "\n}"),),
    "rust": (("fn f() {\n", "\n}"),),
    "java": (("class C {\n", "\n}"), ("class C { void f() {\n", "\n} }")),
    **dict.fromkeys(("javascript", "typescript"), (("class C {\n", "\n}"),)),
}
"""What a part of a program may stand in: agents show a method, or the body of a function."""


@lru_cache(maxsize=64)
def parsed(source: str, language: str) -> Parsed | None:
    """What its grammar says of a program, or of a part of one; None where there is no grammar. What
    was asked last is remembered: it is asked once to read an answer, and once to compare it."""
    whole = grammars.parse(source, language)
    if whole is None or whole.sound:
        return whole
    for before, after in _AROUND.get(language, ()):
        part = grammars.parse(f"{before}{source}{after}", language)
        if part is not None and part.sound:
            return part
    return whole


def program(source: str, language: str) -> Answer:
    """The answer that code in this language is."""
    outcome = parsed(source, language)
    return Answer(Kind.CODE, source.strip("\n"), outcome is None or outcome.sound, language)


def recognised(source: str, least: int = 1) -> Answer | None:
    """Code whose language its tag does not say, or says wrongly. At least so many different cues
    must speak for the language; of several the first whose grammar takes the code."""
    if _PYTHON.search(source):
        return None
    likely = [language for language, count in languages.guesses(source) if count >= least]
    answers = [program(source, language) for language in likely[:_MAX_GUESSES]]
    judged = [answer for answer in answers if answer.sound and grammars.knows(answer.language)]
    return next(iter([*judged, *answers]), None)


def in_talk(text: str) -> Answer | None:
    """Code of another language with talk before and after it, but no fence. One cue is enough only
    where a grammar takes the code, and that is no small part of the text."""
    if not _LOOKS_LIKE_CODE.search(text) or recognised(text) is None:
        return None
    body = text.strip("\n")
    lines = body.split("\n")
    signs = [at for at, line in enumerate(lines[:_MAX_LINES]) if languages.guesses(line)]
    first = languages.first_sign(body)
    if not signs or first is None:
        return recognised(text, least=2)
    start = body.count("\n", 0, first)
    ends = [at for at, line in enumerate(lines) if _LAST_LINE.search(line)]
    code = "\n".join(lines[start : max([*ends, signs[-1]]) + 1])
    answer = recognised(code)
    if answer is None or (answer.sound and grammars.knows(answer.language)):
        return answer if answer is not None and _PART * len(code) >= len(text) else None
    return recognised(code, least=2)
