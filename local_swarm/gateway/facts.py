"""What is told of a decided vote: to the client, as the `swarm` object of its answer, and to the
gateway's own observers."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from local_swarm.domain.verdict import Verdict
from local_swarm.gateway.deliberation import Spent
from local_swarm.gateway.gathering import Ask, Collected, Ended
from local_swarm.gateway.rulings import Ruling
from local_swarm.gateway.turns import Turn


@dataclass(frozen=True, slots=True)
class VoteFacts:
    """`voters` were asked and `answered` of them did; `abstained` are answers that broke the
    request's rules and voters that were lost, `saved` those that nobody waited for. `agreement` is
    the share of the answers that vote, `judges` how many said which of them is best. `grown`: more
    voters were asked because the first settled nothing."""

    strategy: str
    voters: int
    answered: int
    abstained: int
    lost: int
    saved: int
    agreement: float
    ended: Ended
    completion_tokens: int
    judges: int = 0
    grown: bool = False

    @classmethod
    def of(
        cls, ask: Ask, collected: Collected, ruling: Ruling, verdict: Verdict, spent: Spent
    ) -> VoteFacts:
        answered, cut = len(ruling.answers), collected.ended is not Ended.ALL
        early = cut and collected.ended is not Ended.DEADLINE
        asked = ask.want if (ask.exact or ask.grows) and early else collected.asked
        unheard = asked - len(collected.answers)
        lost = min(unheard, collected.lost) if cut else unheard
        return cls(
            strategy=verdict.strategy,
            voters=ruling.asked,
            answered=answered,
            abstained=ruling.abstained + lost,
            lost=lost,
            saved=unheard - lost if early else 0,
            agreement=verdict.agreement,
            ended=collected.ended,
            completion_tokens=sum(a.completion_tokens or 0 for a in ruling.answers)
            + spent.completion_tokens,
            judges=spent.judges,
            grown=ask.grows and collected.rounds > 1,
        )


def told(
    facts: VoteFacts, turn: Turn, ask: Ask, ruling: Ruling, verdict: Verdict, started: float
) -> dict[str, Any]:
    """The `swarm` object. `started` (time.monotonic) is when the request came."""
    swarm: dict[str, Any] = {
        "strategy": facts.strategy,
        "voters": facts.voters,
        "answered": facts.answered,
        "abstained": facts.abstained,
        "agreement": round(facts.agreement, 4),
        "confidence": round(verdict.confidence, 4),
        "winner": verdict.index,
        "elapsed_ms": round(1000 * (time.monotonic() - started)),
        "completion_tokens": facts.completion_tokens,
        "reasons": [*ruling.reasons, *verdict.reasons, *_on_the_end(facts, turn, ask)],
    }
    if facts.saved:
        swarm["early"] = {"why": facts.ended.value, "saved": facts.saved}
    if facts.judges:
        swarm["judges"] = facts.judges
    if turn.why:
        swarm["why"] = turn.why
    if ask.request.swarm.include_candidates:
        swarm["candidates"] = _shown(ruling, verdict)
    return swarm


def _on_the_end(facts: VoteFacts, turn: Turn, ask: Ask) -> list[str]:
    """Why answers are missing, where some are."""
    answered, voters = facts.answered, facts.voters
    said = []
    if facts.ended is Ended.SETTLED:
        total = answered + facts.lost + facts.saved
        said.append(f"The verdict was settled after {answered} of {total} answers.")
    elif facts.ended is Ended.STRAGGLERS:
        said.append(f"{answered} of {voters} answers had come; the others took too long.")
    elif facts.ended is Ended.DEADLINE:
        said.append(f"The time was up after {answered} of {voters} answers.")
    if facts.lost:
        said.append(f"{facts.lost} of {voters} voters were lost.")
    needed = turn.want if turn.exact else turn.quorum
    if answered < needed and not ask.first and facts.ended is not Ended.SETTLED:
        said.append(f"Only {answered} of the {needed} answers wanted arrived.")
    return said


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
        if candidate.mean_logprob is not None and candidate.lowest_logprob is not None:
            row["mean_logprob"] = round(candidate.mean_logprob, 4)
            row["lowest_logprob"] = round(candidate.lowest_logprob, 4)
        if (breach := ruling.breaches[i]) is not None:
            row["breaks"] = breach
        if candidate.tool_calls:
            row["tool_calls"] = [
                {"name": c.name, "arguments": c.arguments} for c in candidate.tool_calls
            ]
        rows.append(row)
    return rows
