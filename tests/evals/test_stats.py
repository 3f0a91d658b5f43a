"""Intervals and best possible pick, against figures from the literature and by law."""

from __future__ import annotations

import pytest

from local_swarm.evals.stats import paired_bootstrap


def test_bootstrap_of_a_constant_difference_is_that_difference() -> None:
    first, second = [0.0, 1.0, 0.5] * 5, [0.25, 1.25, 0.75] * 5
    assert paired_bootstrap(first, second, seed=1) == (0.25, 0.25, 0.25)


def test_bootstrap_is_the_same_from_the_same_seed() -> None:
    first, second = [0, 1, 0, 1, 0, 0, 1, 0] * 6, [1, 1, 0, 1, 1, 0, 0, 1] * 6
    result = paired_bootstrap(first, second, seed=1)
    assert result == paired_bootstrap(first, second, seed=1)
    difference, low, high = result
    assert difference == pytest.approx(0.25)
    assert low < difference < high
    # Normal approximation: 0.25 +- 1.96 * sqrt(0.4375 / 48).
    assert (low, high) == pytest.approx((0.063, 0.437), abs=0.05)


def test_bootstrap_turns_around_with_its_arguments() -> None:
    first, second = [0.0, 0.3, 0.9, 0.4], [0.5, 0.1, 1.0, 0.8]
    difference, low, high = paired_bootstrap(first, second, seed=3)
    assert paired_bootstrap(second, first, seed=3) == pytest.approx((-difference, -high, -low))


def test_bootstrap_refuses_unpaired_or_empty() -> None:
    with pytest.raises(ValueError, match="equally long"):
        paired_bootstrap([1.0], [1.0, 2.0], seed=1)
    with pytest.raises(ValueError, match="equally long"):
        paired_bootstrap([], [], seed=1)
    with pytest.raises(ValueError, match="resample"):
        paired_bootstrap([1.0], [1.0], seed=1, resamples=0)
