"""Arguments that go together in one call."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from local_swarm.consensus.execution.inputs import shapes
from local_swarm.consensus.execution.inputs.near import near
from local_swarm.consensus.execution.inputs.pool import Pool
from local_swarm.consensus.execution.inputs.shapes import Shape

Arguments = tuple[Any, ...]


def nearby(given: Sequence[Arguments], rng: random.Random) -> list[Arguments]:
    """One argument changed, or taken from another example."""
    found: list[list[Arguments]] = []
    for arguments in given[:6]:
        row: list[Arguments] = []
        for at, value in enumerate(arguments):
            others = [other[at] for other in given if len(other) == len(arguments)]
            for made in [*near(value, rng), *others[:3]]:
                row.append((*arguments[:at], made, *arguments[at + 1 :]))
        rng.shuffle(row)
        found.append(row)
    return [one for row in zip_longest(*found) for one in row if one is not None]


def generated(combination: tuple[Shape, ...], pool: Pool, count: int) -> list[Arguments]:
    columns = [pool.values(shape, count) for shape in combination]
    if len(columns) == 1:
        return [(value,) for value in columns[0]]
    rows = []
    for at in range(count):
        row = [column[at * (2 * place + 1) % len(column)] for place, column in enumerate(columns)]
        rows.append(tuple(_related(row, at, pool.rng)))
    return rows


def with_fractions(rows: Sequence[Arguments]) -> list[Arguments]:
    """Every eighth row of nothing but integers with one of them a fraction: what is called a number
    may be one."""
    return [
        (*row[:-1], row[-1] + 0.5) if at % 8 == 5 and all(type(one) is int for one in row) else row
        for at, row in enumerate(rows)
    ]


def _related(row: list[Any], at: int, rng: random.Random) -> list[Any]:
    """Arguments of one call often have to do with each other: a part of the other, its element, a
    place in it, one as long as it. Every second row is made so."""
    first, second = row[0], row[1]
    if at % 2 == 0:
        return row
    if all(type(value) in (int, float) for value in row):
        return _numbers_related(row, at)
    if not isinstance(first, (str, list)) or not first:
        return row
    if isinstance(second, int) and not isinstance(second, bool) and isinstance(first, (str, list)):
        inside = isinstance(first, list) and isinstance(first[0], int) and at % 4 == 3
        row[1] = rng.choice(first) if inside else rng.randint(1, len(first))
    elif isinstance(second, str) and isinstance(first, str):
        row[1] = _text_related(first, at, rng)
    elif isinstance(second, str) and isinstance(first[0], str):
        row[1] = first[0][:2] or second
    elif isinstance(second, list) and isinstance(first, list):
        row[1] = _matched(first, second, at, rng)
    return row


def _text_related(text: str, at: int, rng: random.Random) -> str:
    """A part of it, or the same letters in another order or number."""
    if at % 4 == 1:
        start = rng.randrange(len(text))
        return text[start : start + rng.randint(1, 3)]
    mixed = "".join(rng.sample(text, len(text)))
    return (mixed, mixed + mixed[0], text[::-1], mixed + "q", text)[at // 4 % 5]


def _numbers_related(row: list[Any], at: int) -> list[Any]:
    """The last the sum of the others, all the same, or two of them exchanged."""
    if len(row) > 2 and at % 4 == 1:
        return [*row[:-1], sum(row[:-1])]
    return [row[0]] * len(row) if at % 8 == 3 else row[::-1]


def _matched(first: list[Any], second: list[Any], at: int, rng: random.Random) -> list[Any]:
    """A list beside another: the same mixed, or partly so; else as long, or longer by one."""
    if shapes.of(first) == shapes.of(second) and at % 4 == 1:
        mixed = rng.sample(first, len(first))
        return mixed if at % 8 == 1 else (mixed[: len(first) // 2] + second)[: len(first)]
    size = len(first) + (at % 8 == 3)
    return (second * size)[:size] if second else second
