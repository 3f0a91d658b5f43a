"""How probable it is that the winner is right, as measured (tables in docs/voting.md).

The figures are logistic fits to votes of 3, 5 and 8 answers of five sources to 82 small Python
problems, every source weighing the same. How good the models of a swarm are, and how hard what they
are asked, is not known to them: 0.9 means what it meant there.
"""

from __future__ import annotations

import math

from local_swarm.consensus.ballot import Standing

_LEAST_MERIT = -2.5
_WORTH = {Standing.EMPTY: 0.0, Standing.BROKEN: 0.5, Standing.SOUND: 1.0}


def by_agreement(agreeing: int, total: int, standing: Standing = Standing.SOUND) -> float:
    """From the number of answers that say what the winner says, itself among them: 0.41 where it
    stands alone, 0.79 at 4 of 8, 0.90 at 8 of 8. It grows with agreement and, at full agreement,
    with the number of voters. Measured on programs; for every other class of answers it is an
    estimate. Broken winners get half, empty ones 0."""
    share = math.sqrt((agreeing - 1) / total)
    return _rounded(_sigmoid(-0.36 + 2.72 * share), standing)


def of_program(
    agreeing: int, total: int, likeness: float, merit: float, standing: Standing = Standing.SOUND
) -> float:
    """The same from all that is seen of a program: `likeness` is the sum of its likeness to each of
    the others, `merit` its own (see `merits`). A single answer is judged by its faults alone."""
    own = max(_LEAST_MERIT, merit)
    if total == 1:
        return _rounded(_sigmoid(0.68 + 2.16 * own), standing)
    share = math.sqrt((agreeing - 1) / total)
    return _rounded(_sigmoid(-1.06 + 1.85 * share + 2.17 * likeness / total + 2.0 * own), standing)


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _rounded(probability: float, standing: Standing) -> float:
    return round(probability * _WORTH[standing], 4)
