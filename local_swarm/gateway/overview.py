"""GET /v1/models, /health, /ready, /metrics, /v1/swarm/status."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

import local_swarm
from local_swarm.domain.worker import WorkerStatus
from local_swarm.gateway.access import Reporter
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.turns import SOLO_SUFFIX, SWARM_ALIAS, Served


@dataclass(frozen=True, slots=True)
class Since:
    """When the swarm began to serve, by both clocks."""

    wall: float = field(default_factory=time.time)
    monotonic: float = field(default_factory=time.monotonic)


class Overview:
    def __init__(
        self,
        served: Served,
        fleet: Fleet,
        ledger: Ledger,
        stats: Stats,
        activity: Activity,
        reporter: Reporter,
        since: Since,
    ) -> None:
        self._served = served
        self._fleet = fleet
        self._ledger = ledger
        self._stats = stats
        self._activity = activity
        self._reporter = reporter
        self._since = since

    @property
    def is_asleep(self) -> bool:
        """Whether the next request has to wake the workers."""
        return self._fleet.is_asleep and not self._fleet.endpoints()

    @property
    def is_ready(self) -> bool:
        there = bool(self._fleet.endpoints()) or self.is_asleep
        return there and not self._activity.draining

    @property
    def _ctx(self) -> int:
        """Of the worker with the longest: what fits only there goes there."""
        expected = self._fleet.expected()
        return max((endpoint.ctx for endpoint in expected), default=self._served.ctx)

    async def models(self, request: web.Request) -> web.Response:
        ids = (self._served.model_id, self._served.model_id + SOLO_SUFFIX, SWARM_ALIAS)
        return _json({"object": "list", "data": [self._model(i) for i in ids]})

    def _model(self, model_id: str) -> dict[str, Any]:
        return {
            "id": model_id,
            "object": "model",
            "created": int(self._since.wall),
            "owned_by": "local-swarm",
            "context_length": self._ctx,
            "meta": {"n_ctx": self._ctx, "n_ctx_train": self._served.context_train},
        }

    async def health(self, request: web.Request) -> web.Response:
        """The gateway lives."""
        return _json({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """At least one worker takes traffic or is woken by it, and the swarm is not stopping."""
        return _json({"status": self._state()}, 200 if self.is_ready else 503)

    def _state(self) -> str:
        if self._activity.draining:
            return "stopping"
        if self.is_asleep:
            return "asleep"
        return "ok" if self.is_ready else "starting"

    async def metrics(self, request: web.Request) -> web.Response:
        workers, readers = await self._fleet.status(), self._reporter.events.subscribers
        body = self._reporter.metrics.render(
            workers, self._ledger, self._stats, readers, asleep=self.is_asleep
        )
        return web.Response(
            body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def status(self, request: web.Request) -> web.Response:
        workers = await self._fleet.status()
        body = {
            "model": self._served.model_id,
            "version": local_swarm.__version__,
            "ready": self.is_ready,
            "asleep": self.is_asleep,
            "uptime_s": round(time.monotonic() - self._since.monotonic, 1),
            "workers": [self._worker(w) for w in workers],
            "voters": self._voters,
            "queue": {"waiting": self._ledger.waiting, "in_flight": self._activity.in_flight},
            "peers": [],
        }
        return _json(body)

    @property
    def _voters(self) -> int:
        """Of the next request: fewer where the workers have fewer slots than they had."""
        return min(self._served.voters, self._ledger.voting_capacity or self._served.voters)

    def _worker(self, worker: WorkerStatus) -> dict[str, Any]:
        seen = self._stats.of(worker.id)
        return {
            "id": worker.id,
            "engine": worker.engine,
            "state": worker.state.value,
            "pid": worker.pid,
            "port": worker.port,
            "slots": worker.slots,
            "slots_busy": self._ledger.busy(worker.id),
            "ctx": worker.ctx,
            "restarts": worker.restarts,
            "requests": seen.requests,
            "latency_ms_avg": seen.latency_ms_avg,
            "tokens_per_s": seen.tokens_per_s,
            "planned_bytes": worker.planned_bytes,
            "observed_bytes": worker.observed_bytes,
            "drift": msgspec.to_builtins(worker.drift),
            "device_memory": msgspec.to_builtins(worker.device_memory),
            "reason": worker.reason,
            "reduced": worker.reduced,
            "crashes": worker.crashes,
            "rss_bytes": worker.rss_bytes,
            "pss_bytes": worker.pss_bytes,
            "vram_bytes": worker.vram_bytes,
        }


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json"
    )
