"""Make a whole Python program of what a model wrote, where little is missing.

Small models answer with the body alone, lose the indentation of the first line, or talk before
and after the code. Every repair is judged by the compiler; one that it rejects is not made.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from local_swarm.consensus import syntax

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


@dataclass(frozen=True, slots=True)
class Header:
    """The function that the prompt asks to complete: its name and its `def` line(s)."""

    name: str
    source: str

    @property
    def words(self) -> frozenset[str]:
        """Names that are there where the function goes: the prompt itself uses them."""
        return frozenset(re.findall(r"\w+", self.source))


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


def whole_program(text: str, header: Header | None) -> str | None:
    """Python that compiles, made of `text`, or None.

    With a header, text that does not define the asked function is tried as its body first: most
    bodies also compile alone, where they mean nothing.
    """
    plain = textwrap.dedent(text.strip("\n")).rstrip()
    if not plain.strip():
        return None
    compiles = syntax.compile_source(plain).ok
    if compiles and (header is None or syntax.defines(plain, header.name) or _only_defines(plain)):
        return plain
    if header is not None and (body := _as_body(text, header)):
        return body
    return plain if compiles else _without_prose(plain)


def _only_defines(source: str) -> bool:
    lines = source.split("\n")
    return syntax.defines_something(source) and all(_OUTERMOST.match(line) for line in lines)


def _as_body(text: str, header: Header) -> str | None:
    for body in _body_layouts(text):
        program = f"{header.source}\n{_indent(body)}"
        if syntax.compile_source(program).ok:
            return program
    return None


def _indent(body: str) -> str:
    """Not `textwrap.indent`: that takes a form feed inside of a string for the end of a line."""
    return "\n".join(f"    {line}" if line.strip() else line for line in body.split("\n"))


def _body_layouts(text: str) -> tuple[str, ...]:
    """The body as it stands, and with the first line's indentation given back."""
    lines = text.strip("\n").rstrip().split("\n")
    plain = textwrap.dedent("\n".join(lines))
    rest = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    if not rest or min(rest) == 0 or lines[0][:1].isspace():
        return (plain,)
    first_restored = " " * min(rest) + lines[0]
    return (plain, textwrap.dedent("\n".join([first_restored, *lines[1:]])))


def _without_prose(text: str) -> str | None:
    """The code between two pieces of talk: from the first line that opens code, cut where the
    compiler stops, as long as it stops at a line of prose. Broken code is not cut to fit."""
    lines = text.split("\n")
    start = next((at for at, line in enumerate(lines) if _OPENS_CODE.match(line)), None)
    if start is None:
        return None
    kept = lines[start:]
    for _ in range(_MAX_CUTS):
        source = "\n".join(kept).rstrip()
        outcome = syntax.compile_source(source)
        if outcome.ok:
            return source if syntax.defines_something(source) else None
        kept = _cut(kept, outcome.error_line)
        if not kept:
            return None
    return None


def _cut(lines: list[str], error_line: int | None) -> list[str]:
    if error_line is None:
        return []
    at = min(error_line, len(lines)) - 1
    while at > 0 and (not lines[at].strip() or lines[at][0].isspace()):
        at -= 1
    is_prose = at > 0 and not looks_like_code(lines[at]) and not _OUTERMOST.match(lines[at])
    return lines[:at] if is_prose else []
