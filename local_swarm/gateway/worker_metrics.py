"""What the metrics say of each worker, from its status, the ledger and the stats (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from local_swarm.domain.worker import WorkerState, WorkerStatus
from local_swarm.gateway.stats import Stats


def families(
    workers: Iterable[WorkerStatus], busy: Callable[[str], int], stats: Stats
) -> list[Metric]:
    """Every metric of workers, each with one sample a worker (drift: one a difference)."""
    workers = tuple(workers)
    return [*_state(workers, busy), *_troubles(workers), *_work(workers, stats), *_drift(workers)]


def _state(workers: tuple[WorkerStatus, ...], busy: Callable[[str], int]) -> list[Metric]:
    label = ["worker"]
    ready = GaugeMetricFamily(
        "lswarm_worker_ready", "1 when the worker takes traffic.", labels=label
    )
    restarts = CounterMetricFamily(
        "lswarm_worker_restarts", "Lives of the worker after the first.", labels=label
    )
    slots = GaugeMetricFamily("lswarm_slots", "Slots of the worker.", labels=label)
    in_use = GaugeMetricFamily("lswarm_slots_busy", "Slots in use.", labels=label)
    for worker in workers:
        ready.add_metric([worker.id], worker.state is WorkerState.READY)
        restarts.add_metric([worker.id], worker.restarts)
        slots.add_metric([worker.id], worker.slots)
        in_use.add_metric([worker.id], busy(worker.id))
    return [ready, restarts, slots, in_use]


def _troubles(workers: tuple[WorkerStatus, ...]) -> list[Metric]:
    crashes = CounterMetricFamily(
        "lswarm_worker_crashes", "Lives of the worker that ended unasked.", labels=["worker"]
    )
    reduced = GaugeMetricFamily(
        "lswarm_worker_reduced",
        "1 when the worker runs smaller than planned, for lack of memory.",
        labels=["worker"],
    )
    memory = GaugeMetricFamily(
        "lswarm_worker_memory_bytes",
        "What the worker holds now, as far as the system tells.",
        labels=["worker", "kind"],
    )
    for worker in workers:
        crashes.add_metric([worker.id], worker.crashes)
        reduced.add_metric([worker.id], worker.reduced is not None)
        held = {"rss": worker.rss_bytes, "pss": worker.pss_bytes, "vram": worker.vram_bytes}
        for kind, size_bytes in held.items():
            if size_bytes is not None:
                memory.add_metric([worker.id, kind], size_bytes)
    return [crashes, reduced, memory]


def _work(workers: tuple[WorkerStatus, ...], stats: Stats) -> list[Metric]:
    label = ["worker"]
    prompt = CounterMetricFamily(
        "lswarm_prompt_tokens",
        "Tokens of the prompts of the voted APIs, cached ones too; once for all voters that one "
        "upstream request asked.",
        labels=label,
    )
    cached = CounterMetricFamily(
        "lswarm_prompt_cached_tokens",
        "Those of them that the worker still had in the slot.",
        labels=label,
    )
    completion = CounterMetricFamily(
        "lswarm_completion_tokens",
        "Tokens written by every voter, and for llama-server's own completions.",
        labels=label,
    )
    for worker in workers:
        seen = stats.of(worker.id)
        prompt.add_metric([worker.id], seen.prompt_tokens)
        cached.add_metric([worker.id], seen.cached_tokens)
        completion.add_metric([worker.id], seen.tokens)
    return [prompt, cached, completion]


def _drift(workers: tuple[WorkerStatus, ...]) -> list[Metric]:
    allocated = GaugeMetricFamily(
        "lswarm_worker_memory_drift_bytes",
        "What the engine allocated at its start less what was planned.",
        labels=["worker", "device", "kind"],
    )
    lost = GaugeMetricFamily(
        "lswarm_worker_device_memory_drift_bytes",
        "What a device lost while the worker started on it less what was planned.",
        labels=["worker", "device"],
    )
    for worker in workers:
        for d in worker.drift:
            difference = d.observed_bytes - d.planned_bytes
            allocated.add_metric([worker.id, d.device, d.kind], difference)
        for m in worker.device_memory:
            lost.add_metric([worker.id, m.device], m.used_bytes - m.planned_bytes)
    return [allocated, lost]
