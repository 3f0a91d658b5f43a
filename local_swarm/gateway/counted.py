"""How many tokens a request has, in the APIs that workers are not asked in: its chat form is
counted, so the count is the same that the answer's usage will have. It takes no slot."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from local_swarm.errors import NotSupported
from local_swarm.gateway.asked import AnyWorker
from local_swarm.gateway.attempts import Attempts
from local_swarm.gateway.bodies import read_json
from local_swarm.gateway.counting import Counting
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.turns import Served, is_solo
from local_swarm.wire.family import CountedFamily


class Counted:
    def __init__(
        self,
        served: Served,
        fleet: Fleet,
        workers: AnyWorker,
        counting: Counting,
        *,
        timeout_s: float,
    ) -> None:
        self._served = served
        self._fleet = fleet
        self._workers = workers
        self._counting = counting
        self._timeout_s = timeout_s

    async def handle(self, family: CountedFamily, request: web.Request) -> web.StreamResponse:
        """`{"input_tokens": n}` and what else its API says. Raises a RequestError."""
        voted = family.parse(await read_json(request))
        is_solo(voted.model, self._served)
        body = voted.upstream_body(
            model=self._served.model_id, n=1, slot=None, seed_offset=0, temperature=None
        )
        attempts = Attempts(self._fleet, self._timeout_s)
        await self._workers.ready(attempts)
        try:
            tokens = await self._counting.chat(body, within_s=attempts.left_s)
        except asyncio.TimeoutError as exc:
            raise attempts.too_late() from exc
        if tokens is None:
            raise NotSupported("No worker here can count the tokens of this request.")
        answer = {**family.count_head, "input_tokens": tokens}
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")
