"""Settings -> what would run: the model, the plan, the engine, the children's key.

Kept apart from `compose`, so that `lswarm plan` imports neither the gateway nor the supervisor.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from local_swarm import hardware
from local_swarm.budget import Beside, Wishes
from local_swarm.config import Config
from local_swarm.consensus import STRATEGIES
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import Plan, WorkerPlan
from local_swarm.engines import Engine, asks_for_ranks, asks_for_vectors
from local_swarm.engines import choose as choose_engine
from local_swarm.errors import ConfigError, ModelError, UsageError
from local_swarm.models import Store, resolve
from local_swarm.swarm.asking import Asker
from local_swarm.swarm.choosing import DEFAULT_MODEL, Chooser, wishes
from local_swarm.swarm.machine import Machine, given, machine
from local_swarm.swarm.replanning import as_if_alone

CHILD_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What the command line says beside the settings: the model, and arguments for the engine. It
    holds as long as the swarm runs."""

    model: str | None = None
    engine_args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is decided before anything runs. `engine_args` are all there are; `wishes`,
    `beside` and `engine_build` are what the plan was made with."""

    config: Config
    host: HostSnapshot
    model: ModelFacts
    plan: Plan
    engine: Engine
    child_key: str
    engine_args: tuple[str, ...]
    wishes: Wishes
    beside: Beside
    engine_build: str | None
    said: CommandLine = CommandLine()

    def spec(self, worker: WorkerPlan, port: int) -> LaunchSpec:
        return self.engine.launch(
            worker,
            host=CHILD_HOST,
            port=port,
            api_key=self.child_key,
            extra_args=self.engine_args,
        )


@dataclass(frozen=True, slots=True)
class Present:
    """The swarm that runs while another plan is made for its place; `held` is the bytes by device
    that its workers give back."""

    prepared: Prepared
    held: Mapping[str, int]

    def without(self, found: Machine) -> Machine:
        return replace(found, host=as_if_alone(self.prepared.host, found.host, self.held))


def prepare(
    config: Config,
    *,
    model: str | None = None,
    host: HostSnapshot | None = None,
    engine_args: Sequence[str] = (),
    unseen: bool = False,
    present: Present | None = None,
) -> Prepared:
    """Plans for this machine, or for `host`. Starts no worker.

    `unseen`: the model need not be downloaded, for then nothing will run. `present`: the plan is
    for the place of that swarm, which runs here, and keeps its children's key. On this machine the
    engine may be asked what it would reserve (`engines.dry_run`; seconds at the worst). Raises
    ConfigError, ModelError, EngineError, FitError, UsageError.
    """
    check(config)
    engine = choose_engine(config.engine.name, path=config.engine.path)
    args = (*config.engine.args, *engine_args)
    found = given(host) if host else machine(engine)
    if present is not None:
        found = present.without(found)
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
        child_key=config.engine.api_key or _child_key(present),
        engine_args=args,
        wishes=chooser.wishes,
        beside=chooser.beside(),
        engine_build=chooser.engine_build,
        said=CommandLine(model, tuple(engine_args)),
    )
    for worker in plan.workers:
        prepared.spec(worker, 0)  # refuses bad engine arguments before anything starts
    return prepared


def name_of_model(prepared: Prepared) -> str:
    """A name under which `prepare` finds the model that runs, and no other. Reads its header."""
    names = (prepared.said.model, *prepared.config.models.preferred, prepared.plan.model_id)
    store = Store.of(prepared.config.models.cache_dir)
    for name in (*filter(None, names), DEFAULT_MODEL):
        with contextlib.suppress(ModelError):
            found = resolve(name, store=store)
            if (found.model_id, found.facts.path) == (prepared.plan.model_id, prepared.model.path):
                return name
    return prepared.model.path


def _child_key(present: Present | None) -> str:
    return present.prepared.child_key if present else secrets.token_urlsafe(24)


def _as_numbered_there(worker: WorkerPlan) -> WorkerPlan:
    """Pinned by what its devices are called on their own machine, whatever we are shown here."""
    return replace(worker, pins=worker.pins or worker.devices)


def check(config: Config) -> None:
    """What can be wrong with settings that are right by themselves. Raises ConfigError."""
    name = config.swarm.strategy
    if config.federation.enabled:
        raise ConfigError(
            "federation.enabled is true, and federation comes with a later version.",
            hint="Leave the setting out, or start with --no-federation.",
        )
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
