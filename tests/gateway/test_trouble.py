from __future__ import annotations

from local_swarm.domain.worker import Death
from local_swarm.errors import PoisonRequest
from local_swarm.gateway.trouble import Trouble


def test_a_death_that_two_attempts_saw_is_one_death() -> None:
    trouble = Trouble()
    for _ in range(2):
        trouble.died(Death("w0", 1, None, 11))
    assert trouble.verdict() is None
    trouble.died(Death("w0", 2, None, 11))
    assert isinstance(trouble.verdict(), PoisonRequest)
