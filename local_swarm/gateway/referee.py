"""Judges the answers of one request as they come in, and tells when its vote is settled."""

from __future__ import annotations

from collections.abc import Sequence

from local_swarm.domain.rules import Breach, Rules
from local_swarm.gateway.ports import Ballots
from local_swarm.wire.answer import Answer


class Referee:
    """Lives as long as its request. No answer is judged twice."""

    def __init__(self, ballots: Ballots, rules: Rules, prompt: str, strategy: str) -> None:
        self._ballots = ballots
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
        """Whether so many more answers cannot change who wins. Those that break the rules have no
        vote. Never raises."""
        breaches = await self.breaches(answers)
        voting = [a.candidate() for a, b in zip(answers, breaches, strict=True) if b is None]
        if len(voting) <= missing:
            return False
        return await self._ballots.settled(self._prompt, voting, missing, self._strategy)
