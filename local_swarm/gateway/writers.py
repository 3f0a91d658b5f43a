"""Has a worker think of calls of the asked function, while the voters write the function itself.

One request in a slot that nobody else wants, and only as long as voters are at work: it is cut off
when they are done, and a vote never waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from local_swarm.consensus.execution import written
from local_swarm.errors import RequestError
from local_swarm.gateway.fanout import Fanout
from local_swarm.gateway.gathering import Ask, cancel
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.length import Length
from local_swarm.gateway.ports import Fleet
from local_swarm.wire.chat import ChatRequest

MAX_TOKENS = 256
LENGTH_S = 2.0


@dataclass(slots=True)
class Written:
    """`calls` are there once they were written in time."""

    calls: tuple[str, ...] = ()
    completion_tokens: int = 0


class Writers:
    def __init__(self, fleet: Fleet, ledger: Ledger, fanout: Fanout, length: Length) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._fanout = fanout
        self._length = length

    @asynccontextmanager
    async def beside(self, ask: Ask) -> AsyncIterator[Written]:
        """While the block runs calls are written, where a lane is free and the prompt asks for a
        function. Leaving it waits for nothing."""
        found = Written()
        task = asyncio.create_task(self._write(ask, found), name="write-calls")
        try:
            yield found
        finally:
            await cancel([task])

    async def _write(self, ask: Ask, found: Written) -> None:
        question = await asyncio.to_thread(written.question, ask.request.prompt)
        if question is None or not self._lane_is_free():
            return
        request = _request(question)
        try:
            tokens = await self._length.check(request, within_s=LENGTH_S)
            if not self._lane_is_free():
                return  # others took it meanwhile: it must not wait in their queue
            writing = Ask(
                request, 1, 1, ask.within_s, solo=True, temperature=0.0, prompt_tokens=tokens
            )
            answer = (await self._fanout.collect(writing)).answers[0]
        except RequestError:
            return  # a vote does without
        found.calls = written.calls_in(answer.whole_text)
        found.completion_tokens = answer.completion_tokens or 0

    def _lane_is_free(self) -> bool:
        """Not of a worker whose slots share a pool: its cells are wanted by others."""
        return not self._ledger.waiting and any(
            not endpoint.pool and slot not in self._ledger.busy_slots(endpoint.id)
            for endpoint in self._fleet.endpoints()
            for slot in range(endpoint.slots - endpoint.lanes, endpoint.slots)
        )


def _request(question: str) -> ChatRequest:
    schema = {"name": "calls", "schema": written.SCHEMA}
    return ChatRequest.parse(
        {
            "messages": [{"role": "user", "content": question}],
            "max_tokens": MAX_TOKENS,
            "response_format": {"type": "json_schema", "json_schema": schema},
        }
    )
