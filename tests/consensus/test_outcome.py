from __future__ import annotations

import pytest

from local_swarm.consensus.ballot import Standing
from local_swarm.consensus.scoring.confidence import by_agreement, of_program


def test_confidence_grows_with_agreement() -> None:
    for total in range(1, 33):
        for values in (
            [by_agreement(agreeing, total) for agreeing in range(1, total + 1)],
            [of_program(agreeing, total, agreeing - 1, 0.0) for agreeing in range(1, total + 1)],
        ):
            assert values == sorted(values)
            assert all(0 < value < 1 for value in values)


def test_confidence_at_full_agreement_grows_with_voters() -> None:
    values = [by_agreement(total, total) for total in range(1, 33)]
    assert values == sorted(values)
    values = [of_program(total, total, total - 1, 0.0) for total in range(2, 33)]
    assert values == sorted(values)


@pytest.mark.parametrize(("agreeing", "measured"), [(8, 0.89), (4, 0.82), (2, 0.70), (1, 0.35)])
def test_confidence_of_eight_is_about_what_was_measured(agreeing: int, measured: float) -> None:
    assert by_agreement(agreeing, 8) == pytest.approx(measured, abs=0.07)


def test_a_program_with_a_fault_is_trusted_less() -> None:
    assert of_program(4, 8, 5.0, -2.0) < of_program(4, 8, 5.0, -0.5) < of_program(4, 8, 5.0, 0.0)
    assert of_program(1, 1, 0.0, -2.0) < of_program(1, 1, 0.0, 0.0)


def test_a_program_like_the_others_is_trusted_more() -> None:
    assert of_program(1, 8, 0.5, 0.0) < of_program(1, 8, 4.0, 0.0) < of_program(4, 8, 5.0, 0.0)


def test_a_broken_winner_is_trusted_less_and_an_empty_one_not_at_all() -> None:
    assert by_agreement(3, 3, Standing.BROKEN) < by_agreement(1, 3) * 2
    assert by_agreement(3, 3, Standing.BROKEN) < by_agreement(3, 3)
    assert by_agreement(3, 3, Standing.EMPTY) == of_program(3, 3, 2.0, 0.0, Standing.EMPTY) == 0
