"""Small, different values of a shape, in an order in which the telling ones come early."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from local_swarm.consensus.execution.inputs.hints import Manner
from local_swarm.consensus.execution.inputs.shapes import ANY, INT, STR, Shape

_INTS = (
    *(3, 10, 7, 0, 1, 5, 12, -2, 25, 2, 4, 6, 17, -15, 9, 8, 30, 11, 13, 20),
    *(36, 50, 100, 123, 1000, -100),  # last: some right programs take exponential time
)
_FLOATS = (2.5, 1.0, 0.5, 3.75, -1.5, 0.0, 10.0, 0.1, 7.25, -0.25, 100.0, 4.999)
_STRINGS = (
    *("Hello World", "abc", "racecar", "", "a", "The quick brown fox", "aabbc", "Zebra", "abcba"),
    *("12", "hello, my friend!", "ABC", "a1B2 c3", "xyz xyz", "This is a test", "aaaa", "Ab"),
    *("  x y", "programming", "3.7", "it is, I", "bcd fgh"),
)
_WORDS = ("apple", "b", "cat", "", "Dog", "aa", "banana", "abc", "zz", "echo", "Fig", "12", "ab")
_SORTS: tuple[Any, ...] = (1, "a", 2.5, None, [], True, "xyz", -3, {}, 7)
_RANGES = ((1, 9), (-9, 9), (0, 30), (-50, 120), (1, 4), (0, 400), (-9, -1), (2, 3), (10, 99))
_CASES = (str, str.lower, str.upper, str, str.title)
_SIZES = (3, 5, 1, 0, 4, 6, 2, 8, 4, 3, 5, 7)


@dataclass(slots=True)
class Pool:
    """A source of values. `texts` and `numbers` are those that the prompt or the programs know:
    they are mixed in. `whole` are strings to be given as they are. The same seed gives the same
    values."""

    manner: Manner
    texts: Sequence[str] = ()
    whole: Sequence[str] = ()
    numbers: Sequence[int] = ()
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    def values(self, shape: Shape, count: int) -> list[Any]:
        """`count` values or fewer, none twice."""
        found: list[Any] = []
        for at in range(count * 2):
            value = self._one(shape, at)
            if len(found) < count and not any(_same(value, known) for known in found):
                found.append(value)
        return [value for value in found if self._bearable(value)] or found

    def _bearable(self, value: Any) -> bool:
        if isinstance(value, list):
            return len(value) >= self.manner.least
        return bool(value) or not self.manner.least or not isinstance(value, (str, dict))

    def _one(self, shape: Shape, at: int) -> Any:
        if shape.kind in ("list", "set", "tuple", "dict"):
            return self._container(shape, at)
        if shape.kind == "int":
            return self._int(at)
        if shape.kind == "float":
            return _FLOATS[at] if at < len(_FLOATS) else round(self.rng.uniform(-20, 20), 2)
        if shape.kind == "str":
            return self._text(at)
        if shape.kind == "bool":
            return at % 2 == 0
        return None if shape.kind == "none" else _SORTS[at % len(_SORTS)]

    def _int(self, at: int) -> int:
        known = [number for number in self.numbers if abs(number) <= 1_000][:3]
        edges = [edge for number in known for edge in (number, number - 1, number + 1)]
        plain = [*_INTS[:6], *known, *_INTS[6:12], *edges, *_INTS[12:]]
        value = plain[at] if at < len(plain) else self.rng.randint(-20, 99)
        if self.manner.positive and value <= 0:
            return abs(value) + 13
        return abs(value) if self.manner.natural else value

    def _text(self, at: int) -> str:
        """Every second one is made of texts that are known to matter."""
        known = bool(self.texts or self.whole)
        if not known or at % 2 == 1:
            text = _STRINGS[(at // 2 if known else at) % len(_STRINGS)]
        else:
            text = self._made(at // 2)
        if self.manner.letters:
            text = "".join(char for char in text if char.isalpha() or char == " ")
        return text.lower() if self.manner.lower else text

    def _made(self, at: int) -> str:
        """Of several known texts; words stand apart, single characters also side by side."""
        if at < len(self.whole):
            return self.whole[at]
        if not self.texts:
            return _STRINGS[at % len(_STRINGS)]
        words = any(len(text.strip()) > 1 for text in self.texts)
        separator = (" ", " ", "", " ", ", ")[at % 5] if words else ("", "", " ")[at % 3]
        count = (3, 4, 2, 6, 1, 5, 8)[at % 7]
        return separator.join(self.rng.choice(self.texts) for _ in range(count))[:80]

    def _container(self, shape: Shape, at: int) -> Any:
        if shape.kind == "tuple" and len(shape.parts) > 1:
            values = [self._element(part, at) for part in shape.parts]
            ordered = {part.kind for part in shape.parts} <= {"int", "float"}
            return tuple(sorted(values)) if ordered else tuple(values)
        size = max(_SIZES[at % len(_SIZES)], self.manner.least)
        if shape.kind == "dict":
            key, value = shape.parts if len(shape.parts) == 2 else (STR, INT)
            made = {_key(self._element(key, at)): self._element(value, at) for _ in range(size)}
            case = _CASES[at % len(_CASES)]
            return {case(k) if isinstance(k, str) else k: v for k, v in made.items()}
        element = shape.parts[0] if shape.parts else ANY
        members = self._members(element if element != ANY or at % 3 == 2 else INT, size, at)
        if shape.kind == "set":
            return set(map(_key, members))
        return tuple(members) if shape.kind == "tuple" else members

    def _members(self, element: Shape, size: int, at: int) -> list[Any]:
        members = [self._element(element, at) for _ in range(size)]
        if self.manner.unique:
            members = [one for place, one in enumerate(members) if one not in members[:place]]
        elif size > 2 and at % 3 == 1:
            members[-1] = members[0]
        if size and (self.manner.ordered or at == 5) and element.kind in ("int", "float", "str"):
            members.sort()
        return members

    def _element(self, shape: Shape, at: int) -> Any:
        """A random one, of a range that grows with `at`."""
        if shape.kind == "int":
            low, high = _RANGES[at % len(_RANGES)]
            if self.manner.positive or self.manner.natural:
                low, high = int(self.manner.positive), max(abs(low), high)
            return self.rng.randint(low, high)
        if shape.kind == "float":
            return self.rng.choice(_FLOATS)
        if shape.kind == "str":
            known = [text for text in self.texts if len(text) <= 12]
            from_known = bool(known) and self.rng.random() < (0.5, 1.0, 0.0)[at % 3]
            return self.rng.choice(known if from_known else _WORDS)
        return self._one(shape, self.rng.randrange(12))


def _key(value: Any) -> Any:
    """Something that can be a key: a list as a tuple."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_key, value))
    return 0 if isinstance(value, (dict, set)) else value


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)
