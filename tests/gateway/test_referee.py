from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from local_swarm.domain.candidate import Candidate
from local_swarm.domain.rules import Breach, Rules
from local_swarm.gateway.referee import Referee
from local_swarm.wire.answer import Answer


class Judging:
    """Every answer but "{}" is no JSON. `judged` are the texts it was asked of."""

    def __init__(self) -> None:
        self.judged: list[str] = []

    async def judge(self, rules: Rules, candidates: Sequence[Candidate]) -> list[Breach | None]:
        self.judged += [candidate.text for candidate in candidates]
        return [None if c.text == "{}" else Breach.NOT_JSON for c in candidates]


async def test_no_answer_is_judged_twice() -> None:
    judging = Judging()
    ballots: Any = judging
    referee = Referee(ballots, Rules(json=True), "", "auto")
    first, second = Answer(text=["no"]), Answer(text=["{}"])
    assert await referee.breaches([first]) == [Breach.NOT_JSON]
    assert await referee.breaches([second, first]) == [None, Breach.NOT_JSON]
    assert judging.judged == ["no", "{}"]
