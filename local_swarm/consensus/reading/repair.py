"""Make a whole Python program of what a model wrote, where little is missing.

Small models answer with the body alone, lose the indentation of the first line, or talk before
and after the code. Every repair is judged by the compiler; one that it rejects is not made.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from local_swarm.consensus.parsing import syntax
from local_swarm.consensus.reading import layouts, wrappers

_HEADER = re.compile(r"^[ \t]*((?:async[ \t]+)?def[ \t]+(\w+)[ \t]*\()", re.MULTILINE)
_MAX_HEADER_CHARS = 2_000
_MAX_HEADERS = 8
_MAX_CUTS = 4
_OUTERMOST = re.compile(r"^(?:async[ \t]+def|def|class|import|from|@|#)\b|^[@#)\]}\s]|^$")
_OPENS_CODE = re.compile(
    r"^(?:(?:async[ \t]+def|def|class)[ \t]+\w+|import[ \t]+\w|from[ \t]+[\w.]+[ \t]+import\b|@\w)"
)
_STATEMENT = re.compile(
    r"""^[ \t]*(?:
        (?:return|yield|raise|assert|del|pass|break|continue|global|nonlocal)\b
      | (?:if|elif|for|while|with|try|else|except|finally|async|match)\b.*:
      | [A-Za-z_][\w.,\[\]'" \t]*(?:[-+*/%&|^@]|//|\*\*|<<|>>)?=[^=]
      | [A-Za-z_][\w.]*\(.*
    )""",
    re.VERBOSE | re.MULTILINE,
)
_KEYWORD = re.compile(r"(?:for|while|if|elif|else|try|except|finally|with|match|case)\b")
_SENTENCE = re.compile(r"[A-Za-z][\w'-]*,? [A-Za-z]")
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Header:
    """The function that the prompt asks to complete: its name and its `def` line(s)."""

    name: str
    source: str

    @property
    def words(self) -> frozenset[str]:
        """Names that are there where the function goes: the prompt itself uses them."""
        return frozenset(re.findall(r"\w+", self.source))


@dataclass(frozen=True, slots=True)
class Program:
    """`mended` says that more was missing than models usually leave out: marks around it were
    taken for none of it, a lost layout was guessed, or an unfinished end was left away."""

    source: str
    mended: bool = False


def find_header(prompt: str) -> Header | None:
    """The last function header in the prompt, or None. A header without an end is none."""
    matches = list(_HEADER.finditer(prompt))[-_MAX_HEADERS:]
    for match in reversed(matches):
        source = _up_to_colon(prompt, match.start(1), match.end(1))
        if source and syntax.compile_source(f"{source} pass").ok:
            return Header(match.group(2), source)
    return None


def _up_to_colon(prompt: str, start: int, inside: int) -> str:
    depth = 1
    for place in range(inside, min(len(prompt), inside + _MAX_HEADER_CHARS)):
        char = prompt[place]
        depth += (char in "([{") - (char in ")]}")
        if depth == 0 and char == ":":
            return prompt[start : place + 1]
    return ""


def looks_like_code(text: str) -> bool:
    """Whether a line of it reads as a Python statement: prose rarely does."""
    return syntax.defines_something(text) or _STATEMENT.search(text) is not None


def is_talk(line: str) -> bool:
    """Whether a line of text begins as a sentence does."""
    return _SENTENCE.match(line.lstrip()) is not None


def reads_as_code(text: str, header: Header | None) -> bool:
    """Whether it may be a program, or, where a function is asked for, an expression of what that
    is given; be it between quotation marks."""
    readings = [reading for reading, _ in _readings(text)]
    if any(map(looks_like_code, readings)):
        return True
    return header is not None and any(_is_expression(reading, header) for reading in readings)


def _is_expression(text: str, header: Header) -> bool:
    line = text.strip()
    parameters = set(_WORD.findall(header.source.partition("(")[2]))
    return (
        "\n" not in line
        and not parameters.isdisjoint(_WORD.findall(line))
        and re.search(r"[^\w.,]", line) is not None
        and syntax.compile_source(f"({line}\n)").ok
    )


def whole_program(text: str, header: Header | None) -> Program | None:
    """Python that compiles, made of `text`, or None.

    With a header, text that does not define the asked function is tried as its body: most bodies
    also compile alone, where they mean nothing.
    """
    for reading, is_inner in _readings(text):
        plain = textwrap.dedent(reading.strip("\n")).rstrip()
        if plain.strip() and (program := _program(plain, reading, header)) is not None:
            return Program(program.source, program.mended or is_inner)
    return None


def _readings(text: str) -> Iterator[tuple[str, bool]]:
    """The code in it, if something stands around every line or the whole of it; the text as it is;
    then what of it is indented, as code is in Markdown without fences. With each, whether the
    model's own text is more than a program with talk around it."""
    for unwrap in (wrappers.typed, wrappers.unnumbered, wrappers.unquoted, wrappers.untagged):
        inner = unwrap(text)
        if inner is not None:
            yield (inner, True)
    yield (text, False)
    if (inner := _indented(text)) is not None:
        yield (inner, False)


def _indented(text: str) -> str | None:
    """The one part of the text that is indented, if all that is not is prose around it."""
    lines = text.split("\n")
    inner = [at for at, line in enumerate(lines) if line[:1].isspace() and line.strip()]
    if not inner:
        return None
    part = slice(inner[0], inner[-1] + 1)
    if any(line[:1].strip() for line in lines[part]):
        return None
    around = [line for line in (*lines[: part.start], *lines[part.stop :]) if line.strip()]
    is_prose = all(is_talk(line) and _is_prose(line) for line in around)
    return "\n".join(lines[part]) if around and is_prose else None


def _program(plain: str, text: str, header: Header | None) -> Program | None:
    compiles = syntax.compile_source(plain).ok
    if header is None:
        if compiles:
            return Program(plain)
        return _mended(plain, None) or _without_prose(plain, None)
    if compiles and (syntax.defines(plain, header.name) or _only_defines(plain)):
        return Program(plain)
    is_written = layouts.opens(plain, header.name)
    if is_written and (found := _mended(plain, header) or _without_prose(plain, header)):
        return found
    if body := _as_body(text, header):
        return body
    return Program(plain) if compiles else _without_prose(plain, None)


def _only_defines(source: str) -> bool:
    lines = source.split("\n")
    return syntax.defines_something(source) and all(_OUTERMOST.match(line) for line in lines)


def _mended(plain: str, header: Header | None) -> Program | None:
    """With the layout put right that was lost."""
    name = header.name if header is not None else ""
    for source in layouts.of_program(plain, name):
        if syntax.compile_source(source).ok and _is_asked(source, header):
            return Program(source, mended=True)
    return None


def _is_asked(source: str, header: Header | None) -> bool:
    if header is None:
        return syntax.defines_something(source)
    return syntax.defines(source, header.name)


def _as_body(text: str, header: Header) -> Program | None:
    for body, rest in layouts.of_body(text):
        program = f"{header.source}\n{layouts.indent(body)}{rest}"
        if syntax.compile_source(program).ok:
            return Program(program)
    return None


def _without_prose(text: str, header: Header | None) -> Program | None:
    """The code between two pieces of talk: from the first line that opens code, cut where the
    compiler stops, as long as it stops at a line of prose, or behind the whole function that is
    asked for. Broken code is not cut to fit."""
    lines = text.split("\n")
    start = next((at for at, line in enumerate(lines) if _OPENS_CODE.match(line)), None)
    if start is None:
        return None
    kept, mended = lines[start:], False
    for _ in range(_MAX_CUTS):
        source = "\n".join(kept).rstrip()
        outcome = syntax.compile_source(source)
        if outcome.ok:
            return Program(source, mended) if _is_asked(source, header) else None
        at = _stop(kept, outcome.error_line)
        is_prose = _is_prose(kept[at]) and not _OUTERMOST.match(kept[at])
        if at == 0 or not (is_prose or header is not None):
            return None
        kept, mended = kept[:at], mended or not is_prose
    return None


def _is_prose(line: str) -> bool:
    """Whether it is neither code nor a statement that has lost its colon."""
    return not looks_like_code(line) and _KEYWORD.match(line) is None


def _stop(lines: list[str], error_line: int | None) -> int:
    """The first line of the outermost statement in which the compiler stopped."""
    at = min(error_line or 1, len(lines)) - 1
    while at > 0 and (not lines[at].strip() or lines[at][0].isspace()):
        at -= 1
    return at
