"""What the words of a prompt ask for that shows in code: who is to sort must compare.

Each demand is met by any one of many ways to write it. One that is not met is a hint, not a fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass

_ORDER = ("Lt", "Gt", "LtE", "GtE")
_CHOICE = ("If", "IfExp", "comprehension", "And", "Or", "filter", "Compare", "Match")


@dataclass(frozen=True, slots=True)
class Demand:
    """`pattern` in a prompt wants one of `words` (see `shape.words`) in the program."""

    pattern: re.Pattern[str]
    words: frozenset[str]


def _demand(pattern: str, *words: str) -> Demand:
    return Demand(re.compile(pattern, re.IGNORECASE), frozenset(words))


_DEMANDS = (
    _demand(r"\bsort|\b(?:a|de)scending\b", "sorted", "sort", "heapq", "min", "max", *_ORDER),
    _demand(
        r"\bdescending\b|\bdecreasing order", "reverse=", "reversed", "reverse", "step", "USub"
    ),
    _demand(
        r"\bsort\w*\b[^.]{0,100}\b(?:by|based on|according to)\b", "key=", "Tuple", "cmp_to_key"
    ),
    _demand(r"\brevers|\bbackwards?\b|\bpalindrom", "reversed", "reverse", "step", "USub", "Sub"),
    _demand(
        r"\b(?:even|odd|divisib\w+|divisors?|multiples? of|remainders?|modulo|primes?)\b",
        *("Mod", "divmod", "gcd", "BitAnd", "step", "FloorDiv", "range"),
    ),
    _demand(r"\bdigits?\b", "str", "Mod", "isdigit", "isdecimal", "isnumeric", "divmod", "digits"),
    _demand(r"\bbinary\b", "bin", "format", "Mod", "BitAnd", "RShift", "FormattedValue"),
    _demand(r"\babsolute (?:value|difference)", "abs", "fabs", "USub", "Sub"),
    _demand(r"\bround(?:ed|s|ing)?\b", "round", "format", "Decimal", "ceil", "floor", "int"),
    _demand(r"\baverage\b|\bmean of\b|\bmedian\b", "Div", "FloorDiv", "mean", "fmean", "median"),
    _demand(r"\bfactorials?\b", "Mult", "factorial", "prod"),
    _demand(r"\bproduct of\b", "Mult", "prod", "reduce"),
    _demand(r"\bsum of\b", "sum", "Add", "reduce", "fsum", "accumulate"),
    _demand(r"(?-i:\bNone\b)", "None"),
    _demand(r"\bif\b|\botherwise\b|\bonly\b", *_CHOICE),
)


def of_prose(prose: str) -> tuple[Demand, ...]:
    """The demands of a prompt, its code and examples left out."""
    return tuple(demand for demand in _DEMANDS if demand.pattern.search(prose))


def unmet(demands: Sequence[Demand], words: Set[str]) -> int:
    return sum(demand.words.isdisjoint(words) for demand in demands)
