from __future__ import annotations

import pytest

from local_swarm.consensus.ballot import Standing
from local_swarm.consensus.outcome import confidence


def test_confidence_grows_with_agreement() -> None:
    for total in range(1, 33):
        values = [confidence(agreeing, total) for agreeing in range(1, total + 1)]
        assert values == sorted(values)
        assert all(0 < value < 1 for value in values)


def test_confidence_at_full_agreement_grows_with_voters() -> None:
    values = [confidence(total, total) for total in range(1, 33)]
    assert values == sorted(values)


@pytest.mark.parametrize(("agreeing", "measured"), [(8, 0.95), (4, 0.61)])
def test_confidence_of_eight_is_what_was_measured(agreeing: int, measured: float) -> None:
    assert confidence(agreeing, 8) == pytest.approx(measured, abs=0.01)


def test_a_broken_winner_is_trusted_less_and_an_empty_one_not_at_all() -> None:
    assert confidence(3, 3, Standing.BROKEN) < confidence(1, 3) * 2
    assert confidence(3, 3, Standing.BROKEN) < confidence(3, 3)
    assert confidence(3, 3, Standing.EMPTY) == 0
