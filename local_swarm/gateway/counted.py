"""How many tokens a request has, in the APIs that workers are not asked in: its chat form is
counted, so the count is the same that the answer's usage will have. It takes no slot."""

from __future__ import annotations

import msgspec
from aiohttp import web

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import NotSupported
from local_swarm.gateway.asked import AnyWorker
from local_swarm.gateway.bodies import read_json
from local_swarm.gateway.counting import Counting
from local_swarm.gateway.turns import Served, is_solo
from local_swarm.wire.family import CountedFamily


class Counted:
    def __init__(self, served: Served, workers: AnyWorker, counting: Counting) -> None:
        self._served = served
        self._workers = workers
        self._counting = counting

    async def handle(self, family: CountedFamily, request: web.Request) -> web.StreamResponse:
        """`{"input_tokens": n}` and what else its API says. Raises a RequestError."""
        voted = family.parse(await read_json(request))
        is_solo(voted.model, self._served)
        body = voted.upstream_body(
            model=self._served.model_id, n=1, slot=None, seed_offset=0, temperature=None
        )

        async def count(endpoint: Endpoint, within_s: float) -> int | None:
            if not endpoint.capabilities.tokens:
                return None
            return await self._counting.chat_by(endpoint, body, within_s=within_s)

        tokens = await self._workers.answered(count)
        if tokens is None:
            raise NotSupported("No worker here can count the tokens of this request.")
        answer = {**family.count_head, "input_tokens": tokens}
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")
