"""The web application: routes, and what lives as long as it serves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

from local_swarm.errors import BusyError
from local_swarm.gateway import openapi, refusals
from local_swarm.gateway.access import Reporter
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.asked import AnyWorker, Asked, Told
from local_swarm.gateway.ballots import VoteProcess
from local_swarm.gateway.bodies import LIMITS, BodyLimits
from local_swarm.gateway.connections import ConnectionLimits, factory
from local_swarm.gateway.counted import Counted
from local_swarm.gateway.counting import Counting
from local_swarm.gateway.deciding import Means, VoteSettings, votes_of
from local_swarm.gateway.door import Door, door_middleware, mark
from local_swarm.gateway.events import Events, EventStream
from local_swarm.gateway.fanout import Fanout, FanoutSettings
from local_swarm.gateway.learning import Learner
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.length import Length
from local_swarm.gateway.metrics import Metrics
from local_swarm.gateway.observed import ObservedLedger, WorkerWatch
from local_swarm.gateway.overview import Overview
from local_swarm.gateway.passed import Completions, Embeddings, Turnstile
from local_swarm.gateway.ports import Ballots, Fleet
from local_swarm.gateway.purposes import answering
from local_swarm.gateway.relay import Relay
from local_swarm.gateway.routes import Handler, Kind, add_routes
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.turns import Served
from local_swarm.gateway.upstream import Upstream
from local_swarm.gateway.voted import Voted, VotedSettings
from local_swarm.wire.choices import ChatFamily, CompletionFamily
from local_swarm.wire.messages_reply import MessagesFamily
from local_swarm.wire.responses_reply import ResponsesFamily

BACKLOG = 1024
SHUTDOWN_GRACE_S = 1.0  # for writing the last bytes once requests are over


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`host` is the address it listens on. `keys` empty: no key is asked for. With
    `show_prompts` /slots may show what clients and models wrote."""

    served: Served
    voted: VotedSettings
    strategies: frozenset[str]
    fanout: FanoutSettings = field(default_factory=FanoutSettings)
    votes: VoteSettings = field(default_factory=VoteSettings)
    host: str = "127.0.0.1"
    keys: Collection[str] = ()
    hosts: Collection[str] = ()
    max_body_bytes: int = 32 * 1024 * 1024
    max_queue: int = 64
    show_prompts: bool = False
    access_log: bool = False
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    limits: BodyLimits = field(default_factory=BodyLimits)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A serving gateway: its address, and what it is busy with."""

    url: str
    activity: Activity


@asynccontextmanager
async def serving(
    settings: GatewaySettings, fleet: Fleet, listener: socket.socket
) -> AsyncIterator[Gateway]:
    """Serves on `listener` while the context is open, from the main thread.

    Leaving ends what is in flight and closes the listener.
    """
    upstream = Upstream()
    learner = Learner(settings.votes.skills)
    async with VoteProcess() as ballots, learner.keeping():
        metrics = Metrics()
        events = Events(lambda: _as_it_is(fleet, ledger, activity))
        ledger = ObservedLedger(max_waiting=settings.max_queue, metrics=metrics, events=events)
        activity = Activity()
        reporter = Reporter(metrics, events, lines=settings.access_log)
        app = build(settings, fleet, ledger, activity, upstream, ballots, reporter, learner)
        watch = WorkerWatch(fleet, events)

        def sync() -> None:
            ledger.sync(fleet.endpoints(), fleet.expected())
            watch()

        unsubscribe = fleet.subscribe(sync)
        sync()
        try:
            async with _listening(app, settings, listener, reporter):
                yield Gateway(url_of(listener), activity)
        finally:
            unsubscribe()


@asynccontextmanager
async def _listening(
    app: web.Application, settings: GatewaySettings, listener: socket.socket, reporter: Reporter
) -> AsyncIterator[None]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=SHUTDOWN_GRACE_S)
    await runner.setup()
    assert runner.server is not None
    refused = reporter.metrics.connections_refused.inc
    connection = factory(runner.server, settings.connections, reporter.access_logger(), refused)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, sock=listener, backlog=BACKLOG)
    try:
        yield
    finally:
        server.close()
        reporter.events.close()
        await runner.cleanup()


def _as_it_is(fleet: Fleet, ledger: Ledger, activity: Activity) -> dict[str, Any]:
    """What a new reader of the events is told first."""
    return {
        "workers": {worker: state.value for worker, state in fleet.states().items()},
        "waiting": ledger.waiting,
        "in_flight": activity.in_flight,
    }


def build(
    settings: GatewaySettings,
    fleet: Fleet,
    ledger: Ledger,
    activity: Activity,
    upstream: Upstream,
    ballots: Ballots,
    reporter: Reporter,
    learner: Learner,
) -> web.Application:
    """The application, not yet listening."""
    served, stats, metrics = settings.served, Stats(), reporter.metrics
    counting = Counting(fleet, ledger, upstream)
    length = Length(served.model_id, fleet, counting)
    fanout = Fanout(fleet, ledger, upstream, stats, served.model_id, settings.fanout)
    means = Means(fleet, ledger, upstream, fanout, length)
    voted = Voted(
        served,
        settings.voted,
        votes=votes_of(settings.votes, served.model_id, means, ballots, metrics, learner),
        relay=Relay(fanout, ledger, upstream),
        ledger=ledger,
        length=length,
        strategies=settings.strategies,
        activity=activity,
        executes=settings.votes.execute,
    )
    overview = Overview(served, fleet, ledger, stats, activity, reporter)
    hosts = {host.lower() for host in (*settings.hosts, settings.host)}
    door = Door(keys=settings.keys, hosts=hosts)
    app = web.Application(
        middlewares=[door_middleware(door, reporter)], client_max_size=settings.max_body_bytes
    )
    app.on_response_prepare.append(mark)
    app[LIMITS] = settings.limits
    timeout_s = settings.voted.timeout_s
    turnstile = Turnstile(fleet, ledger, stats, activity, timeout_s=timeout_s)
    workers = AnyWorker(fleet, ledger, upstream, timeout_s=timeout_s)
    told = Told(workers, ledger, prompts=settings.show_prompts)
    counted = Counted(served, fleet, workers, counting, timeout_s=timeout_s)
    handlers: dict[Kind, Handler] = {
        Kind.CHAT: partial(voted.handle, ChatFamily()),
        Kind.TEXT: partial(voted.handle, CompletionFamily()),
        Kind.MESSAGES: partial(voted.handle, MessagesFamily()),
        Kind.RESPONSES: partial(voted.handle, ResponsesFamily()),
        Kind.COUNTED_MESSAGES: partial(counted.handle, MessagesFamily()),
        Kind.COUNTED_RESPONSES: partial(counted.handle, ResponsesFamily()),
        Kind.PROPS: told.props,
        Kind.SLOTS: told.slots,
        Kind.MODELS: overview.models,
        Kind.HEALTH: overview.health,
        Kind.READY: overview.ready,
        Kind.METRICS: overview.metrics,
        Kind.STATUS: overview.status,
        Kind.EVENTS: EventStream(reporter.events, settings.voted.pace.keepalive_s).handle,
        Kind.OPENAPI: openapi.handle,
        Kind.CHANGES_A_WORKER: refusals.changes_a_worker,
        Kind.CHANGES_THE_MODEL: refusals.changes_the_model,
        Kind.NOT_OFFERED: refusals.not_offered,
    }
    pace, length_s = settings.voted.pace, settings.voted.length_s
    completions = Completions(served, turnstile, upstream, pace, length=length, length_s=length_s)
    passing = {
        Kind.COMPLETIONS: completions.handle,
        Kind.EMBEDDINGS: Embeddings(served, turnstile, upstream).handle,
        Kind.ASKED: Asked(served, workers).handle,
    }
    add_routes(app, *answering(served, handlers, passing))
    return app


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises BusyError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise BusyError(
            f"Cannot listen on {host} port {port}: {why}.",
            hint="Stop what uses it, or choose another with --port (0 takes any free one).",
        ) from exc


def url_of(listener: socket.socket) -> str:
    """`http://HOST:PORT` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
