"""Values as text, such that equal values have equal texts.

The grammar is Python's own, with these differences:
- items of dicts and members of sets are sorted by their texts; dict views are written as sets;
- what Python holds equal to its base (named tuples, counters, default and ordered dicts, int enums,
  strings of a subclass) is written as the base; bytearray as bytes, frozenset as set;
- -0.0 is 0.0; `nan`, `inf` and `-inf` stand bare; integers of more than 4096 bits are hexadecimal;
- 1, 1.0, True and Fraction(1, 1) keep their own texts, though Python holds them equal: a caller
  that wants these alike reads the text;
- anything else, iterators and generators among it, is `<ClassName>`: its text says nothing more;
- a text longer than asked is its beginning, `…` and the first 32 hex digits of its SHA-256.
"""

from __future__ import annotations

import datetime
import enum
import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

MOST_CHARS = 262_144
"""A text that would be longer is not written to its end."""

MOST_DEPTH = 40
_DIGEST_CHARS = 33
_MOST_NAME_CHARS = 100
_DECIMAL_BITS = 4096  # Python refuses to write very long decimals


class TooMuch(Exception):
    """The value is too large or too deep to be written."""


def canonical(value: object, most_chars: int) -> str:
    """The text of a value, no longer than `most_chars`. Raises TooMuch. May raise anything where
    the value's own code runs (`decimal` and `datetime` call that of their parts)."""
    text = _Writer().write(value, 0)
    if len(text) <= most_chars:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: most_chars - _DIGEST_CHARS]}…{digest[: _DIGEST_CHARS - 1]}"


def class_name(value: object) -> str:
    name = type.__dict__["__name__"].__get__(type(value))
    return str.__str__(name)[:_MOST_NAME_CHARS]


class _Writer:
    def __init__(self) -> None:
        self._left = MOST_CHARS

    def write(self, value: object, depth: int) -> str:
        if depth > MOST_DEPTH:
            raise TooMuch
        kind = type(value)
        for base, container in _CONTAINERS:
            if issubclass(kind, base):
                return container(self, value, depth + 1)
        text = _scalar(value)
        self._charge(len(text))
        return text

    def all(self, values: Iterable[object], depth: int) -> list[str]:
        return [self._item(value, depth) for value in values]

    def _item(self, value: object, depth: int) -> str:
        self._charge(2)
        return self.write(value, depth)

    def _charge(self, chars: int) -> None:
        self._left -= chars
        if self._left < 0:
            raise TooMuch


def _list(writer: _Writer, value: Any, depth: int) -> str:
    return f"[{', '.join(writer.all(list.__iter__(value), depth))}]"


def _tuple(writer: _Writer, value: Any, depth: int) -> str:
    items = writer.all(tuple.__iter__(value), depth)
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _dict(writer: _Writer, value: Any, depth: int) -> str:
    pairs = [": ".join(writer.all(pair, depth)) for pair in dict.items(value)]
    return f"{{{', '.join(sorted(pairs))}}}"


def _set(writer: _Writer, value: Any, depth: int) -> str:
    members = sorted(writer.all(type(value).__iter__(value), depth))
    return f"{{{', '.join(members)}}}" if members else "set()"


def _deque(writer: _Writer, value: Any, depth: int) -> str:
    return f"deque([{', '.join(writer.all(deque.__iter__(value), depth))}])"


_CONTAINERS: tuple[tuple[Any, Callable[[_Writer, Any, int], str]], ...] = (
    (list, _list),
    (tuple, _tuple),
    (dict, _dict),
    ((set, frozenset, type({}.keys()), type({}.items())), _set),
    (deque, _deque),
)


def _scalar(value: object) -> str:
    kind = type(value)
    for base, write in _SCALARS:
        if issubclass(kind, base):
            return write(value)
    return f"<{class_name(value)}>"


def _integer(value: Any) -> str:
    bits = int.bit_length(value)
    if bits > 4 * MOST_CHARS:
        raise TooMuch
    return int.__repr__(value) if bits <= _DECIMAL_BITS else int.__format__(value, "#x")


def _float(value: Any) -> str:
    return float.__repr__(float.__add__(value, 0.0))  # -0.0 + 0.0 is 0.0


def _complex(value: Any) -> str:
    return complex.__repr__(complex(value.real + 0.0, value.imag + 0.0))


def _string(value: Any) -> str:
    if str.__len__(value) > MOST_CHARS:
        raise TooMuch
    return str.__repr__(value)


def _bytes(value: Any) -> str:
    if len(value) > MOST_CHARS:
        raise TooMuch
    return bytes.__repr__(bytes(value))


def _range(value: Any) -> str:
    """Ranges are equal when they give the same numbers."""
    if len(value) < 2:
        return f"range({value[0]}, {value[0] + 1})" if value else "range(0, 0)"
    return repr(range(value[0], value[-1] + (1 if value.step > 0 else -1), value.step))


def _decimal(value: Any) -> str:
    if not Decimal.is_finite(value):
        return f"Decimal('{Decimal.__str__(value)}')"
    sign, digits, exponent = Decimal.as_tuple(value)
    text = "".join(map(str, digits))
    bare = text.rstrip("0")
    if not bare:
        return "Decimal('0')"
    assert isinstance(exponent, int)
    return f"Decimal('{'-' * sign}{bare.lstrip('0')}E{exponent + len(text) - len(bare)}')"


def _enum(value: Any) -> str:
    return f"<{class_name(value)}.{value._name_}>"


_SCALARS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (bool, bool.__repr__),
    (int, _integer),
    (float, _float),
    (str, _string),
    ((bytes, bytearray), _bytes),
    (type(None), repr),
    (complex, _complex),
    (range, _range),
    (Fraction, Fraction.__repr__),
    (Decimal, _decimal),
    (datetime.datetime, datetime.datetime.__repr__),
    (datetime.date, datetime.date.__repr__),
    (datetime.time, datetime.time.__repr__),
    (datetime.timedelta, datetime.timedelta.__repr__),
    (enum.Enum, _enum),
)
