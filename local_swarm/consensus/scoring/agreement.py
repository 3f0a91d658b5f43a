"""How far two answers that are data agree, argument by argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeVar

from local_swarm.consensus.forms.canonical import Part
from local_swarm.consensus.forms.normalise import NormalForm

MAX_COMPARED = 16_384
"""So many characters of long strings are compared for one pair of answers, 4096 of one string."""

_MAX_STRING = 4_096
_LONG = 24
"""Shorter strings and those of one word (names, paths) are equal or not, longer ones are alike."""

_ALMOST = 0.99
_UNLIKE = 0.5
"""As alike as any two texts of one language are: they agree in nothing."""

_Sequence = TypeVar("_Sequence", str, tuple[str, ...])


def known_fields(every: Sequence[Sequence[Part]]) -> dict[str, Set[str]]:
    """All arguments that any of the answers gives, by function."""
    fields: dict[str, set[str]] = {}
    for part in (part for parts in every for part in parts):
        given = part.value if isinstance(part.value, dict) else ()
        fields.setdefault(part.name, set()).update(given)
    return dict(fields)


def agreement(one: Sequence[Part], other: Sequence[Part], fields: Mapping[str, Set[str]]) -> float:
    """In how much of what they say two answers agree, 0 to 1, 1 for the same: the mean over their
    calls of the share of `fields` (arguments that either might give) in which they do. Symmetric;
    time is bounded."""
    most = max(len(one), len(other))
    alike = _Alike(fields)
    total = 0.0
    for name in sorted({part.name for part in one} & {part.name for part in other}):
        total += alike.calls(
            [p for p in one if p.name == name], [p for p in other if p.name == name]
        )
    return total / most if most else 1.0


@dataclass(slots=True)
class _Alike:
    """One comparison. `left`: characters that may still be compared."""

    fields: Mapping[str, Set[str]]
    left: int = MAX_COMPARED

    def calls(self, one: Sequence[Part], other: Sequence[Part]) -> float:
        """Equal calls agree; of the rest, each in the order of their keys, one with one."""
        first, second = Counter(part.key for part in one), Counter(part.key for part in other)
        equal = (first & second).total()
        rest = zip(_without(one, second), _without(other, first), strict=False)
        return equal + sum(self._call(a, b) for a, b in rest)

    def _call(self, one: Part, other: Part) -> float:
        if not isinstance(one.value, dict) or not isinstance(other.value, dict):
            return self._values(one.value, other.value)
        return self._members(one.value, other.value, self.fields[one.name])

    def _members(self, one: dict[str, Any], other: dict[str, Any], names: Set[str]) -> float:
        if not names:
            return 1.0
        total = 0.0
        for name in sorted(names):
            if name in one and name in other:
                total += self._values(one[name], other[name])
            else:
                total += name not in one and name not in other
        return total / len(names)

    def _values(self, one: Any, other: Any) -> float:
        if isinstance(one, dict) and isinstance(other, dict):
            return self._members(one, other, one.keys() | other.keys())
        if isinstance(one, list) and isinstance(other, list):
            most = max(len(one), len(other))
            pairs = zip(one, other, strict=False)
            return sum(self._values(a, b) for a, b in pairs) / most if most else 1.0
        if isinstance(one, (str, NormalForm)) and isinstance(other, (str, NormalForm)):
            return self._strings(one, other)
        return float(type(one) is type(other) and one == other)

    def _strings(self, one: str | NormalForm, other: str | NormalForm) -> float:
        if _said(one) == _said(other):
            return 1.0
        trees = _tokens(one), _tokens(other)
        if all(trees):
            return self._share(*trees)
        first, second = _text(one), _text(other)
        is_long = max(len(first), len(second)) >= _LONG
        if not is_long or not any(map(str.isspace, first + second)):
            return 0.0
        return self._share(first, second)

    def _share(self, one: _Sequence, other: _Sequence) -> float:
        """How far above what any two texts share, short of being the same."""
        from rapidfuzz.distance import Indel

        one, other = _capped(one), _capped(other)
        self.left -= max(len(one), len(other))
        if self.left < 0:
            return 0.0
        alike = Indel.normalized_similarity(one, other)
        return min(_ALMOST, max(0.0, (alike - _UNLIKE) / (1.0 - _UNLIKE)))


def _without(parts: Sequence[Part], equal: Counter[str]) -> list[Part]:
    """The parts but for those that the other answer has too."""
    left, found = Counter(equal), []
    for part in parts:
        if left[part.key] > 0:
            left[part.key] -= 1
        else:
            found.append(part)
    return found


def _said(value: str | NormalForm) -> str | tuple[str, str]:
    return value if isinstance(value, str) else ("program", value.key)


def _text(value: str | NormalForm) -> str:
    return value if isinstance(value, str) else value.text


def _tokens(value: str | NormalForm) -> tuple[str, ...]:
    return () if isinstance(value, str) else value.tokens


def _capped(text: _Sequence) -> _Sequence:
    half = _MAX_STRING // 2
    return text if len(text) <= _MAX_STRING else text[:half] + text[-half:]
