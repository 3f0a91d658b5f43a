"""Settings -> what would run: the model, the plan, the engine, the children's key.

Kept apart from `compose`, so that `lswarm plan` imports neither the gateway nor the supervisor.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from local_swarm import hardware
from local_swarm.config import Config
from local_swarm.consensus import STRATEGIES
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import Plan, WorkerPlan
from local_swarm.engines import Engine, asks_for_ranks, asks_for_vectors
from local_swarm.engines import choose as choose_engine
from local_swarm.errors import ConfigError, UsageError
from local_swarm.swarm.asking import Asker
from local_swarm.swarm.choosing import Chooser, wishes
from local_swarm.swarm.machine import given, machine

CHILD_HOST = "127.0.0.1"


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
    unseen: bool = False,
) -> Prepared:
    """Plans for this machine, or for `host`. Starts no worker.

    `unseen`: the model need not be downloaded, for then nothing will run. On this machine the
    engine may be asked what it would reserve (`engines.dry_run`; seconds at the worst). Raises
    ConfigError, ModelError, EngineError, FitError, UsageError.
    """
    _check_strategy(config.swarm.strategy)
    if config.federation.enabled:
        raise ConfigError(
            "federation.enabled is true, and federation comes with a later version.",
            hint="Leave the setting out, or start with --no-federation.",
        )
    engine = choose_engine(config.engine.name, path=config.engine.path)
    args = (*config.engine.args, *engine_args)
    found = given(host) if host else machine(engine)
    chooser = Chooser(
        config=config,
        machine=found,
        wishes=replace(wishes(config, engine.capabilities), vectors=asks_for_vectors(args)),
        engine_build=f"{engine.name} {engine.available().version}",
        ask=None if host else Asker(engine, args),
        unseen=unseen or host is not None,
    )
    facts, plan = chooser.choose(model, elsewhere=host is not None)
    if asks_for_ranks(args) and facts.purpose != "rerank":
        raise UsageError(
            f"{plan.model_id} cannot rank texts: it was not made for it.",
            hint="Leave --reranking out, or name a reranking model (docs/models.md).",
        )
    if host:
        plan = replace(plan, workers=tuple(map(_as_numbered_there, plan.workers)))
    prepared = Prepared(
        config=config,
        host=found.host,
        model=facts,
        plan=replace(plan, reasons=(*found.notes, *plan.reasons)),
        engine=engine,
        child_key=config.engine.api_key or secrets.token_urlsafe(24),
        engine_args=args,
    )
    for worker in plan.workers:
        prepared.spec(worker, 0)  # refuses bad engine arguments before anything starts
    return prepared


def _as_numbered_there(worker: WorkerPlan) -> WorkerPlan:
    """Pinned by what its devices are called on their own machine, whatever we are shown here."""
    return replace(worker, pins=worker.pins or worker.devices)


def _check_strategy(name: str) -> None:
    if name not in STRATEGIES:
        raise ConfigError(
            f"swarm.strategy is {name!r}, which is not known.",
            hint=f"Known are {', '.join(STRATEGIES)}.",
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
