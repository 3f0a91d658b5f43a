from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import Aid, Evidence
from local_swarm.domain.rules import Breach, Rules
from local_swarm.gateway.ballots import VoteProcess
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


class Settling(Judging):
    """Says yes, and keeps what it was asked with."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int, float, object]] = []

    async def settled(
        self,
        prompt: str,
        candidates: Sequence[Candidate],
        missing: int,
        strategy: str,
        rules: Rules,
        evidence: Evidence,
        sure: float,
    ) -> bool:
        self.asked.append((len(candidates), missing, sure, evidence.skills))
        return True


@pytest.mark.parametrize(("sure", "asked"), [(1.0, []), (0.9, [(2, 3, 0.9, {"m": 2.0})])])
async def test_fewer_than_half_are_only_looked_at_where_likely_is_enough(
    sure: float, asked: list[object]
) -> None:
    settling = Settling()
    ballots: Any = settling
    referee = Referee(ballots, Rules(), "", "auto", sure=sure, weights=lambda _: {"m": 2.0})
    answers = [Answer(text=["a"]), Answer(text=["a"])]
    assert await referee.settled(answers, 3) is bool(asked)
    assert settling.asked == asked


async def test_programs_that_are_to_be_run_settle_nothing_before_they_are() -> None:
    program = Answer(text=["```python\ndef f(x):\n    return x + 1\n```"])
    async with VoteProcess() as ballots:
        for able, settled in ((frozenset[Aid](), True), (frozenset({Aid.RUNS}), False)):
            referee = Referee(ballots, Rules(), "", "auto", able=able)
            assert await referee.settled([program] * 3, 2) is settled
