"""What a vote is told, and how often it may ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from local_swarm.consensus.scoring.skills import Skill, Skills, learn
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import Aid, Evidence, RunsWanted, VectorsWanted, Wanted
from local_swarm.domain.execution import Job, Report
from local_swarm.domain.rules import Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.gateway import deliberation as deliberation_module
from local_swarm.gateway.deliberation import MOST_STEPS, Case, Deliberation
from local_swarm.gateway.deliberation import PATIENCE_S as PATIENCE_S_OF_EVIDENCE
from local_swarm.gateway.gathering import Ask
from local_swarm.gateway.learning import Learner
from local_swarm.wire.chat import ChatRequest
from tests.swarms import PATIENCE_S

REQUEST = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]})
WON = Verdict(0, 0.5, 0.5, "auto", ((0, 1),))
RUNS = RunsWanted((Job("", ("f(1)",)), None))


class Asking:
    """Wants each of these in turn, again and again, as long as it is able to; `told` is what it
    was told each time."""

    def __init__(self, *wanted: Wanted, runs: tuple[Report, ...] | None = None) -> None:
        self._wanted = wanted
        self._runs = runs
        self.told: list[Evidence] = []

    async def vote(
        self,
        prompt: str,
        candidates: Sequence[Candidate],
        strategy: str,
        rules: Rules,
        evidence: Evidence,
    ) -> Verdict | Wanted:
        self.told.append(evidence)
        aids = {RunsWanted: Aid.RUNS, VectorsWanted: Aid.VECTORS}
        return next((w for w in self._wanted if aids[type(w)] in evidence.able), WON)  # type: ignore[index]

    async def run(self, wanted: RunsWanted) -> tuple[Report, ...] | None:
        return self._runs


class NoServer:
    async def post(self, texts: Sequence[str], within_s: float) -> dict[str, Any]:
        return {"data": "nonsense"}


def deliberation(asking: Asking, learner: Learner | None = None) -> Deliberation:
    ballots: Any = asking
    judges: Any = None
    known = learner or Learner()
    return Deliberation(ballots, judges, NoServer(), executes=True, learner=known)


def case(*models: str, left_s: float = PATIENCE_S) -> Case:
    now = time.monotonic()
    candidates = [Candidate(str(i), model=model) for i, model in enumerate(models or ("m", "m"))]
    ask = Ask(REQUEST, want=2, quorum=2, within_s=left_s)
    return Case(ask, candidates, "auto", Rules(), now, now + left_s, written=("f(1)",))


async def test_what_was_found_out_is_told() -> None:
    reports = (Report(()), Report(()))
    asking = Asking(RUNS, runs=reports)
    assert await deliberation(asking).verdict(case()) == WON
    first, second, *_ = asking.told
    assert first.written == ("f(1)",)
    assert (first.runs, second.runs) == (None, reports)


async def test_what_cannot_be_had_is_not_asked_for_again() -> None:
    asking = Asking(RUNS, VectorsWanted(("a", "b")))
    assert await deliberation(asking).verdict(case()) == WON
    assert [sorted(told.able) for told in asking.told] == [
        [Aid.JUDGEMENT, Aid.RUNS, Aid.VECTORS],
        [Aid.JUDGEMENT, Aid.VECTORS],
        [Aid.JUDGEMENT],
    ]


async def test_a_vote_that_always_wants_more_ends() -> None:
    asking = Asking(RUNS, runs=(Report(()), Report(())))
    assert await deliberation(asking).verdict(case()) == WON
    assert len(asking.told) == MOST_STEPS + 1
    assert asking.told[-1].able == frozenset()


async def test_when_the_time_is_up_a_vote_does_with_what_it_knows() -> None:
    asking = Asking(RUNS, runs=(Report(()), Report(())))
    assert await deliberation(asking).verdict(case(left_s=0.0)) == WON
    assert [told.able == frozenset() for told in asking.told] == [False, True]


async def test_runs_that_never_end_are_done_without() -> None:
    class Hanging(Asking):
        async def run(self, wanted: RunsWanted) -> None:
            await asyncio.Event().wait()

    asking = Hanging(RUNS)
    waiting = deliberation(asking).verdict(case(left_s=0.05))
    assert await asyncio.wait_for(waiting, PATIENCE_S) == WON
    assert Aid.RUNS not in asking.told[-1].able


class Book:
    """Skills in memory."""

    def __init__(self, skills: Skills) -> None:
        self.skills = skills
        self.updates = 0

    def read(self) -> Skills:
        return self.skills

    def update(self, change: Any) -> Skills:
        self.updates += 1
        self.skills = change(self.skills)
        return self.skills


async def test_models_that_vote_together_are_weighed_and_learnt_of() -> None:
    known = {
        "good": Skill(votes=100, heard=90, agreed=80),
        "weak": Skill(votes=100, heard=90, agreed=20),
    }
    book, asking = Book(known), Asking()
    learner = Learner(book)
    async with learner.keeping():
        await deliberation(asking, learner).verdict(case("good", "weak"))
        assert book.updates == 0
    weights: Mapping[str, float] = asking.told[0].skills
    assert weights["good"] > 1 > weights["weak"]
    assert book.updates == 1
    assert book.skills["good"].votes > 100


async def test_one_model_alone_teaches_nothing() -> None:
    book, asking = Book(learn({}, [])), Asking()
    learner = Learner(book)
    async with learner.keeping():
        await deliberation(asking, learner).verdict(case("m", "m"))
    assert asking.told[0].skills == {}
    assert book.updates == 0


async def test_all_evidence_together_has_as_long_as_the_answers_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, left = 100.0, []
    monkeypatch.setattr(deliberation_module, "time", SimpleNamespace(monotonic=lambda: now))

    class Slow(Asking):
        async def run(self, wanted: RunsWanted) -> None:
            nonlocal now
            now += 5.0

    class Listening:
        async def post(self, texts: Sequence[str], within_s: float) -> dict[str, Any]:
            left.append(within_s)
            return {}

    ballots: Any = Slow(RUNS, VectorsWanted(("a", "b")))
    judges: Any = None
    sitting = Deliberation(ballots, judges, Listening(), executes=True, learner=Learner())
    await sitting.verdict(replace(case(), since=90.0, until=700.0))
    assert left == [10.0 + PATIENCE_S_OF_EVIDENCE - 5.0]
