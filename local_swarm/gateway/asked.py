"""What takes no slot and is asked of any worker: tokens, templates, counts, properties, slots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import DeadlineExceeded, Overloaded
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.attempts import Attempts
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.passed import read_body
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.turns import Served
from local_swarm.gateway.upstream import Reply, Upstream, UpstreamError
from local_swarm.gateway.within import set_within
from local_swarm.telemetry.logs import get_logger
from local_swarm.wire import shown

log = get_logger(__name__)

T = TypeVar("T")
AT_ONCE = 2  # of each worker: it has few threads for HTTP, and those that generate need them


class AnyWorker:
    """Asks the worker with the fewest slots at work, another one where it is lost."""

    def __init__(
        self,
        fleet: Fleet,
        ledger: Ledger,
        upstream: Upstream,
        activity: Activity,
        *,
        timeout_s: float,
    ) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._upstream = upstream
        self._activity = activity
        self._timeout_s = timeout_s
        self._turns: dict[str, asyncio.Semaphore] = {}

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Reply:
        """Raises a RequestError; Overloaded when no worker was ready in time."""

        async def asked(endpoint: Endpoint, within_s: float) -> Reply:
            return await self.ask_of(endpoint, method, path, body, within_s=within_s)

        return await self.answered(asked)

    async def answered(self, ask: Callable[[Endpoint, float], Awaitable[T]]) -> T:
        """What `ask` returns, given a worker and the seconds left. It may raise UpstreamError, and
        asyncio.TimeoutError. Raises a RequestError."""
        with self._activity:
            attempts = Attempts(self._fleet, self._timeout_s)
            while True:
                endpoint = await self.ready(attempts)
                try:
                    return await ask(endpoint, attempts.left_s)
                except asyncio.TimeoutError as exc:
                    raise attempts.too_late() from exc
                except UpstreamError as exc:
                    failure = exc
                await attempts.failed(endpoint, failure)

    async def ask_each(self, method: str, path: str) -> list[tuple[Endpoint, Reply | None]]:
        """Every worker that is ready now; None for one that was lost or cannot tell, and for all
        that sleep: nobody is woken to be looked at."""
        if self._fleet.is_asleep and not self._fleet.endpoints():
            return [(endpoint, None) for endpoint in self._fleet.expected()]
        attempts = Attempts(self._fleet, self._timeout_s)
        await self.ready(attempts)
        endpoints = self._fleet.endpoints()
        within_s = attempts.left_s
        replies = await asyncio.gather(*(self._try(e, method, path, within_s) for e in endpoints))
        return list(zip(endpoints, replies, strict=True))

    async def ask_of(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        within_s: float,
    ) -> Reply:
        """Raises an UpstreamError; asyncio.TimeoutError when its turn did not come in time."""
        turn = self._turns.setdefault(endpoint.id, asyncio.Semaphore(AT_ONCE))
        with self._ledger.visit(endpoint):
            await asyncio.wait_for(turn.acquire(), within_s)
            try:
                return await self._upstream.plain(endpoint, method, path, body, within_s=within_s)
            finally:
                turn.release()

    async def _try(
        self, endpoint: Endpoint, method: str, path: str, within_s: float
    ) -> Reply | None:
        if not endpoint.capabilities.slots:
            return None
        try:
            return await self.ask_of(endpoint, method, path, within_s=within_s)
        except (UpstreamError, asyncio.TimeoutError) as exc:
            log.debug(
                "a worker did not tell", worker=endpoint.id, path=path, error=type(exc).__name__
            )
            return None

    async def ready(self, attempts: Attempts) -> Endpoint:
        """The least busy worker, waited for. Raises Overloaded when none was ready in time."""
        changed = asyncio.Event()
        unsubscribe = self._fleet.subscribe(changed.set)
        try:
            while not (endpoints := self._fleet.endpoints()):
                changed.clear()
                await set_within(changed, attempts.left_s)
        except DeadlineExceeded as exc:
            retry_after_s = self._ledger.retry_after_s()
            raise Overloaded("No worker is ready.", retry_after_s=retry_after_s) from exc
        finally:
            unsubscribe()
        return min(endpoints, key=lambda e: self._ledger.busy(e.id))


class Asked:
    """POST /tokenize and the like: the body goes to a worker, its answer comes back."""

    def __init__(self, served: Served, workers: AnyWorker) -> None:
        self._served = served
        self._workers = workers

    async def handle(self, request: web.Request, path: str) -> web.StreamResponse:
        body = await read_body(request, self._served)
        reply = await self._workers.ask("POST", path, dict(body.fields))
        return web.Response(body=reply.body, headers={"Content-Type": reply.content_type})


class Told:
    """GET /props, of one worker, and /slots, of all; `prompts`: whether slots may show them."""

    def __init__(self, workers: AnyWorker, ledger: Ledger, *, prompts: bool) -> None:
        self._workers = workers
        self._ledger = ledger
        self._prompts = prompts

    async def props(self, request: web.Request) -> web.Response:
        reply = await self._workers.ask("GET", "/props")
        return _json(shown.props(reply.json()))

    async def slots(self, request: web.Request) -> web.Response:
        rows: list[dict[str, Any]] = []
        for endpoint, reply in await self._workers.ask_each("GET", "/slots"):
            told = self._known(endpoint) if reply is None else reply.json()
            rows.extend(shown.slot(s, endpoint.id, prompts=self._prompts) for s in told)
        if request.query.get("fail_on_no_slot") and all(r.get("is_processing") for r in rows):
            raise Overloaded("No slot is free.", retry_after_s=self._ledger.retry_after_s())
        return _json(rows)

    def _known(self, endpoint: Endpoint) -> list[dict[str, Any]]:
        """What the ledger knows of a worker that does not tell."""
        busy = self._ledger.busy_slots(endpoint.id)
        return [
            {"id": i, "n_ctx": endpoint.ctx, "is_processing": i in busy}
            for i in range(endpoint.slots)
        ]


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
