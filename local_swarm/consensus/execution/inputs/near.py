"""Values like one that is known to be right: edges, sizes, signs, order, case."""

from __future__ import annotations

import random
from typing import Any

_LARGE = 1_000
"""No larger numbers are made: programs count up to them."""


def near(value: Any, rng: random.Random) -> list[Any]:
    """A few, all of the same type. The value itself is not changed."""
    if isinstance(value, bool) or value is None:
        return [not value] if value is not None else []
    if isinstance(value, int):
        if abs(value) > _LARGE:
            return [value // 2, value // 10, value + 1]
        return [value + 1, value - 1, value * 2, value // 2, value + rng.randint(2, 9)]
    if isinstance(value, float):
        return [value + 1, value / 2, round(value * 1.7, 2)]
    if isinstance(value, str):
        return _near_text(value, rng)
    if isinstance(value, (list, tuple)):
        return [type(value)(made) for made in _near_list(list(value), rng)]
    if isinstance(value, dict) and value:
        keys = list(value)
        return [{k: value[k] for k in keys[1:]}, {k: value[k] for k in keys[:1]}]
    return []


def _near_text(text: str, rng: random.Random) -> list[str]:
    if not text:
        return ["a", "ab ba"]
    at = rng.randrange(len(text))
    shuffled = rng.sample(text, len(text))
    return [
        *("".join(shuffled), text[: max(1, len(text) // 2)], text[::-1], text.swapcase()),
        *(text + text[0], text[:at] + text[at + 1 :], text[len(text) // 2 :]),
        text[:at] + rng.choice(text) + text[at + 1 :],
    ]


def _near_list(items: list[Any], rng: random.Random) -> list[list[Any]]:
    if not items:
        return []
    at = rng.randrange(len(items))
    changed = [_another(item, rng) for item in items]
    return [
        *(rng.sample(items, len(items)), changed, items[:-1], items[::-1]),
        *([*items, items[0]], items[:1], items[:at] + changed[at : at + 1] + items[at + 1 :]),
    ]


def _another(item: Any, rng: random.Random) -> Any:
    made = near(item, rng)
    return rng.choice(made) if made else item
