"""Settings -> what would run: the plan, the engine, the children's key. Starts nothing.

Kept apart from `compose`, so that `lswarm plan` imports neither the gateway nor the supervisor.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from local_swarm import hardware
from local_swarm.budget import Wishes
from local_swarm.budget import plan as make_plan
from local_swarm.config import Config
from local_swarm.consensus import STRATEGIES
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import Plan, WorkerPlan
from local_swarm.engines import Engine
from local_swarm.engines import choose as choose_engine
from local_swarm.errors import ConfigError, ModelError
from local_swarm.models import Source, Store, resolve

CHILD_HOST = "127.0.0.1"
DEFAULT_MODEL = "builtin:demo"


@dataclass(frozen=True, slots=True)
class Prepared:
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


def prepare(
    config: Config,
    *,
    model: str | None = None,
    host: HostSnapshot | None = None,
    engine_args: Sequence[str] = (),
) -> Prepared:
    """Plans for this machine, or for `host`. Starts nothing.

    Raises ConfigError, ModelError, EngineError, FitError, UsageError.
    """
    _check_strategy(config.swarm.strategy)
    if config.federation.enabled:
        raise ConfigError(
            "federation.enabled is true, and federation comes with a later version.",
            hint="Leave the setting out, or start with --no-federation.",
        )
    names = (model,) if model else config.models.preferred or (DEFAULT_MODEL,)
    source = _first_found(names, Store.of(config.models.cache_dir))
    host = host or hardware.snapshot()
    engine = choose_engine(config.engine.name, path=config.engine.path)
    plan = make_plan(
        host,
        source.facts,
        wishes(config),
        model_id=source.model_id,
        engine_build=f"{engine.name} {engine.available().version}",
    )
    prepared = Prepared(
        config=config,
        host=host,
        model=source.facts,
        plan=plan,
        engine=engine,
        child_key=config.engine.api_key or secrets.token_urlsafe(24),
        engine_args=(*config.engine.args, *engine_args),
    )
    for worker in plan.workers:
        prepared.spec(worker, 0)  # refuses bad engine arguments before anything starts
    return prepared


def _first_found(names: Sequence[str], store: Store) -> Source:
    """The first model that can be used. Raises the ModelError of the last one tried."""
    *others, last = names
    for name in others:
        with contextlib.suppress(ModelError):
            return resolve(name, store=store)
    return resolve(last, store=store)


def _check_strategy(name: str) -> None:
    if name not in STRATEGIES:
        raise ConfigError(
            f"swarm.strategy is {name!r}, which is not known.",
            hint=f"Known are {', '.join(STRATEGIES)}.",
        )


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


def plan_document(prepared: Prepared) -> dict[str, Any]:
    """What `lswarm plan --json` prints. `--port 0` in argv stands for a port chosen at start."""
    plan = prepared.plan
    return {
        "host": hardware.to_dict(prepared.host),
        "model": plan.model_id,
        "workers": [_worker_document(prepared, worker) for worker in plan.workers],
        "voters": plan.voters,
        "budget": msgspec.to_builtins(plan.budget),
        "reasons": list(plan.reasons),
        "rejected": msgspec.to_builtins(plan.rejected),
    }


def _worker_document(prepared: Prepared, worker: WorkerPlan) -> dict[str, Any]:
    spec = prepared.spec(worker, 0)
    shown = {k: v for k, v in spec.env.items() if v != prepared.child_key}
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
