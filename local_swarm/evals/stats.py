"""Statistics of the measures: the interval of a difference, measured in pairs."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence


def paired_bootstrap(
    first: Sequence[float],
    second: Sequence[float],
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """(difference, low, high) of mean(second) - mean(first), the two measured on the same tasks.

    Tasks are drawn with replacement, pairs kept together; the interval holds the middle `level`
    of the resampled differences. The same seed gives the same interval. Raises ValueError for
    sequences of different length or none, or fewer than one resample.
    """
    if len(first) != len(second) or not first:
        raise ValueError("two equally long, non-empty sequences are needed")
    if resamples < 1 or not 0 < level < 1:
        raise ValueError("at least one resample and a level between 0 and 1 are needed")
    differences = [b - a for a, b in zip(first, second, strict=True)]
    size = len(differences)
    rng = random.Random(seed)
    means = sorted(math.fsum(rng.choices(differences, k=size)) / size for _ in range(resamples))
    tail = (1 - level) / 2
    low = means[math.floor(tail * (resamples - 1))]
    high = means[math.ceil((1 - tail) * (resamples - 1))]
    return math.fsum(differences) / size, low, high
