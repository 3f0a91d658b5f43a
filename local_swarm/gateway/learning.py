"""What votes tell of the models that took part: used at once, and kept every now and then.

A swarm of one model learns nothing, and its file is never written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from local_swarm.consensus.scoring import skills as known
from local_swarm.consensus.scoring.skills import Showing, Skills
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.verdict import Verdict

KEPT_EVERY_S = 60.0
MOST_SHOWINGS = 1024  # that wait to be kept; of more the oldest are forgotten


class SkillBook(Protocol):
    """Where skills are kept. Both block for a small file, and raise nothing."""

    def read(self) -> Skills: ...

    def update(self, change: Callable[[Skills], Skills]) -> Skills:
        """Changes what is there now, whoever wrote it; returns that."""
        ...


class Learner:
    """Lives on one event loop, as long as its gateway serves."""

    def __init__(self, book: SkillBook | None = None) -> None:
        self._book = book
        self._skills: Skills = {}
        self._showings: list[Showing] = []

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Reads what is known, and keeps what is learnt, the last of it when the context closes."""
        if self._book is None:
            yield
            return
        self._skills = await asyncio.to_thread(self._book.read)
        task = asyncio.create_task(self._now_and_then(), name="keep-skills")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.keep()

    def weights(self, candidates: Sequence[Candidate]) -> dict[str, float]:
        """By the models of these candidates; empty where all are of one, which then counts 1."""
        models = sorted({candidate.model for candidate in candidates if candidate.model})
        return known.weights(self._skills, models) if len(models) > 1 else {}

    def saw(self, candidates: Sequence[Candidate], verdict: Verdict) -> None:
        """Answers were compared."""
        if (showing := known.showing(candidates, verdict)) is not None:
            self._skills = known.learn(self._skills, [showing])
            self._showings = [*self._showings[1 - MOST_SHOWINGS :], showing]

    async def keep(self) -> None:
        """Writes what was learnt since the last time, where something was."""
        learnt, self._showings = self._showings, []
        if learnt and self._book is not None:
            await asyncio.to_thread(self._book.update, lambda old: known.learn(old, learnt))

    async def _now_and_then(self) -> None:
        while True:
            await asyncio.sleep(KEPT_EVERY_S)
            await self.keep()
