"""The words of code in a language without a grammar at hand: strings, numbers, names, operators.

Comments are left out. It knows a few families of languages, no more: what comes out is compared.
"""

from __future__ import annotations

import re

_HASH = frozenset(
    (
        *("bash", "ruby", "perl", "r", "yaml", "toml", "make", "dockerfile", "elixir", "fish"),
        *("powershell", "julia", "cmake", "ini", "properties", "python", "awk", "nim"),
    )
)
_DASHES = frozenset(("sql", "haskell", "lua", "elm", "ada"))
_MARKUP = frozenset(("html", "xml", "svg", "vue", "markdown", "md"))
_REST = (
    r"(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)"
    r"|(?P<word>[^\W\d]\w*|\.?\d[\w.]*)"
    r"|(?P<operator><<=|>>=|\.\.\.|===|!==|\*\*=|->|=>|::|:=|[-+*/%&|^!=<>]=|&&|\|\||<<|>>|\+\+|--"
    r"|\*\*|[^\s\w])"
)
_C_COMMENT = r"//[^\n]*|/\*.*?(?:\*/|\Z)"


def _pattern(comment: str) -> re.Pattern[str]:
    return re.compile(f"(?P<comment>{comment})|{_REST}", re.DOTALL)


_C = _pattern(_C_COMMENT)
_BY_HASH = _pattern(r"(?:(?<=\s)|\A)\#[^\n]*")
_BY_DASHES = _pattern(r"--[^\n]*|/\*.*?(?:\*/|\Z)")
_BY_MARKUP = _pattern(r"<!--.*?(?:-->|\Z)")


def words(text: str, language: str) -> tuple[str, ...]:
    """The tokens of it, comments left out, in order. Takes linear time; total."""
    found = (match for match in _family(language).finditer(text) if match.lastgroup != "comment")
    tokens = (match.group() for match in found)
    return tuple(map(str.casefold, tokens) if language == "sql" else tokens)


def _family(language: str) -> re.Pattern[str]:
    if language in _HASH:
        return _BY_HASH
    if language in _DASHES:
        return _BY_DASHES
    return _BY_MARKUP if language in _MARKUP else _C
