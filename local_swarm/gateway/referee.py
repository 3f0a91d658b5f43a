"""Judges the answers of one request as they come in, and tells when its vote is settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import Aid, Evidence
from local_swarm.domain.rules import Breach, Rules
from local_swarm.gateway.ports import Ballots
from local_swarm.wire.answer import Answer

Weights = Callable[[Sequence[Candidate]], Mapping[str, float]]
"""How much the models of these candidates count."""


class Referee:
    """Lives as long as its request. No answer is judged twice. `able` is what the vote may find
    out before it decides."""

    def __init__(
        self,
        ballots: Ballots,
        rules: Rules,
        prompt: str,
        strategy: str,
        *,
        sure: float = 1.0,
        weights: Weights = lambda candidates: {},
        able: frozenset[Aid] = frozenset(),
    ) -> None:
        self._ballots = ballots
        self._sure = sure
        self._weights = weights
        self._able = able
        self._rules = rules
        self._prompt = prompt
        self._strategy = strategy
        self._judged: list[tuple[Answer, Breach | None]] = []

    async def breaches(self, answers: Sequence[Answer]) -> list[Breach | None]:
        """What each answer breaks of the request's rules. Never raises."""
        if not self._rules:
            return [None] * len(answers)
        new = [a for a in answers if not any(a is known for known, _ in self._judged)]
        if new:
            said = await self._ballots.judge(self._rules, [a.candidate() for a in new])
            self._judged.extend(zip(new, said, strict=True))
        return [next(b for known, b in self._judged if known is a) for a in answers]

    async def settled(self, answers: Sequence[Answer], missing: int) -> bool:
        """Whether so many more answers cannot, or as surely as is asked for need not, change who
        wins. Those that break the rules have no vote. Never raises."""
        breaches = await self.breaches(answers)
        voting = [a.candidate() for a, b in zip(answers, breaches, strict=True) if b is None]
        if len(voting) <= (missing if self._sure >= 1 else 1):
            return False
        evidence = Evidence(able=self._able, skills=self._weights(voting))
        return await self._ballots.settled(
            self._prompt, voting, missing, self._strategy, self._rules, evidence, self._sure
        )
