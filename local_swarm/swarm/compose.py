"""What was prepared -> fleet and gateway. Connects the rooms that do not know each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local_swarm import hardware
from local_swarm.config import Config
from local_swarm.consensus import STRATEGIES
from local_swarm.engines import asks_for_vectors
from local_swarm.gateway.app import GatewaySettings
from local_swarm.gateway.bodies import BodyLimits
from local_swarm.gateway.connections import ConnectionLimits
from local_swarm.gateway.deciding import VoteSettings
from local_swarm.gateway.fanout import FanoutSettings
from local_swarm.gateway.gathering import Patience
from local_swarm.gateway.learning import SkillBook
from local_swarm.gateway.stream import Pace
from local_swarm.gateway.turns import Served
from local_swarm.gateway.voted import VotedSettings
from local_swarm.supervisor.fleet import Fleet, Mourner
from local_swarm.supervisor.idling import Idling
from local_swarm.supervisor.job import Job, LogSettings
from local_swarm.supervisor.load import LoadSettings
from local_swarm.supervisor.looking import Watcher
from local_swarm.supervisor.memory_watch import MemoryWatch
from local_swarm.supervisor.progress import Limits as HangLimits
from local_swarm.supervisor.restart import RestartPolicy
from local_swarm.swarm.changes import Runs
from local_swarm.swarm.jobs import Source, job_of
from local_swarm.swarm.planning import Prepared
from local_swarm.swarm.sensing import Senses, memory_policy, oom_kills
from local_swarm.wire.limits import Limits


@dataclass(frozen=True, slots=True)
class Watches:
    """What looks after the workers beyond their exit and readiness."""

    hangs: Watcher
    idling: Idling
    memory: MemoryWatch

    @classmethod
    def of(cls, prepared: Prepared) -> Watches:
        config = prepared.config
        return cls(
            Watcher(hang_limits(config)),
            Idling(load_settings(prepared)),
            MemoryWatch(memory_policy(config), Senses(prepared.host.devices)),
        )

    def hold_while(self, is_busy: Callable[[], bool]) -> None:
        """They start and stop no worker while somebody else does."""
        self.idling.held = self.memory.held = is_busy

    def take(self, prepared: Prepared) -> None:
        """Other settings from now on."""
        self.hangs.limits = hang_limits(prepared.config)
        self.idling.settings = load_settings(prepared)
        self.memory.policy = memory_policy(prepared.config)


def fleet_of(
    prepared: Prepared,
    crew: Sequence[Runs],
    watches: Watches,
    *,
    run_token: str,
    logs: Path,
    mourner: Mourner = lambda death, what: None,
) -> Fleet:
    """The one place where a swarm's fleet is made."""
    return Fleet(
        [job(runs) for runs in crew],
        restart_policy(prepared.config),
        run_token=run_token,
        logs=log_settings(prepared.config, logs),
        watches=[watches.hangs, watches.idling, watches.memory],
        oom_kills=oom_kills,
        memory_of=partial(hardware.process_memory, devices=prepared.host.devices),
        mourner=mourner,
    )


def job(runs: Runs) -> Job:
    """How the fleet keeps one worker."""
    assert isinstance(runs.source, Source)
    return job_of(runs.source, runs.plan)


def restart_policy(config: Config) -> RestartPolicy:
    s = config.supervisor
    return RestartPolicy(
        budget=s.restart_budget,
        swarm_budget=s.swarm_restart_budget,
        window_s=s.restart_window_s,
        backoff_initial_s=s.backoff_initial_s,
        backoff_max_s=s.backoff_max_s,
        stable_s=s.stable_s,
        start_timeout_s=s.start_timeout_s,
        term_grace_s=s.term_grace_s,
        half_open_s=s.half_open_s,
        drain_timeout_s=s.drain_timeout_s,
    )


def hang_limits(config: Config) -> HangLimits:
    s = config.supervisor
    return HangLimits(hang_timeout_s=s.hang_timeout_s, stall_timeout_s=s.stall_timeout_s)


def load_settings(prepared: Prepared) -> LoadSettings:
    swarm, plan = prepared.config.swarm, prepared.plan
    voting = max(1, min(worker.slots - worker.lanes for worker in plan.workers))
    return LoadSettings(
        idle_unload_s=swarm.idle_unload_s,
        min_workers=None if swarm.min_workers == "auto" else swarm.min_workers,
        vote_workers=math.ceil(plan.voters / voting),
    )


def log_settings(config: Config, directory: Path) -> LogSettings:
    return LogSettings(
        directory=directory,
        lines=config.supervisor.log_lines,
        max_bytes=config.logs.max_bytes,
        backups=config.logs.backups,
    )


def gateway_settings(
    prepared: Prepared, *, control_key: str, skills: SkillBook | None = None
) -> GatewaySettings:
    """The control key opens the gateway to this user's own commands where keys are asked for."""
    config, plan = prepared.config, prepared.plan
    server, swarm = config.server, config.swarm
    served = Served(
        model_id=plan.model_id,
        ctx=plan.workers[0].ctx,
        context_train=prepared.model.context_train,
        voters=plan.voters,
        strategy=swarm.strategy,
        quorum=None if swarm.quorum == "majority" else swarm.quorum,
        unknown_model=server.unknown_model,
        purpose=prepared.model.purpose,
        first_voters=swarm.first_voters,
        adaptive=swarm.adaptive,
    )
    pace = Pace(first_byte_s=server.first_byte_s, keepalive_s=server.keepalive_s)
    return GatewaySettings(
        served=served,
        voted=VotedSettings(pace=pace, timeout_s=swarm.timeout_s, temperature=swarm.temperature),
        fanout=FanoutSettings(
            patience=Patience(factor=swarm.straggler_factor),
            temperature_spread=swarm.temperature_spread,
            logprobs=config.consensus.logprobs == "auto",
        ),
        votes=_votes(prepared, skills),
        strategies=frozenset(STRATEGIES),
        host=server.host,
        keys=(*server.api_keys, control_key) if server.api_keys else (),
        control_key=control_key,
        hosts=server.allowed_hosts,
        max_body_bytes=server.max_body_bytes,
        max_queue=server.max_queue,
        show_prompts=config.logs.prompts,
        access_log=config.logs.access,
        connections=ConnectionLimits(server.max_connections, server.idle_timeout_s),
        limits=BodyLimits(
            server.body_timeout_s, Limits(server.max_tokens, server.max_schema_bytes)
        ),
    )


def _votes(prepared: Prepared, skills: SkillBook | None) -> VoteSettings:
    consensus = prepared.config.consensus
    return VoteSettings(
        execute=consensus.execute,
        sure=consensus.sure,
        embeddings_url=consensus.embeddings_url,
        embeddings_model=consensus.embeddings_model,
        embeddings_key=consensus.embeddings_key,
        own_embeddings=asks_for_vectors(prepared.engine_args),
        skills=skills,
    )
