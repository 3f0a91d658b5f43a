"""One value: text to a value of the right type, the check against its type, and what is allowed.

Pure. A value from TOML has a type already; one from the environment or a flag may be text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from local_swarm.config.settings import Setting, parts

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


class BadValue(ValueError):
    """A value is not what its setting allows; the text says what is."""


def checked(setting: Setting, value: object) -> object:
    """The value in its setting's type (a list becomes a tuple, `600` a float); or `BadValue`."""
    try:
        result: object = msgspec.convert(value, setting.type)
    except msgspec.ValidationError:
        raise BadValue(allowed(setting)) from None
    if isinstance(result, float) and not math.isfinite(result):
        raise BadValue(allowed(setting))
    return result


def parsed(setting: Setting, text: str) -> object:
    """What `text` means for this setting; the text itself where it means nothing (a check follows).

    >>> parsed(SETTINGS["swarm.voters"], "5")
    5
    """
    kinds = [kind for kind, _ in parts(setting.type)]
    if any(get_origin(kind) is Literal and text in get_args(kind) for kind in kinds):
        return text
    for kind in kinds:
        reader = _READERS.get(get_origin(kind) or kind)
        if reader is _items and parts(get_args(kind)[0])[0][0] is float:
            reader = _numbers
        if reader is not None:
            try:
                return reader(text)
            except ValueError:
                continue
    return text


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(text)


def _items(text: str) -> list[object]:
    """`a, b` or an array as TOML and JSON write it."""
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    document: dict[str, Any] = msgspec.toml.decode(f"list = {text}")
    if set(document) != {"list"}:
        raise ValueError(text)
    items: list[object] = document["list"]
    return items


def _numbers(text: str) -> list[object]:
    return [float(item) if isinstance(item, str) else item for item in _items(text)]


_READERS: Mapping[Any, Callable[[str], object]] = {
    bool: _boolean,
    int: int,
    float: float,
    tuple: _items,
}


def allowed(setting: Setting) -> str:
    """What the setting takes, for people: `a whole number from 1 to 32, or "auto"`."""
    return ", or ".join(_describe(kind, metas) for kind, metas in parts(setting.type))


def _describe(kind: Any, metas: tuple[Meta, ...]) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f'"{choice}"' for choice in get_args(kind))
    if get_origin(kind) is tuple:
        ((inside, rules),) = parts(get_args(kind)[0])
        if inside is float:
            return f"a list of numbers, each{_range(rules)}"
        return f"a list of texts{_text_rule(rules, 'each ')}"
    if kind is bool:
        return "true or false"
    if kind is str:
        return f"text{_text_rule(metas, '')}"
    noun = "a whole number" if kind is int else "a number"
    return f"{noun}{_range(metas)}"


def _text_rule(metas: tuple[Meta, ...], each: str) -> str:
    if any(meta.pattern for meta in metas):
        return f", {each}of ASCII letters, digits and signs without spaces"
    return f", {each}not empty" if any(meta.min_length for meta in metas) else ""


def _range(metas: tuple[Meta, ...]) -> str:
    low = next((meta.ge for meta in metas if meta.ge is not None), None)
    above = next((meta.gt for meta in metas if meta.gt is not None), None)
    high = next((meta.le for meta in metas if meta.le is not None), None)
    if above is not None:
        return f" above {above}" + ("" if high is None else f" and up to {high}")
    if low is None:
        return ""
    return f" of {low} or more" if high is None else f" from {low} to {high}"
