"""The short answer that a text gives in the end: a number, a word, the letter of an option.

Only where that is clear; a number somewhere in prose is no answer.
"""

from __future__ import annotations

import re
from fractions import Fraction

MAX_CHARS = 60
MAX_WORDS = 3
_TAIL_CHARS = 600

_SAYS = re.compile(
    r"(?:^|[.!:*_ ])(?:so |thus |hence |therefore )?(?:the |my |our )?"
    r"(?:final |correct |right |best ){0,2}(?:answer|option|choice) ?"
    r"(?:is|was|:|=|\*\*:|:\*\*){1,2} ?"
    r"(?P<value>\S.*)",
    re.IGNORECASE,
)
_MARKED = re.compile(r"#### ?(?P<value>\S.*)")
_BOLD = re.compile(r"(?:\*\*|__)(?P<value>[^*_]+)(?:\*\*|__)[.!]?")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\{([^{}]*)\}")
_LATEX_FRACTION = re.compile(r"(-?)\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}")
_LATEX_NOISE = re.compile(r"\\[()\[\]!,;: ]|\\(?:left|right|displaystyle)\b|\$")
_OPTION = re.compile(r"(?:(?:option|choice|answer)\s+)?\(?([A-Za-z])\s*[).:]?", re.IGNORECASE)
_LETTER_FIRST = re.compile(r"\(?([A-Ja-j])[).:]\s+\S.*")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][-+]?\d{1,3})?(?:/\d+)?")
_WORDS = re.compile(r"[^\W_][\w'.,/%$€£°+-]*(?: [\w'.,/%$€£°+-]+){0,2}")


def final_answer(text: str) -> str | None:
    """What the text answers in the end, in the one spelling for all that mean the same; None where
    that is not clear."""
    if (boxed := _boxed(text)) is not None:
        return _value(boxed)
    line = text.strip().rpartition("\n")[2][-_TAIL_CHARS:]
    last = " ".join(line.split())
    if line == text.strip() and (value := _alone(last)) is not None:
        return value
    for pattern in (_MARKED, _BOLD):
        if match := pattern.fullmatch(last):
            inner = match.group("value")
            said = _SAYS.fullmatch(inner)
            return _clear(said.group("value") if said else inner)
    said = max(_SAYS.finditer(last), key=lambda match: match.start(), default=None)
    return _clear(said.group("value")) if said is not None else None


def _alone(line: str) -> str | None:
    """The whole text is the answer."""
    said = _SAYS.fullmatch(line)
    return _clear(said.group("value") if said else line)


def _boxed(text: str) -> str | None:
    """What is in the last `\\boxed{}`."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    for at in range(start + 6, min(len(text), start + 7 + MAX_CHARS)):
        depth += (text[at] == "{") - (text[at] == "}")
        if not depth:
            return text[start + 7 : at]
    return None


def _clear(value: str) -> str | None:
    """The value if it can only be one: a number, an option, a few words."""
    value = value.strip()
    if len(value) > MAX_CHARS or value.endswith((":", "?", ",")):
        return None
    if letter := _LETTER_FIRST.fullmatch(_stripped(value)):
        return letter.group(1).casefold()
    plain = _value(value)
    if plain is None or len(plain.split()) > MAX_WORDS:
        return None
    return plain if _rational(plain) is not None or _WORDS.fullmatch(plain) else None


def _value(value: str) -> str | None:
    plain = _stripped(value)
    if not plain:
        return None
    if (number := _rational(plain)) is not None:
        return str(number)
    option = _OPTION.fullmatch(plain)
    return (option.group(1) if option else " ".join(plain.split())).casefold()


def _stripped(value: str) -> str:
    value = _LATEX_FRACTION.sub(r"\1\2/\3", _LATEX_TEXT.sub(r"\1", value))
    value = _LATEX_NOISE.sub("", value).replace("\\%", "%").strip()
    while value[:1] in "*_`\"'" and value[:1] == value[-1:] and len(value) > 1:
        value = value[1:-1].strip()
    return value.strip("*_`\"' ").removesuffix(".").removesuffix("!").strip("*_`\"' ")


def _rational(text: str) -> Fraction | None:
    """1,000.0 is 1000, and 1/2 is 0.5."""
    if not any(map(str.isdigit, text)) or _NUMBER.fullmatch(text) is None or not text.isascii():
        return None
    try:
        return Fraction(text.replace(",", ""))
    except (ValueError, ZeroDivisionError):
        return None
