"""A request's voters asked, their answers ruled on and compared: what a client gets, and the facts
it is told of the vote."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from local_swarm.domain.rules import Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.gateway.fanout import Ask, Fanout
from local_swarm.gateway.metrics import Metrics
from local_swarm.gateway.ports import Ballots
from local_swarm.gateway.rulings import Ruling, Rulings
from local_swarm.gateway.turns import Turn
from local_swarm.wire.answer import Answer


@dataclass(frozen=True, slots=True)
class Decided:
    """Answers with the winner first, the verdict over them as they arrived, the vote's facts."""

    ranked: list[Answer]
    facts: dict[str, Any]


class Votes:
    def __init__(self, fanout: Fanout, ballots: Ballots, metrics: Metrics) -> None:
        self._fanout = fanout
        self._ballots = ballots
        self._rulings = Rulings(fanout, ballots)
        self._metrics = metrics

    async def decide(self, turn: Turn, ask: Ask, rules: Rules, started: float) -> Decided:
        """Asks, compares and ranks. `started` (time.monotonic) is when the request came.

        Raises a RequestError when no answer can be had.
        """
        deadline = time.monotonic() + ask.within_s
        collected = await self._fanout.collect(ask)
        ruling = await self._rulings.rule(rules, ask, collected, deadline)
        verdict = await self._verdict(turn, ask, ruling)
        answers = ruling.answers
        ranked = [answers[i] for i in ranking(verdict, len(answers))]
        return Decided(ranked, _facts(turn, ask, ruling, verdict, started))

    async def _verdict(self, turn: Turn, ask: Ask, ruling: Ruling) -> Verdict:
        candidates = [ruling.answers[i].candidate() for i in ruling.voting]
        if turn.voted and turn.strategy != "off" and len(candidates) > 1:
            verdict = await self._ballots.vote(ask.request.prompt, candidates, turn.strategy)
            self._metrics.voted(verdict.agreement)
        else:
            verdict = _uncompared(turn, ruling)
        return among(ruling.voting, verdict)


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


def _facts(
    turn: Turn, ask: Ask, ruling: Ruling, verdict: Verdict, started: float
) -> dict[str, Any]:
    """The `swarm` object of the answer."""
    answers = ruling.answers
    facts: dict[str, Any] = {
        "strategy": verdict.strategy,
        "voters": ruling.asked,
        "answered": len(answers),
        "abstained": ruling.abstained,
        "agreement": round(verdict.agreement, 4),
        "confidence": round(verdict.confidence, 4),
        "winner": verdict.index,
        "elapsed_ms": round(1000 * (time.monotonic() - started)),
        "completion_tokens": sum(a.completion_tokens or 0 for a in answers),
        "reasons": [*ruling.reasons, *verdict.reasons, *_shortfall(turn, len(answers))],
    }
    if turn.why:
        facts["why"] = turn.why
    if ask.request.swarm.include_candidates:
        facts["candidates"] = _shown(ruling, verdict)
    return facts


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


def _shortfall(turn: Turn, answered: int) -> list[str]:
    """Said where time or trouble left fewer answers than were insisted on."""
    needed = turn.want if turn.exact else turn.quorum
    if answered >= needed or turn.strategy == "fastest":
        return []
    return [f"Only {answered} of the {needed} answers wanted arrived."]


def _shown(ruling: Ruling, verdict: Verdict) -> list[dict[str, Any]]:
    cluster_of = {i: c for c, members in enumerate(verdict.clusters) for i in members}
    rows = []
    for i, answer in enumerate(ruling.answers):
        candidate = replace(answer.candidate(), reasoning="")
        row = {
            "index": i,
            "worker": candidate.worker,
            "cluster": cluster_of.get(i),
            "text": candidate.text,
            "finish_reason": candidate.finish_reason,
            "elapsed_ms": round(1000 * candidate.elapsed_s),
            "completion_tokens": candidate.completion_tokens,
        }
        if (breach := ruling.breaches[i]) is not None:
            row["breaks"] = breach
        if candidate.tool_calls:
            row["tool_calls"] = [
                {"name": c.name, "arguments": c.arguments} for c in candidate.tool_calls
            ]
        rows.append(row)
    return rows
