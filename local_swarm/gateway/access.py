"""What is told of a request once it is over: access log, metrics, events."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from local_swarm.gateway.events import Events
from local_swarm.gateway.metrics import Metrics
from local_swarm.gateway.record import RECORD, Record
from local_swarm.telemetry.logs import get_logger

log = get_logger("access")


class Reporter:
    """Tells each record once. With `lines`, which may change, one line of the log for each."""

    def __init__(self, metrics: Metrics, events: Events, *, lines: bool) -> None:
        self.metrics = metrics
        self.events = events
        self.lines = lines

    def began(self, record: Record) -> None:
        self.metrics.in_flight.inc()
        if record.method == "POST":
            self.events.publish("request.started", {"id": record.id, "route": record.route})

    def left(self) -> None:
        """Its handler is over."""
        self.metrics.in_flight.dec()

    def over(self, record: Record, status: int, sent_bytes: int = 0) -> None:
        """The last byte of the answer is written, or the client has left."""
        elapsed_s = record.elapsed_s
        self.metrics.answered(record.route, status, elapsed_s, record.first_byte_s)
        if record.method == "POST":
            self.events.publish("request.finished", _event(record, status, elapsed_s))
        if self.lines:
            log.info("request", **_line(record, status, elapsed_s, sent_bytes))

    def access_logger(self) -> type[AbstractAccessLogger]:
        """For aiohttp, which calls it when the answer is written: later than any middleware."""
        reporter = self

        class Over(AbstractAccessLogger):
            def log(self, request: web.BaseRequest, response: web.StreamResponse, _: float) -> None:
                record = request.get(RECORD)
                if isinstance(record, Record):
                    reporter.over(record, response.status, response.body_length)

        return Over


def _event(record: Record, status: int, elapsed_s: float) -> dict[str, Any]:
    return {
        "id": record.id,
        "route": record.route,
        "status": status,
        "elapsed_ms": round(1000 * elapsed_s, 1),
        **record.facts,
    }


def _line(record: Record, status: int, elapsed_s: float, sent_bytes: int) -> dict[str, Any]:
    first = record.first_byte_s
    return {
        "request_id": record.id,
        "method": record.method,
        "path": record.path,
        "route": record.route,
        "status": status,
        "elapsed_ms": round(1000 * elapsed_s, 1),
        "first_byte_ms": None if first is None else round(1000 * first, 1),
        "sent_bytes": sent_bytes,
        **record.facts,
    }
