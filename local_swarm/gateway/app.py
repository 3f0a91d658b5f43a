"""The web application: routes, and what lives as long as it serves."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from local_swarm.errors import BusyError
from local_swarm.gateway import refusals
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.asked import AnyWorker, Asked, Told
from local_swarm.gateway.ballots import VoteProcess
from local_swarm.gateway.chat import Chat, ChatSettings
from local_swarm.gateway.door import Door, door_middleware
from local_swarm.gateway.exchange import Exchange
from local_swarm.gateway.fanout import Fanout
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.length import Length
from local_swarm.gateway.metrics import Metrics
from local_swarm.gateway.overview import Overview
from local_swarm.gateway.passed import Completions, Embeddings, Turnstile
from local_swarm.gateway.ports import Ballots, Fleet
from local_swarm.gateway.relay import Relay
from local_swarm.gateway.routes import Kind, add_routes
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.turns import Served
from local_swarm.gateway.votes import Votes

BACKLOG = 1024
SHUTDOWN_GRACE_S = 1.0  # for writing the last bytes once requests are over


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`host` is the address it listens on. `keys` empty: no key is asked for. With
    `show_prompts` /slots may show what clients and models wrote."""

    served: Served
    chat: ChatSettings
    strategies: frozenset[str]
    host: str = "127.0.0.1"
    keys: Collection[str] = ()
    hosts: Collection[str] = ()
    max_body_bytes: int = 32 * 1024 * 1024
    max_queue: int = 64
    show_prompts: bool = False


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
    async with Exchange() as upstream, VoteProcess() as ballots:
        ledger = Ledger(max_waiting=settings.max_queue)
        activity = Activity()
        app = build(settings, fleet, ledger, activity, upstream, ballots)

        def sync() -> None:
            ledger.sync(fleet.endpoints(), fleet.expected())

        unsubscribe = fleet.subscribe(sync)
        sync()
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=SHUTDOWN_GRACE_S
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield Gateway(url_of(listener), activity)
        finally:
            await runner.cleanup()
            unsubscribe()


def build(
    settings: GatewaySettings,
    fleet: Fleet,
    ledger: Ledger,
    activity: Activity,
    upstream: Exchange,
    ballots: Ballots,
) -> web.Application:
    """The application, not yet listening."""
    served, stats, metrics = settings.served, Stats(), Metrics()
    fanout = Fanout(fleet, ledger, upstream, stats, served.model_id)
    chat = Chat(
        served,
        settings.chat,
        votes=Votes(fanout, ballots, metrics),
        relay=Relay(fanout, ledger, upstream),
        ledger=ledger,
        length=Length(served.model_id, fleet, ledger, upstream),
        strategies=settings.strategies,
        activity=activity,
    )
    overview = Overview(served, fleet, ledger, stats, activity, metrics)
    hosts = {host.lower() for host in (*settings.hosts, settings.host)}
    door = Door(keys=settings.keys, hosts=hosts, metrics=metrics)
    app = web.Application(
        middlewares=[door_middleware(door)], client_max_size=settings.max_body_bytes
    )
    timeout_s = settings.chat.timeout_s
    turnstile = Turnstile(fleet, ledger, activity, timeout_s=timeout_s)
    workers = AnyWorker(fleet, ledger, upstream, timeout_s=timeout_s)
    told = Told(workers, ledger, prompts=settings.show_prompts)
    handlers = {
        Kind.CHAT: chat.handle,
        Kind.PROPS: told.props,
        Kind.SLOTS: told.slots,
        Kind.MODELS: overview.models,
        Kind.HEALTH: overview.health,
        Kind.READY: overview.ready,
        Kind.METRICS: overview.metrics,
        Kind.STATUS: overview.status,
        Kind.CHANGES_A_WORKER: refusals.changes_a_worker,
        Kind.CHANGES_THE_MODEL: refusals.changes_the_model,
        Kind.NOT_OFFERED: refusals.not_offered,
    }
    passing = {
        Kind.COMPLETIONS: Completions(served, turnstile, upstream, settings.chat.pace).handle,
        Kind.EMBEDDINGS: Embeddings(served, turnstile, upstream).handle,
        Kind.ASKED: Asked(served, workers).handle,
    }
    add_routes(app, handlers, passing)
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
