"""Settings -> plan -> fleet and gateway. The only module that knows every room."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from local_swarm import consensus, hardware
from local_swarm.budget import Wishes
from local_swarm.budget import plan as make_plan
from local_swarm.config import Config
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import Plan, WorkerPlan
from local_swarm.engines import Engine
from local_swarm.engines import choose as choose_engine
from local_swarm.gateway.app import GatewaySettings
from local_swarm.gateway.chat import ChatSettings
from local_swarm.gateway.stream import Pace
from local_swarm.gateway.turns import Served
from local_swarm.models import resolve
from local_swarm.supervisor.fleet import Job, LogSettings
from local_swarm.supervisor.restart import RestartPolicy

CHILD_HOST = "127.0.0.1"
DEFAULT_MODEL = "builtin:demo"


@dataclass(frozen=True, slots=True)
class Composition:
    """Everything that is decided before anything runs."""

    config: Config
    host: HostSnapshot
    model: ModelFacts
    plan: Plan
    engine: Engine
    child_key: str
    engine_args: tuple[str, ...]

    def spec(self, worker: WorkerPlan, port: int) -> LaunchSpec:
        return self.engine.launch(
            worker,
            host=CHILD_HOST,
            port=port,
            api_key=self.child_key,
            extra_args=self.engine_args,
        )


def compose(
    config: Config,
    *,
    model: str | None = None,
    host: HostSnapshot | None = None,
    engine_args: Sequence[str] = (),
) -> Composition:
    """Plans for this machine, or for `host`. Starts nothing.

    Raises ModelError, EngineError, FitError, UsageError.
    """
    name = model or (config.models.preferred or (DEFAULT_MODEL,))[0]
    source = resolve(name)
    host = host or hardware.snapshot()
    plan = make_plan(host, source.facts, wishes(config), model_id=source.model_id)
    engine = choose_engine(config.engine.name, path=config.engine.path)
    composition = Composition(
        config=config,
        host=host,
        model=source.facts,
        plan=plan,
        engine=engine,
        child_key=config.engine.api_key or secrets.token_urlsafe(24),
        engine_args=(*config.engine.args, *engine_args),
    )
    for worker in plan.workers:
        composition.spec(worker, 0)  # refuses bad engine arguments before anything starts
    return composition


def wishes(config: Config) -> Wishes:
    swarm = config.swarm
    return Wishes(
        voters=swarm.voters,
        layout=swarm.layout,
        workers=swarm.workers,
        slots=swarm.slots,
        ctx=swarm.ctx,
        threads=swarm.threads,
        ram_fraction=config.hardware.ram_fraction,
        reserve_bytes=config.hardware.reserve_bytes,
        cache_ram_mib=config.engine.cache_ram_mib,
        ctx_checkpoints=config.engine.ctx_checkpoints,
    )


def jobs(composition: Composition) -> list[Job]:
    return [_job(composition, worker) for worker in composition.plan.workers]


def _job(composition: Composition, worker: WorkerPlan) -> Job:
    return Job(
        id=worker.id,
        slots=worker.slots,
        lanes=worker.lanes,
        ctx=worker.ctx,
        api_key=composition.child_key,
        planned_bytes=worker.planned_bytes,
        launch=lambda: composition.spec(worker, free_port()),
    )


def free_port() -> int:
    """A port that was free a moment ago; should another take it, the next life gets another."""
    with socket.socket() as probe:
        probe.bind((CHILD_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def restart_policy(config: Config) -> RestartPolicy:
    s = config.supervisor
    return RestartPolicy(
        budget=s.restart_budget,
        window_s=s.restart_window_s,
        backoff_initial_s=s.backoff_initial_s,
        backoff_max_s=s.backoff_max_s,
        stable_s=s.stable_s,
        start_timeout_s=s.start_timeout_s,
        term_grace_s=s.term_grace_s,
        half_open_s=s.half_open_s,
    )


def log_settings(config: Config, directory: Path) -> LogSettings:
    return LogSettings(
        directory=directory,
        lines=config.supervisor.log_lines,
        max_bytes=config.logs.max_bytes,
        backups=config.logs.backups,
    )


def gateway_settings(composition: Composition, *, control_key: str) -> GatewaySettings:
    """The control key opens the gateway to this user's own commands where keys are asked for."""
    config, plan = composition.config, composition.plan
    server, swarm = config.server, config.swarm
    served = Served(
        model_id=plan.model_id,
        ctx=plan.workers[0].ctx,
        context_train=composition.model.context_train,
        voters=plan.voters,
        strategy=swarm.strategy,
        quorum=None if swarm.quorum == "majority" else swarm.quorum,
        unknown_model=server.unknown_model,
    )
    pace = Pace(first_byte_s=server.first_byte_s, keepalive_s=server.keepalive_s)
    return GatewaySettings(
        served=served,
        chat=ChatSettings(pace=pace, timeout_s=swarm.timeout_s, temperature=swarm.temperature),
        strategies=frozenset(consensus.STRATEGIES),
        host=server.host,
        keys=(*server.api_keys, control_key) if server.api_keys else (),
        hosts=server.allowed_hosts,
        max_body_bytes=server.max_body_bytes,
        max_queue=server.max_queue,
    )


def plan_document(composition: Composition) -> dict[str, Any]:
    """What `lswarm plan --json` prints. `--port 0` in argv stands for a port chosen at start."""
    plan = composition.plan
    return {
        "host": msgspec.to_builtins(composition.host),
        "model": plan.model_id,
        "workers": [_worker_document(composition, worker) for worker in plan.workers],
        "voters": plan.voters,
        "budget": msgspec.to_builtins(plan.budget),
        "reasons": list(plan.reasons),
        "rejected": msgspec.to_builtins(plan.rejected),
    }


def _worker_document(composition: Composition, worker: WorkerPlan) -> dict[str, Any]:
    spec = composition.spec(worker, 0)
    shown = {k: v for k, v in spec.env.items() if v != composition.child_key}
    return {
        "id": worker.id,
        "devices": list(worker.devices),
        "gpu_layers": worker.gpu_layers,
        "tensor_split": list(worker.tensor_split),
        "slots": worker.slots,
        "ctx": worker.ctx,
        "threads": worker.threads,
        "argv": list(spec.argv),
        "env": shown,
        "parts": msgspec.to_builtins(worker.parts),
    }
