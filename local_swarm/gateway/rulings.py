"""Which answers may be voted on: one that breaks the request's own rules abstains.

If all do, one more is asked for. If that breaks them too, the best of what the client can still
use is taken (see `is_bearable`); if there is none, the request fails with NoValidAnswer. Where the
200 is out by then, all vote: an error in a stream is what agents try again without end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from local_swarm.consensus.rules import is_bearable
from local_swarm.domain.rules import Breach, Rules
from local_swarm.errors import NoValidAnswer, RequestError
from local_swarm.gateway.fanout import Fanout
from local_swarm.gateway.gathering import Ask, Collected
from local_swarm.gateway.referee import Referee
from local_swarm.telemetry.logs import get_logger
from local_swarm.wire.answer import Answer

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ruling:
    """`breaches[i]` is what answer i breaks; `voting` are the indices of those that do not
    abstain, at least one; `asked` counts the voters, the one asked in addition too."""

    answers: list[Answer]
    asked: int
    breaches: Sequence[Breach | None]
    voting: list[int]
    reasons: list[str]

    @property
    def abstained(self) -> int:
        return len(self.answers) - len(self.voting)


class Rulings:
    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    async def rule(
        self, rules: Rules, referee: Referee, ask: Ask, collected: Collected, started: float
    ) -> Ruling:
        """Judges the answers; asks once more where none can be voted on, as long as the request,
        which came at `started` (time.monotonic), has time. Raises NoValidAnswer."""
        answers, asked = list(collected.answers), collected.asked
        if not rules:
            return Ruling(answers, asked, [None] * len(answers), list(range(len(answers))), [])
        breaches = await referee.breaches(answers)
        if None not in breaches and _may_differ(ask, answers):
            answers += await self._one_more(ask, collected, started + ask.within_s)
            breaches = await referee.breaches(answers)
            asked += 1
        lenient = time.monotonic() - started > ask.lenient_after_s
        return _ruling(rules, answers, asked, breaches, lenient=lenient)

    async def _one_more(self, ask: Ask, collected: Collected, deadline: float) -> list[Answer]:
        """The same request with another seed; nothing where that fails."""
        again = replace(
            ask,
            want=1,
            quorum=1,
            exact=False,
            first=False,
            settled=None,
            within_s=max(0.0, deadline - time.monotonic()),
            seed_offset=ask.seed_offset + collected.seeds,
        )
        try:
            return (await self._fanout.collect(again)).answers[:1]
        except RequestError as exc:
            log.info("one more answer could not be had", error=exc.code)
            return []


def _may_differ(ask: Ask, answers: list[Answer]) -> bool:
    """Whether another try may do better: not at temperature 0, where it would say the same, nor
    where the client's own limit has cut all answers off."""
    all_cut = all(a.finish_reason == "length" for a in answers)
    return ask.request.temperature != 0 and not all_cut


def _ruling(
    rules: Rules,
    answers: list[Answer],
    asked: int,
    breaches: list[Breach | None],
    *,
    lenient: bool,
) -> Ruling:
    voting = [i for i, breach in enumerate(breaches) if breach is None]
    reasons = []
    if not voting:
        voting = [
            i
            for i, breach in enumerate(breaches)
            if breach is not None and is_bearable(rules, breach, answers[i].candidate())
        ]
        if lenient and not voting:
            voting = list(range(len(answers)))
        reasons.append("No answer keeps the request's rules.")
    said = _said([b for i, b in enumerate(breaches) if b is not None and i not in voting])
    if not voting:
        raise NoValidAnswer(
            f"No answer of {len(answers)} keeps the request's own rules ({said}).",
            hint="The model may be too small for what is asked; say it in the prompt too, or ask "
            "for less.",
        )
    if said:
        abstained = len(answers) - len(voting)
        reasons.append(f"{abstained} of {len(answers)} answers abstained: {said}.")
    return Ruling(answers, asked, breaches, voting, reasons)


def _said(breaches: list[Breach]) -> str:
    counted = Counter(breaches).most_common()
    return ", ".join(f"{count} with {breach.words}" for breach, count in counted)
