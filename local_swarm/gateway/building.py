"""Puts an application together: what is shared for as long as the gateway serves, and settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Middleware

from local_swarm.gateway import openapi, refusals
from local_swarm.gateway.access import Reporter
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.asked import AnyWorker, Asked, Told
from local_swarm.gateway.bodies import LIMITS
from local_swarm.gateway.control import Controls
from local_swarm.gateway.counted import Counted
from local_swarm.gateway.counting import Counting
from local_swarm.gateway.deciding import Means, votes_of
from local_swarm.gateway.door import Door, door_middleware, mark
from local_swarm.gateway.events import EventStream
from local_swarm.gateway.fanout import Fanout
from local_swarm.gateway.learning import Learner
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.length import Length
from local_swarm.gateway.overview import Overview, Since
from local_swarm.gateway.passed import Completions, Embeddings, Turnstile
from local_swarm.gateway.ports import Ballots, Control, Fleet
from local_swarm.gateway.purposes import answering
from local_swarm.gateway.relay import Relay
from local_swarm.gateway.routes import Handler, Kind, PassingHandler, add_routes
from local_swarm.gateway.settings import GatewaySettings
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.upstream import Upstream
from local_swarm.gateway.voted import Voted
from local_swarm.wire.choices import ChatFamily, CompletionFamily
from local_swarm.wire.messages_reply import MessagesFamily
from local_swarm.wire.responses_reply import ResponsesFamily


@dataclass(frozen=True, slots=True)
class Shared:
    """What outlives the settings: the workers, who holds which of their slots, what was counted
    and learnt, and the processes that compare answers."""

    fleet: Fleet
    ledger: Ledger
    upstream: Upstream
    counting: Counting
    activity: Activity
    ballots: Ballots
    learner: Learner
    reporter: Reporter
    control: Control | None
    stats: Stats = field(default_factory=Stats)
    since: Since = field(default_factory=Since)


def build(settings: GatewaySettings, shared: Shared) -> tuple[web.Application, Middleware]:
    """The application, not yet listening, and the door that its routes are behind. Neither needs
    any clean-up."""
    door = door_middleware(_door(settings), shared.reporter)
    app = web.Application(client_max_size=settings.max_body_bytes)
    app.on_response_prepare.append(mark)
    app[LIMITS] = settings.limits
    length = Length(settings.served.model_id, shared.fleet, shared.counting)
    workers = AnyWorker(
        shared.fleet,
        shared.ledger,
        shared.upstream,
        shared.activity,
        timeout_s=settings.voted.timeout_s,
    )
    handlers = {
        **_voted(settings, shared, length),
        **_asking(settings, shared, workers),
        **_telling(settings, shared),
        **_controlling(settings, shared),
        Kind.OPENAPI: openapi.handle,
        Kind.CHANGES_A_WORKER: refusals.changes_a_worker,
        Kind.CHANGES_THE_MODEL: refusals.changes_the_model,
        Kind.NOT_OFFERED: refusals.not_offered,
    }
    passing = {
        **_passing(settings, shared, length),
        Kind.ASKED: Asked(settings.served, workers).handle,
    }
    add_routes(app, *answering(settings.served, handlers, passing), door)
    return app, door


def _door(settings: GatewaySettings) -> Door:
    """Where keys are asked for, the control key opens it too: for its own routes, and `status`."""
    keys = {*settings.keys, settings.control_key} - {""} if settings.keys else ()
    hosts = {host.lower() for host in (*settings.hosts, settings.host)}
    return Door(keys=keys, hosts=hosts)


def _voted(settings: GatewaySettings, shared: Shared, length: Length) -> dict[Kind, Handler]:
    served, ledger, upstream = settings.served, shared.ledger, shared.upstream
    fanout = Fanout(shared.fleet, ledger, upstream, shared.stats, served.model_id, settings.fanout)
    means = Means(shared.fleet, ledger, upstream, fanout, length)
    metrics, learner = shared.reporter.metrics, shared.learner
    votes = votes_of(settings.votes, served.model_id, means, shared.ballots, metrics, learner)
    voted = Voted(
        served,
        settings.voted,
        votes=votes,
        relay=Relay(fanout, ledger, upstream),
        ledger=ledger,
        length=length,
        strategies=settings.strategies,
        activity=shared.activity,
        executes=settings.votes.execute,
    )
    return {
        Kind.CHAT: partial(voted.handle, ChatFamily()),
        Kind.TEXT: partial(voted.handle, CompletionFamily()),
        Kind.MESSAGES: partial(voted.handle, MessagesFamily()),
        Kind.RESPONSES: partial(voted.handle, ResponsesFamily()),
    }


def _asking(settings: GatewaySettings, shared: Shared, workers: AnyWorker) -> dict[Kind, Handler]:
    told = Told(workers, shared.ledger, prompts=settings.show_prompts)
    counted = Counted(settings.served, workers, shared.counting)
    return {
        Kind.COUNTED_MESSAGES: partial(counted.handle, MessagesFamily()),
        Kind.COUNTED_RESPONSES: partial(counted.handle, ResponsesFamily()),
        Kind.PROPS: told.props,
        Kind.SLOTS: told.slots,
    }


def _telling(settings: GatewaySettings, shared: Shared) -> dict[Kind, Handler]:
    overview = Overview(
        settings.served,
        shared.fleet,
        shared.ledger,
        shared.stats,
        shared.activity,
        shared.reporter,
        shared.since,
    )
    keepalive_s = settings.voted.pace.keepalive_s
    return {
        Kind.MODELS: overview.models,
        Kind.HEALTH: overview.health,
        Kind.READY: overview.ready,
        Kind.METRICS: overview.metrics,
        Kind.STATUS: overview.status,
        Kind.EVENTS: EventStream(shared.reporter.events, keepalive_s).handle,
    }


def _controlling(settings: GatewaySettings, shared: Shared) -> dict[Kind, Handler]:
    controls = Controls(
        shared.control,
        shared.activity,
        control_key=settings.control_key,
        api_keys=tuple(settings.keys),
    )
    return {
        Kind.RESTART: controls.restart,
        Kind.SCALE: controls.scale,
        Kind.RELOAD: controls.reload,
    }


def _passing(
    settings: GatewaySettings, shared: Shared, length: Length
) -> dict[Kind, PassingHandler]:
    served, upstream, voted = settings.served, shared.upstream, settings.voted
    turnstile = Turnstile(
        shared.fleet, shared.ledger, shared.stats, shared.activity, timeout_s=voted.timeout_s
    )
    completions = Completions(
        served, turnstile, upstream, voted.pace, length=length, length_s=voted.length_s
    )
    return {
        Kind.COMPLETIONS: completions.handle,
        Kind.EMBEDDINGS: Embeddings(served, turnstile, upstream).handle,
    }
