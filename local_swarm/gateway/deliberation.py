"""A vote to its end: what it must know first is found out, as long as its request has time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from local_swarm.consensus import without
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import (
    Aid,
    Evidence,
    JudgementWanted,
    RunsWanted,
    VectorsWanted,
    Wanted,
)
from local_swarm.domain.rules import Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.gateway.gathering import Ask
from local_swarm.gateway.judges import Judges, named
from local_swarm.gateway.learning import Learner
from local_swarm.gateway.ports import Ballots
from local_swarm.gateway.vectors import Embedder, vectors_of
from local_swarm.gateway.within import result_within

MOST_STEPS = 6  # of one vote; then it must do with what it knows
PATIENCE_S = 4.0
"""All evidence is waited for as long as the answers took, and so much longer: a run of hostile code
takes 3 s (`sandbox.limits`), and then still tells of the other candidates."""


@dataclass(slots=True)
class Spent:
    """What the evidence of one request has cost beside its voters' answers."""

    judges: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be decided. `written` are calls that workers thought of, `since` and `until`
    (time.monotonic) when its request came and when its time is up."""

    ask: Ask
    candidates: Sequence[Candidate]
    strategy: str
    rules: Rules
    since: float
    until: float
    written: tuple[str, ...] = ()
    spent: Spent = field(default_factory=Spent)


class Deliberation:
    """Shared by all requests. `executes`: candidates may be run. `able` is what can be found out
    here."""

    def __init__(
        self,
        ballots: Ballots,
        judges: Judges,
        embedder: Embedder | None,
        *,
        executes: bool,
        learner: Learner,
    ) -> None:
        self._ballots = ballots
        self._judges = judges
        self._embedder = embedder
        able = {Aid.JUDGEMENT}
        able |= {Aid.RUNS} if executes else set()
        able |= {Aid.VECTORS} if embedder is not None else set()
        self.able = frozenset(able)
        self._learner = learner

    async def verdict(self, case: Case) -> Verdict:
        """Never raises: what cannot be had is done without."""
        verdict = await self._reached(case)
        self._learner.saw(case.candidates, verdict)
        return verdict

    async def _reached(self, case: Case) -> Verdict:
        now = time.monotonic()
        until = min(case.until, now + (now - case.since) + PATIENCE_S)
        skills = self._learner.weights(case.candidates)
        evidence = Evidence(able=self.able, skills=skills, written=case.written)
        for _ in range(MOST_STEPS):
            found = await self._step(case, evidence)
            if isinstance(found, Verdict):
                return found
            evidence = await self._with(found, evidence, case, until - time.monotonic())
        last = await self._step(case, replace(evidence, able=frozenset()))
        assert isinstance(last, Verdict)  # it may want only what it is able to get
        return last

    async def _step(self, case: Case, evidence: Evidence) -> Verdict | Wanted:
        prompt = case.ask.request.prompt
        return await self._ballots.vote(
            prompt, case.candidates, case.strategy, case.rules, evidence
        )

    async def _with(
        self, wanted: Wanted, evidence: Evidence, case: Case, left_s: float
    ) -> Evidence:
        """The evidence with what is wanted, or no longer able to get it."""
        if left_s <= 0:
            return replace(evidence, able=frozenset())
        if isinstance(wanted, RunsWanted):
            return await self._with_runs(wanted, evidence, left_s)
        if isinstance(wanted, VectorsWanted):
            return await self._with_vectors(wanted, evidence, left_s)
        return await self._with_judgement(wanted, evidence, case, left_s)

    async def _with_runs(self, wanted: RunsWanted, evidence: Evidence, left_s: float) -> Evidence:
        """Others may be before it: votes that run code wait for each other."""
        try:
            runs = await result_within(self._ballots.run(wanted), left_s)
        except asyncio.TimeoutError:
            runs = None
        return without(evidence, wanted) if runs is None else replace(evidence, runs=runs)

    async def _with_vectors(
        self, wanted: VectorsWanted, evidence: Evidence, left_s: float
    ) -> Evidence:
        assert self._embedder is not None  # else it is not among what may be wanted
        vectors = await vectors_of(self._embedder, wanted.texts, left_s)
        return without(evidence, wanted) if vectors is None else replace(evidence, vectors=vectors)

    async def _with_judgement(
        self, wanted: JudgementWanted, evidence: Evidence, case: Case, left_s: float
    ) -> Evidence:
        said = await self._judges.answers(wanted, case.ask, left_s)
        case.spent.judges += len(said)
        case.spent.completion_tokens += sum(a.completion_tokens or 0 for _, a in said)
        words = [named(question, answer) for question, answer in said]
        judgement = tuple(index for index in words if index is not None)
        if not judgement:
            return without(evidence, wanted)
        return replace(evidence, judgement=judgement)
