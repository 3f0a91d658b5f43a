"""Statistics of the measures: intervals for a proportion and a difference, best possible pick."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

Z_95 = 1.959963984540054


def wilson(passes: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval for a proportion (95% by default), as (low, high) within 0..1.

    Raises ValueError unless 0 <= passes <= total and total > 0. Source: Wilson 1927, JASA 22:209.
    """
    if total <= 0 or not 0 <= passes <= total:
        raise ValueError(f"not a proportion: {passes} of {total}")
    p = passes / total
    scale = 1 + z * z / total
    centre = (p + z * z / (2 * total)) / scale
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / scale
    low = 0.0 if passes == 0 else max(0.0, centre - half)
    high = 1.0 if passes == total else min(1.0, centre + half)
    return low, high


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


def pass_at_k(samples: int, passes: int, k: int) -> float:
    """Chance that the best possible pick among k of `samples` answers passes (0..1).

    The unbiased estimate 1 - C(samples - passes, k) / C(samples, k), with `passes` of the samples
    passing; with k == samples this is 1 if any passes. Raises ValueError unless
    0 <= passes <= samples and 1 <= k <= samples. Source: Chen et al. 2021, arXiv:2107.03374.
    """
    if not 0 <= passes <= samples or not 1 <= k <= samples:
        raise ValueError(f"no pass@{k} of {passes} in {samples}")
    return 1.0 - math.comb(samples - passes, k) / math.comb(samples, k)
