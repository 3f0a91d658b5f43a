"""Prometheus metrics of the gateway, in a registry of their own."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from local_swarm.domain.worker import WorkerState, WorkerStatus
from local_swarm.gateway.ledger import Ledger

TENTHS = tuple(i / 10 for i in range(1, 11))
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "lswarm_requests_total",
            "Requests answered, by route and HTTP status.",
            ("route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "lswarm_request_duration_seconds",
            "Time from request to the end of the answer.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self._agreement = Histogram(
            "lswarm_vote_agreement_ratio",
            "Share of voters that say what the winner says.",
            buckets=TENTHS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "lswarm_requests_in_flight", "Requests being answered.", registry=registry
        )
        self._waiting = Gauge(
            "lswarm_queue_waiting", "Requests that wait for a slot.", registry=registry
        )
        self._busy = Gauge("lswarm_slots_busy", "Slots in use.", ("worker",), registry=registry)
        self._ready = Gauge(
            "lswarm_worker_ready",
            "1 when the worker takes traffic.",
            ("worker",),
            registry=registry,
        )
        self._restarts = Gauge(
            "lswarm_worker_restarts", "Lives after the first.", ("worker",), registry=registry
        )

        self._drift = Gauge(
            "lswarm_worker_memory_drift_bytes",
            "What the engine allocated at its start less what was planned.",
            ("worker", "device", "kind"),
            registry=registry,
        )

        self._device_drift = Gauge(
            "lswarm_worker_device_memory_drift_bytes",
            "What a device lost while the worker started on it less what was planned.",
            ("worker", "device"),
            registry=registry,
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def voted(self, agreement: float) -> None:
        self._agreement.observe(agreement)

    def render(self, workers: Iterable[WorkerStatus], ledger: Ledger) -> bytes:
        """The text exposition, with what is only known when asked."""
        self._waiting.set(ledger.waiting)
        self._drift.clear()
        self._device_drift.clear()
        for worker in workers:
            self._busy.labels(worker.id).set(ledger.busy(worker.id))
            self._ready.labels(worker.id).set(worker.state is WorkerState.READY)
            self._restarts.labels(worker.id).set(worker.restarts)
            for d in worker.drift:
                difference = d.observed_bytes - d.planned_bytes
                self._drift.labels(worker.id, d.device, d.kind).set(difference)
            for m in worker.device_memory:
                difference = m.used_bytes - m.planned_bytes
                self._device_drift.labels(worker.id, m.device).set(difference)
        return generate_latest(self._registry)
