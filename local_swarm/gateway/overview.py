"""GET /v1/models, /health, /ready, /metrics, /v1/swarm/status."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from aiohttp import web

from local_swarm.domain.worker import WorkerStatus
from local_swarm.gateway.access import Reporter
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.turns import SOLO_SUFFIX, SWARM_ALIAS, Served


class Overview:
    def __init__(
        self,
        served: Served,
        fleet: Fleet,
        ledger: Ledger,
        stats: Stats,
        activity: Activity,
        reporter: Reporter,
    ) -> None:
        self._served = served
        self._fleet = fleet
        self._ledger = ledger
        self._stats = stats
        self._activity = activity
        self._reporter = reporter
        self._started = time.time()
        self._started_monotonic = time.monotonic()

    @property
    def is_ready(self) -> bool:
        return bool(self._fleet.endpoints()) and not self._activity.draining

    async def models(self, request: web.Request) -> web.Response:
        ids = (self._served.model_id, self._served.model_id + SOLO_SUFFIX, SWARM_ALIAS)
        return _json({"object": "list", "data": [self._model(i) for i in ids]})

    def _model(self, model_id: str) -> dict[str, Any]:
        served = self._served
        return {
            "id": model_id,
            "object": "model",
            "created": int(self._started),
            "owned_by": "local-swarm",
            "context_length": served.ctx,
            "meta": {"n_ctx": served.ctx, "n_ctx_train": served.context_train},
        }

    async def health(self, request: web.Request) -> web.Response:
        """The gateway lives."""
        return _json({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """At least one worker takes traffic, and the swarm is not stopping."""
        status = "ok" if self.is_ready else "starting"
        return _json({"status": status}, 200 if self.is_ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        workers, readers = await self._fleet.status(), self._reporter.events.subscribers
        body = self._reporter.metrics.render(workers, self._ledger, self._stats, readers)
        return web.Response(
            body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def status(self, request: web.Request) -> web.Response:
        workers = await self._fleet.status()
        body = {
            "model": self._served.model_id,
            "ready": self.is_ready,
            "uptime_s": round(time.monotonic() - self._started_monotonic, 1),
            "workers": [self._worker(w) for w in workers],
            "voters": self._served.voters,
            "queue": {"waiting": self._ledger.waiting, "in_flight": self._activity.in_flight},
            "peers": [],
        }
        return _json(body)

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
        }


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json"
    )
