"""Has a worker count the tokens of a prompt. It takes no slot: the worker's HTTP threads do it,
whatever its slots are busy with; so only a few counts run at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from local_swarm.domain.endpoint import Endpoint
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.upstream import Refused, Upstream, UpstreamError
from local_swarm.gateway.within import result_within
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

COUNT_PATH = "/v1/chat/completions/input_tokens"
TEMPLATE_PATH = "/apply-template"
TOKENIZE_PATH = "/tokenize"
MISSING = frozenset({404, 405, 501})  # what an engine without a path answers
ASKED_AT_ONCE = 2  # a worker has few threads for HTTP, and the answers need them
GIVEN_UP_S = 60.0  # after which the thread of a count that does not end is no longer counted on

Post = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
How = Callable[[Post, dict[str, Any]], Awaitable[int | None]]


class Counting:
    """Shared by all requests of one gateway."""

    def __init__(self, fleet: Fleet, ledger: Ledger, upstream: Upstream) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._upstream = upstream
        self._places = asyncio.Semaphore(ASKED_AT_ONCE)
        self._running: set[asyncio.Task[int | None]] = set()

    async def chat(self, body: dict[str, Any], *, within_s: float) -> int | None:
        """The tokens of a chat request's prompt, by the worker with the fewest slots at work; None
        if nobody can tell. Raises asyncio.TimeoutError when the time is up."""
        return await self._told(_chat, body, within_s)

    async def chat_by(
        self, endpoint: Endpoint, body: dict[str, Any], *, within_s: float
    ) -> int | None:
        """The same by that worker; None if it has no way to. Raises UpstreamError too."""
        try:
            return await self._count(endpoint, _chat, body, within_s)
        except Refused as exc:
            if exc.status in MISSING:
                return None
            raise

    async def text(self, text: str, *, within_s: float) -> int | None:
        """The same of a plain prompt."""
        return await self._told(_text, {"content": text}, within_s)

    async def _told(self, how: How, body: dict[str, Any], within_s: float) -> int | None:
        able = [e for e in self._fleet.endpoints() if e.capabilities.tokens]
        if not able:
            return None
        endpoint = min(able, key=lambda e: self._ledger.busy(e.id))
        try:
            return await self._count(endpoint, how, body, within_s)
        except UpstreamError as exc:
            log.debug("a prompt could not be counted", worker=endpoint.id, error=type(exc).__name__)
            return None

    async def _count(
        self, endpoint: Endpoint, how: How, body: dict[str, Any], within_s: float
    ) -> int | None:
        deadline = time.monotonic() + within_s
        await asyncio.wait_for(self._places.acquire(), within_s)
        # A worker goes on counting when we no longer wait: the place is free when it has ended,
        # at the latest with the worker.
        work = asyncio.create_task(self._ask(endpoint, how, body), name=f"count-{endpoint.id}")
        self._running.add(work)
        work.add_done_callback(self._ended)
        left = max(0.0, deadline - time.monotonic())
        return await result_within(asyncio.shield(work), left)

    async def _ask(self, endpoint: Endpoint, how: How, body: dict[str, Any]) -> int | None:
        async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
            return await self._upstream.post(endpoint, path, body, within_s=GIVEN_UP_S)

        with self._ledger.visit(endpoint):
            return await how(post, body)

    def _ended(self, work: asyncio.Task[int | None]) -> None:
        self._running.discard(work)
        self._places.release()
        if not work.cancelled():
            work.exception()  # seen by whoever still waits


async def _chat(post: Post, body: dict[str, Any]) -> int | None:
    try:
        return _number((await post(COUNT_PATH, body)).get("input_tokens"))
    except Refused as exc:
        if exc.status not in MISSING:
            raise
    prompt = (await post(TEMPLATE_PATH, body)).get("prompt")  # a llama-server of before that path
    return await _text(post, {"content": prompt})


async def _text(post: Post, body: dict[str, Any]) -> int | None:
    asked = {**body, "add_special": True, "parse_special": True}
    tokens = (await post(TOKENIZE_PATH, asked)).get("tokens")
    return len(tokens) if isinstance(tokens, list) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
