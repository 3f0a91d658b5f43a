"""What a prompt's words and names say about the values that a function takes: weak, but general."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from local_swarm.consensus.execution.asked import Asked
from local_swarm.consensus.execution.inputs.shapes import ANY, BOOL, FLOAT, INT, STR, Shape, list_of

_ELEMENTS = {
    INT: r"integers?|ints?|numbers?|digits?|naturals?|primes?|indices|values",
    STR: r"strings?|words?|characters?|chars?|letters?|names?|texts?|sentences?",
    FLOAT: r"floats?|decimals?|reals?|floating[- ]point\s+numbers?",
    BOOL: r"booleans?|bools?",
}
_ATOMS = {
    FLOAT: r"floating[- ]point(?:\s+number)?|floats?|real\s+numbers?|doubles?",
    INT: r"integers?|ints?|numbers?|naturals?",
    STR: r"strings?|texts?|sentences?|words?|paragraph|characters?|str",
    BOOL: r"booleans?|bools?|flag",
    Shape("dict"): r"dictionar(?:y|ies)|dicts?|hash\s?maps?|mappings?",
    Shape("set"): r"sets?",
    Shape("tuple"): r"tuples?|pairs?",
    list_of(ANY): r"lists?|arrays?|sequences?|vectors?",
    list_of(
        list_of(INT)
    ): r"matri(?:x|ces)|grids?|(?:2|two)[- ]?d(?:imensional)?\b\s*\w*|nested\s+lists?",
}
_FEW = r"(?:[\w-]+\s+){0,3}?"
_LISTS = r"(?:lists?|arrays?|sequences?|collections?|vectors?)"
_PHRASES: tuple[tuple[re.Pattern[str], Shape], ...] = tuple(
    (re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), shape)
    for pattern, shape in (
        *(
            (rf"{_LISTS}\s+of\s+{_FEW}{_LISTS}\s+of\s+{_FEW}(?:{w})", list_of(list_of(s)))
            for s, w in _ELEMENTS.items()
        ),
        (rf"{_LISTS}\s+of\s+{_FEW}{_LISTS}", list_of(list_of(INT))),
        *(
            (
                rf"{_LISTS}\s+of\s+{_FEW}(?:tuples|pairs)\s+of\s+{_FEW}(?:{w})",
                list_of(Shape("tuple", (s, s))),
            )
            for s, w in _ELEMENTS.items()
        ),
        (rf"{_LISTS}\s+of\s+{_FEW}(?:tuples|pairs|intervals)", list_of(Shape("tuple", (INT, INT)))),
        (rf"{_LISTS}\s+of\s+{_FEW}dict\w*", list_of(Shape("dict", (STR, INT)))),
        *((rf"{_LISTS}\s+of\s+{_FEW}(?:{w})", list_of(s)) for s, w in _ELEMENTS.items()),
        *((rf"(?:{w})[- ]+{_LISTS}", list_of(s)) for s, w in _ELEMENTS.items()),
        *(
            (rf"(?:pairs?|tuples?)\s+of\s+{_FEW}(?:{w})", Shape("tuple", (s, s)))
            for s, w in _ELEMENTS.items()
        ),
        *((words, shape) for shape, words in _ATOMS.items()),
    )
)
_GIVEN = re.compile(
    r"\b(?:given|takes?|accepts?|receives?|input|parameter|passed|for\s+an?)\b", re.I
)
_SEVERAL = re.compile(r"\b(?:two|three|four|2|3|4|both)\s+(?:[\w-]+\s+)?\Z", re.IGNORECASE)
_NAMES: tuple[tuple[re.Pattern[str], Shape], ...] = tuple(
    (re.compile(rf"(?:{pattern})\Z", re.IGNORECASE), shape)
    for pattern, shape in (
        (
            r"(?:\w*_)?(?:strings|strs|words|names|texts|sentences|lines|tokens)",
            list_of(STR),
        ),
        (r"(?:\w*_)?(?:matrix|grid|board|mat|rows|table)", list_of(list_of(INT))),
        (
            r"(?:\w*_)?(?:lst|list|l|arr|array|nums|numbers|xs|ys|ints|integers|values|vals|items|elements|data|seq|sequence)\d?",
            list_of(INT),
        ),
        (
            r"(?:\w*_)?(?:s|st|str|string|txt|text|word|sentence|message|msg|name|sub|substring|pattern|prefix|suffix|char|letter|sep|key|date|time|url|path|line)\d?",
            STR,
        ),
        (r"(?:\w*_)?(?:d|dict|dictionary|mapping|map|counts)\d?", Shape("dict", (STR, INT))),
        (
            r"(?:\w*_)?(?:n|m|k|i|j|x|y|z|a|b|c|p|q|r|num|number|integer|int|val|value|count|size|length|len|limit|index|idx|target|start|end|low|high|base|year|age|capacity|total)\d?",
            INT,
        ),
        (r"(?:\w*_)?(?:threshold|ratio|rate|weight|price|eps|tolerance|epsilon)\d?", FLOAT),
        (r"(?:is|has|use|do)_\w+|flag\w*|reverse|verbose", BOOL),
    )
)


_ONE = r"non[- ]?empty|not empty|at least (?:one|1)|1\s*<=?\s*len"
_TWO = r"at least (?:two|2)|(?:two|2) or more|more than (?:one|1)"


@dataclass(frozen=True, slots=True)
class Manner:
    """What the values should be like, as far as the prompt says."""

    positive: bool = False
    natural: bool = False  # not negative
    least: int = 0  # items or characters
    ordered: bool = False
    unique: bool = False  # no item twice
    lower: bool = False
    letters: bool = False  # nothing else but spaces


def manner(prose: str) -> Manner:
    """Read off single words: right more often than not."""

    def says(pattern: str) -> bool:
        return re.search(rf"\b(?:{pattern})\b", prose, re.IGNORECASE) is not None

    signed = re.search(r"(?<!non)(?<!non-)(?<!non )negative", prose, re.IGNORECASE) is not None
    positive = r"positive|natural\s+numbers?|1\s*<=?\s*\w+|greater than (?:0|zero)"
    return Manner(
        positive=says(positive) and not signed,
        natural=says(r"non[- ]?negative|0\s*(?:<=?|≤)\s*\w+|n-?th|size|length n"),
        least=2 if says(_TWO) else int(says(_ONE)),
        ordered=says(r"(?:given|a|an|input)\s+sorted|(?:is|are|already)\s+sorted"),
        unique=says(r"(?:no|not\s+contain|without|not\s+have)\s+(?:any\s+)?duplicates?"),
        lower=says(r"lower-?\s?case\s+(?:letters|string|english|word|alphabet)"),
        letters=says(r"only\s+(?:\w+\s+)?(?:letters|alphabet\w*)|letters\s+only"),
    )


def by_words(prose: str, asked: Asked) -> Iterator[tuple[int, Shape, float]]:
    """Guesses: the place of a parameter, a shape, and a weight up to 3."""
    phrases = _phrases(prose)
    several = [shape for start, _, shape in phrases if _SEVERAL.search(prose, 0, start)]
    for at, parameter in enumerate(asked.parameters):
        near = [
            found
            for place in _mentions(prose, parameter.name)
            for found in _near(phrases, place, prose)
        ]
        for shape, weight in near[:4]:
            yield at, shape, weight
        if len(asked.parameters) > 1 and several:
            yield at, several[0], 2.0
    if len(asked.parameters) == 1 and phrases:
        given = _GIVEN.search(prose)
        behind = [
            shape for start, _, shape in phrases if given is not None and start > given.start()
        ]
        yield 0, phrases[0][2], 1.0
        if behind:
            yield 0, behind[0], 2.0


def _phrases(prose: str) -> list[tuple[int, int, Shape]]:
    """(start, end, shape) of what reads as a type, the longer reading of one place first."""
    found: list[tuple[int, int, Shape]] = []
    for pattern, shape in _PHRASES:
        for match in pattern.finditer(prose):
            if not any(s < match.end() and match.start() < e for s, e, _ in found):
                found.append((match.start(), match.end(), shape))
    return sorted(found, key=lambda one: one[0])


def _mentions(prose: str, name: str) -> list[tuple[int, int]]:
    marks = r"[`'\"(]" if name in ("a", "A", "I") else ""
    pattern = rf"(?<!\w){marks}{re.escape(name)}(?!\w)"
    return [match.span() for match in re.finditer(pattern, prose)][:4]


def _near(
    phrases: Sequence[tuple[int, int, Shape]], place: tuple[int, int], prose: str
) -> Iterator[tuple[Shape, float]]:
    for start, end, shape in phrases:
        before, after = place[0] - end, start - place[1]
        if 0 <= before <= 24 and "." not in prose[end : place[0]]:
            yield shape, 3.0 - before / 12
        elif 0 <= after <= 24 and "." not in prose[place[1] : start]:
            yield shape, 2.0 - after / 16


def by_name(name: str) -> Shape | None:
    """What a parameter of this name usually is."""
    return next((shape for pattern, shape in _NAMES if pattern.match(name)), None)
