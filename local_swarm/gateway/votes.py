"""A request's voters asked, their answers ruled on and compared, and the facts of it told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from local_swarm.domain.rules import Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.gateway.deliberation import Case, Deliberation, Spent
from local_swarm.gateway.facts import VoteFacts, told
from local_swarm.gateway.fanout import Fanout
from local_swarm.gateway.gathering import Ask, Collected
from local_swarm.gateway.learning import Learner
from local_swarm.gateway.metrics import Metrics
from local_swarm.gateway.ports import Ballots
from local_swarm.gateway.record import note
from local_swarm.gateway.referee import Referee
from local_swarm.gateway.rulings import Ruling, Rulings
from local_swarm.gateway.turns import Turn
from local_swarm.gateway.writers import Writers, Written
from local_swarm.wire.answer import Answer

RUNS_CODE = frozenset({"auto", "execution", "judge"})
"""Strategies that may have candidates run."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Answers with the winner first, and the `swarm` object that tells of their vote."""

    ranked: list[Answer]
    facts: dict[str, Any]


class Votes:
    """`sure`: how sure a verdict must be to end a vote before all answers are there. `writers` are
    there where candidates may be run."""

    def __init__(
        self,
        fanout: Fanout,
        ballots: Ballots,
        metrics: Metrics,
        deliberation: Deliberation,
        learner: Learner,
        *,
        writers: Writers | None = None,
        sure: float = 1.0,
    ) -> None:
        self._fanout = fanout
        self._ballots = ballots
        self._rulings = Rulings(fanout)
        self._metrics = metrics
        self._deliberation = deliberation
        self._learner = learner
        self._writers = writers
        self._sure = sure

    async def decide(self, turn: Turn, ask: Ask, rules: Rules, started: float) -> Decided:
        """Asks, compares and ranks. `started` (time.monotonic) is when the request came.

        Raises a RequestError when no answer can be had.
        """
        referee = Referee(
            self._ballots,
            rules,
            ask.request.prompt,
            turn.strategy,
            sure=self._sure,
            weights=self._learner.weights,
            able=self._deliberation.able,
        )
        if turn.voted and may_end_early(ask):
            ask = replace(ask, settled=referee.settled, guesses=self._sure < 1)
        collected, written = await self._collect(turn, ask)
        ruling = await self._rulings.rule(rules, referee, ask, collected, started)
        spent = Spent(completion_tokens=written.completion_tokens)
        compared = turn.voted and turn.strategy != "off" and len(ruling.voting) > 1
        verdict = _uncompared(turn, ruling)
        if compared:
            candidates = [ruling.answers[i].candidate() for i in ruling.voting]
            until = started + ask.within_s
            verdict = await self._deliberation.verdict(
                Case(ask, candidates, turn.strategy, rules, started, until, written.calls, spent)
            )
        verdict = among(ruling.voting, verdict)
        facts = VoteFacts.of(ask, collected, ruling, verdict, spent)
        if turn.voted:
            self._tell(facts, compared=compared)
        answers = ruling.answers
        ranked = [answers[i] for i in ranking(verdict, len(answers))]
        return Decided(ranked, told(facts, turn, ask, ruling, verdict, started))

    async def _collect(self, turn: Turn, ask: Ask) -> tuple[Collected, Written]:
        if self._writers is None or not turn.voted or turn.strategy not in RUNS_CODE:
            return await self._fanout.collect(ask), Written()
        async with self._writers.beside(ask) as written:
            return await self._fanout.collect(ask), written

    def _tell(self, facts: VoteFacts, *, compared: bool) -> None:
        """The one place where all of a decided vote is known."""
        self._metrics.asked(facts.voters, facts.abstained)
        if compared:
            self._metrics.voted(facts.agreement)
        if facts.saved:
            self._metrics.ended_early(facts.saved)
        if facts.grown:
            self._metrics.grew()
        if facts.judges:
            self._metrics.judged(facts.judges)
        note(
            strategy=facts.strategy,
            voters=facts.voters,
            answered=facts.answered,
            abstained=facts.abstained,
            agreement=facts.agreement,
        )


def may_end_early(ask: Ask) -> bool:
    """Not where the client gets all answers, nor where its seed is to repeat the vote: who comes
    too late is chance."""
    request = ask.request
    return request.n == 1 and request.seed is None and not request.swarm.include_candidates


def ranking(verdict: Verdict, count: int) -> list[int]:
    """All candidates, best first: the winner, its cluster, then the other clusters by size."""
    order = [verdict.index]
    clusters = sorted(verdict.clusters, key=lambda c: (verdict.index not in c, -len(c)))
    for cluster in (*clusters, tuple(range(count))):
        order.extend(i for i in cluster if i not in order)
    return order


def among(voting: list[int], verdict: Verdict) -> Verdict:
    """A verdict over the answers that vote, told in the indices of all answers."""
    return replace(
        verdict,
        index=voting[verdict.index],
        clusters=tuple(tuple(voting[i] for i in cluster) for cluster in verdict.clusters),
    )


def _uncompared(turn: Turn, ruling: Ruling) -> Verdict:
    """There was nothing to compare: the first answer it is, and nobody is known to agree."""
    only = "One answer is left." if ruling.abstained else "Only one voter answered."
    return Verdict(
        index=0,
        agreement=1 / max(1, ruling.asked),
        confidence=0.0,
        strategy=turn.strategy,
        clusters=tuple((i,) for i in range(len(ruling.voting))),
        reasons=(turn.why or only,),
    )
