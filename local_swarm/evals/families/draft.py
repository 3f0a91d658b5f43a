"""What a task family hands over: one function, described and written, before it gets its name."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

INDENT = "    "


@dataclass(frozen=True, slots=True)
class Draft:
    """A function without a name.

    `key` names structure and constants (not the wording): held-out tasks are chosen by it.
    `steps` are third-person clauses, the last one beginning with "returns".
    `body` is the function's body, one line each, indented relative to the body.
    `inputs` are argument tuples that tell near misses (a constant off by one, `>` for `>=`) apart.
    """

    key: str
    params: tuple[str, ...]
    steps: tuple[str, ...]
    body: tuple[str, ...]
    inputs: tuple[tuple[object, ...], ...]


Builder = Callable[[random.Random], Draft]


def indent(lines: Iterable[str]) -> list[str]:
    """The same lines one level deeper."""
    return [INDENT + line for line in lines]


def under(header: str, lines: Iterable[str]) -> list[str]:
    """`header` with `lines` as its block."""
    return [header, *indent(lines)]


def pick(rng: random.Random, *options: T) -> T:
    """One of the options, each as likely."""
    return options[rng.randrange(len(options))]


def chance(rng: random.Random, probability: float) -> bool:
    """True with the given probability (0 to 1)."""
    return rng.random() < probability


def small(rng: random.Random) -> int:
    """A constant: 2 to 10."""
    return rng.randint(2, 10)


def int_lists(constants: Sequence[int]) -> tuple[list[int], ...]:
    """Integer lists (empty, single, boundary, random) that hit every constant and its neighbours.

    Drawn from the constants alone, so that better inputs never change which tasks a seed gives.
    """
    rng = random.Random(repr(sorted(constants)))
    edges = sorted({edge for c in constants for edge in (c - 1, c, c + 1)} | {-1, 0, 1, 2})
    shuffled = list(edges)
    rng.shuffle(shuffled)
    top = max([12, *constants])
    return (
        [],
        shuffled,
        edges,
        [rng.randint(-top, -1) for _ in range(4)],
        [rng.randint(1, 2 * top) for _ in range(7)],
        [rng.randint(-9, 9) for _ in range(6)] + [4, 4, 7, 7],
        [2 * top + 1, 2, 6, 9, 3 * top, 5, 8],
        # Places where neighbours differ by each edge, and one list longer than any constant.
        [sum(edges[:count]) for count in range(len(edges) + 1)],
        list(range(-3, top + 8)),
        # Alone, a value cannot hide behind the others of its list.
        *([edge] for edge in edges[-14:]),
    )


def ints(constants: Sequence[int]) -> tuple[int, ...]:
    """Single integers, zero and up, around every constant, for functions of one number."""
    rng = random.Random(repr(sorted(constants)))
    edges = {edge for c in constants for edge in (c - 1, c, c + 1)} | {0, 1, 2, 3, 7}
    edges |= {rng.randint(10, 120) for _ in range(6)}
    return tuple(sorted(edge for edge in edges if edge >= 0))
