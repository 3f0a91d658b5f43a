"""A worker as others see it: an endpoint for the gateway, a row of the status."""

from __future__ import annotations

from dataclasses import replace

from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.worker import WorkerState, WorkerStatus
from local_swarm.hardware import ProcessMemory
from local_swarm.supervisor.keeper import Keeper


def endpoint(keeper: Keeper) -> Endpoint:
    job, spec = keeper.running, keeper.spec
    seen = Endpoint(
        id=job.id,
        base_url=f"http://{spec.host}:{spec.port}" if spec else "",
        api_key=job.api_key,
        slots=job.slots,
        lanes=job.lanes,
        ctx=job.ctx,
        generation=keeper.worker.generation,
        pool=job.pool,
        token_bytes=job.token_bytes,
    )
    return replace(seen, capabilities=spec.capabilities) if spec else seen


def status(keeper: Keeper, held: ProcessMemory | None) -> WorkerStatus:
    job, spec, worker, life = keeper.running, keeper.spec, keeper.worker, keeper.life
    pid = keeper.child.pid if keeper.child else None
    observed = life.observed if life and worker.has_process else None
    return WorkerStatus(
        id=job.id,
        engine=spec.engine if spec else None,
        state=worker.state,
        pid=pid,
        port=spec.port if spec and pid else None,
        slots=job.slots,
        ctx=job.ctx,
        restarts=worker.restarts,
        planned_bytes=job.planned_bytes,
        observed_bytes=observed.total_bytes if observed else _held_bytes(held),
        drift=observed.drift if observed else (),
        device_memory=life.device_memory if life else (),
        reason=reason(keeper),
        reduced=job.given_up or None,
        crashes=keeper.crashes,
        rss_bytes=held.rss_bytes if held else None,
        pss_bytes=held.pss_bytes if held else None,
        vram_bytes=sum(held.device_bytes.values()) if held and held.device_bytes else None,
    )


def _held_bytes(held: ProcessMemory | None) -> int | None:
    """PSS where the system tells it, RSS elsewhere."""
    return (held.pss_bytes or held.rss_bytes) if held else None


def reason(keeper: Keeper) -> str | None:
    """Why it is not ready; None for one that is."""
    if keeper.worker.state is WorkerState.READY:
        return None
    if keeper.rest is not None:
        return keeper.rest.value
    return keeper.worker.why or None
