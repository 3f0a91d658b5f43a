"""Intervals and best possible pick, against figures from the literature and by law."""

from __future__ import annotations

import itertools

import pytest

from local_swarm.evals.stats import paired_bootstrap, pass_at_k, wilson


def test_wilson_gives_the_published_interval() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 and 15 of 148.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


def test_wilson_stays_within_zero_and_one() -> None:
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 1)[1] == 1.0
    for total in range(1, 30):
        for passes in range(total + 1):
            low, high = wilson(passes, total)
            assert 0.0 <= low <= passes / total <= high <= 1.0


@pytest.mark.parametrize(("passes", "total"), [(0, 0), (-1, 3), (4, 3), (0, -1)])
def test_wilson_refuses_what_is_no_proportion(passes: int, total: int) -> None:
    with pytest.raises(ValueError, match="proportion"):
        wilson(passes, total)


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


def test_pass_at_k_is_the_share_of_picks_that_hold_a_pass() -> None:
    for samples, passes, k in [(5, 2, 1), (5, 2, 2), (6, 1, 4), (4, 4, 2), (4, 0, 3)]:
        marks = [True] * passes + [False] * (samples - passes)
        picks = list(itertools.combinations(marks, k))
        share = sum(any(pick) for pick in picks) / len(picks)
        assert pass_at_k(samples, passes, k) == pytest.approx(share)


@pytest.mark.parametrize(("samples", "passes", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 0), (3, 1, 4)])
def test_pass_at_k_refuses_impossible_counts(samples: int, passes: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(samples, passes, k)
