"""Asks the swarm itself which of several answers is best, as its votes want it.

Every question goes to so many voters, constrained to one of its labels. What fails, or says nothing
of use, is no word: a vote does without.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from local_swarm.domain.evidence import JudgementWanted, Question
from local_swarm.errors import RequestError
from local_swarm.gateway.fanout import Fanout
from local_swarm.gateway.gathering import Ask
from local_swarm.gateway.length import Length
from local_swarm.telemetry.logs import get_logger
from local_swarm.telemetry.spans import describe, traced
from local_swarm.wire.answer import Answer
from local_swarm.wire.chat import ChatRequest

log = get_logger(__name__)

WORD_TOKENS = 4  # of a judge's answer: the label, and what an engine ends it with
LENGTH_S = 2.0


class Judges:
    def __init__(self, fanout: Fanout, length: Length) -> None:
        self._fanout = fanout
        self._length = length

    @traced("judge")
    async def answers(
        self, wanted: JudgementWanted, ask: Ask, within_s: float
    ) -> list[tuple[Question, Answer]]:
        """What as many judges say as the request has voters, each with its question. Never
        raises."""
        each = max(1, ask.want // len(wanted.questions))
        describe(judges=each * len(wanted.questions))
        found = await asyncio.gather(
            *(self._asked(question, ask, each, within_s) for question in wanted.questions)
        )
        return [
            (question, answer)
            for question, answers in zip(wanted.questions, found, strict=True)
            for answer in answers
        ]

    async def _asked(
        self, question: Question, ask: Ask, judges: int, within_s: float
    ) -> Sequence[Answer]:
        request = _request(question)
        try:
            tokens = await self._length.check(request, within_s=min(LENGTH_S, within_s))
            judging = replace(
                Ask(request, want=judges, quorum=1, within_s=within_s),
                temperature=ask.temperature,
                prompt_tokens=tokens,
            )
            return (await self._fanout.collect(judging)).answers
        except RequestError as exc:
            log.warning("judges could not be asked", error=exc.code)
            return []


def _request(question: Question) -> ChatRequest:
    grammar = "root ::= " + " | ".join(f'"{label}"' for label in question.labels)
    return ChatRequest.parse(
        {
            "messages": [{"role": "user", "content": question.text}],
            "max_tokens": WORD_TOKENS,
            "grammar": grammar,
        }
    )


def named(question: Question, answer: Answer) -> int | None:
    """The index of the candidate whose label the judge said first; None where it said none."""
    said = answer.whole_text or "".join(answer.reasoning)
    label = re.search(rf"\b(?:{'|'.join(map(re.escape, question.labels))})\b", said)
    return question.options[question.labels.index(label[0])] if label else None
