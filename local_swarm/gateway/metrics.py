"""Prometheus metrics of the gateway, in a registry of their own. docs/observability.md lists them.

What happens is counted here as it happens; what workers are like is read when it is asked for
(`worker_metrics.py`). Labels are bounded: an unknown path is the route "other".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from local_swarm.domain.worker import WorkerStatus
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.worker_metrics import families

TENTHS = tuple(i / 10 for i in range(1, 11))
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
VOTERS = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._workers = _Asked()
        self.registry.register(self._workers)
        self._count_requests()
        self._count_waiting()
        self._count_votes()
        self._count_readers()
        self._asleep = Gauge(
            "lswarm_asleep",
            "1 while the workers wait for the next request to be started.",
            registry=self.registry,
        )

    def _count_requests(self) -> None:
        self._requests = Counter(
            "lswarm_requests_total",
            "Requests answered, by route and HTTP status; 499 where the client left first.",
            ("route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "lswarm_request_duration_seconds",
            "Time from request to the end of the answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._first_byte = Histogram(
            "lswarm_time_to_first_byte_seconds",
            "Time from request to the first byte of the answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "lswarm_requests_in_flight", "Requests being answered.", registry=self.registry
        )

    def _count_waiting(self) -> None:
        self._waiting = Gauge(
            "lswarm_queue_waiting", "Requests that wait for a slot.", registry=self.registry
        )
        self._queued = Histogram(
            "lswarm_queue_wait_seconds",
            "Time a request waited for its slots; once for each time it took some.",
            buckets=SECONDS,
            registry=self.registry,
        )

    def _count_votes(self) -> None:
        self._voters = Histogram(
            "lswarm_vote_voters",
            "Voters asked for one voted request.",
            buckets=VOTERS,
            registry=self.registry,
        )
        self._agreement = Histogram(
            "lswarm_vote_agreement_ratio",
            "Share of voters that say what the winner says.",
            buckets=TENTHS,
            registry=self.registry,
        )
        self._abstained = Counter(
            "lswarm_vote_abstentions_total",
            "Answers that broke their request's rules and had no vote.",
            registry=self.registry,
        )
        self._ended_early = Counter(
            "lswarm_votes_ended_early_total",
            "Votes that were decided before every voter had answered.",
            registry=self.registry,
        )
        self._saved = Counter(
            "lswarm_vote_samples_saved_total",
            "Answers that a vote which ended early did not wait for, or never asked for.",
            registry=self.registry,
        )
        self._grown = Counter(
            "lswarm_vote_growth_rounds_total",
            "Times that more voters were asked because the first had settled nothing.",
            registry=self.registry,
        )
        self._judges = Counter(
            "lswarm_vote_judges_total",
            "Voters that said which of several answers is best.",
            registry=self.registry,
        )

    def _count_readers(self) -> None:
        self.connections_refused = Counter(
            "lswarm_connections_refused_total",
            "Connections turned away because too many were open.",
            registry=self.registry,
        )
        self._readers = Gauge(
            "lswarm_event_readers", "Readers of /v1/swarm/events.", registry=self.registry
        )

    def answered(
        self, route: str, status: int, seconds: float, first_byte_s: float | None = None
    ) -> None:
        """A request is over. `route` is one of a bounded set."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if first_byte_s is not None:
            self._first_byte.labels(route).observe(first_byte_s)

    def queued(self, seconds: float) -> None:
        """A request got its slots, or gave up, after waiting so long."""
        self._queued.observe(seconds)

    def asked(self, voters: int, abstained: int = 0) -> None:
        """So many voters were asked for one voted request, and so many of them abstained."""
        self._voters.observe(voters)
        self._abstained.inc(abstained)

    def voted(self, agreement: float) -> None:
        """Answers were compared."""
        self._agreement.observe(agreement)

    def grew(self) -> None:
        """A vote that had begun with some of its voters asked the others."""
        self._grown.inc()

    def judged(self, judges: int) -> None:
        """So many voters were judges of a vote."""
        self._judges.inc(judges)

    def ended_early(self, saved: int) -> None:
        """A vote was decided while `saved` voters were still writing."""
        self._ended_early.inc()
        self._saved.inc(saved)

    def render(
        self,
        workers: Iterable[WorkerStatus],
        ledger: Ledger,
        stats: Stats,
        readers: int = 0,
        *,
        asleep: bool = False,
    ) -> bytes:
        """The text exposition, with what is only known when asked."""
        self._waiting.set(ledger.waiting)
        self._readers.set(readers)
        self._asleep.set(asleep)
        self._workers.families = families(workers, ledger.busy, stats)
        return generate_latest(self.registry)


class _Asked(Collector):
    """Gives what it was handed last."""

    def __init__(self) -> None:
        self.families = families((), lambda worker: 0, Stats())

    def collect(self) -> Iterator[Metric]:
        yield from self.families
