"""A worker of a plan -> what the fleet keeps alive: how it is launched, watched, made smaller."""

from __future__ import annotations

import functools
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_swarm.budget import observe, smaller
from local_swarm.budget.pricing import MAPPED
from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.plan import CPU_DEVICE, Observed, Plan, WorkerPlan
from local_swarm.engines import on_devices, printed_sizes, slot_file_bytes, with_slot_files
from local_swarm.supervisor.job import Job, JobMemory, Where
from local_swarm.swarm.device_memory import Starts
from local_swarm.swarm.planning import CHILD_HOST, Prepared


@dataclass(frozen=True, slots=True)
class Source:
    """What a worker is made from: a plan with its engine, the watch over all its starts, and where
    its slots are kept over a restart (None: nowhere)."""

    prepared: Prepared
    starts: Starts
    slots: Path | None = None


def job_of(source: Source, worker: WorkerPlan, given_up: tuple[str, ...] = ()) -> Job:
    """How the fleet keeps one worker, which has given up so much of its plan."""
    prepared = source.prepared
    return Job(
        id=worker.id,
        slots=worker.slots,
        lanes=worker.lanes,
        ctx=worker.ctx,
        api_key=prepared.child_key,
        planned_bytes=worker.planned_bytes,
        pool=worker.pool,
        token_bytes=prepared.model.longest_token,
        launch=functools.partial(_launch, source, worker),
        observe=functools.partial(_observed, worker),
        watch=source.starts.watcher(worker),
        devices=worker.devices or (CPU_DEVICE,),
        memory=memory_of(prepared, worker),
        shrink=functools.cache(functools.partial(_smaller, source, worker, given_up)),
        given_up=", ".join(given_up),
        slot_bytes=slot_file_bytes(worker) if source.slots else 0,
    )


def _launch(source: Source, worker: WorkerPlan) -> LaunchSpec:
    spec = source.prepared.spec(worker, free_port())
    return with_slot_files(spec, worker, source.slots) if source.slots else spec


def _observed(worker: WorkerPlan, lines: Sequence[str]) -> Observed | None:
    return observe(worker.parts, on_devices(printed_sizes(lines), worker.devices))


def _smaller(
    source: Source, worker: WorkerPlan, given_up: tuple[str, ...], where: Where
) -> Job | None:
    prepared = source.prepared
    step = smaller(
        worker,
        prepared.model,
        where=where,
        host=prepared.host,
        wishes=prepared.wishes,
        beside=prepared.beside,
        engine_build=prepared.engine_build,
        workers=len(prepared.plan.workers),
        room_bytes=room_in_ram(prepared.plan),
    )
    if step is None:
        return None
    return job_of(source, step.plan, (*given_up, step.given_up))


def room_in_ram(plan: Plan) -> int:
    """RAM that the plan leaves unused."""
    ram = next((budget for budget in plan.budget if budget.device == CPU_DEVICE), None)
    return max(0, ram.usable_bytes - ram.planned_bytes) if ram else 0


def memory_of(prepared: Prepared, worker: WorkerPlan) -> JobMemory:
    """Where its planned bytes lie; on an integrated device they lie in RAM."""
    in_ram = {CPU_DEVICE, *(d.id for d in prepared.host.devices if d.integrated)}
    mapped = [p for p in worker.parts if p.device == CPU_DEVICE and p.kind in MAPPED]
    cached = [p for p in worker.parts if p.kind == "prompt_cache"]
    host = sum(part.bytes for part in worker.parts if part.device in in_ram)
    mapped_bytes = sum(part.bytes for part in mapped)
    return JobMemory(
        host_bytes=host - mapped_bytes,
        mapped_bytes=mapped_bytes,
        cache_bytes=sum(part.bytes for part in cached),
        on_devices={
            device: sum(part.bytes for part in worker.parts if part.device == device)
            for device in worker.devices
            if device not in in_ram
        },
    )


def free_port() -> int:
    """A port that was free a moment ago; should another take it, the next life gets another."""
    with socket.socket() as probe:
        probe.bind((CHILD_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
