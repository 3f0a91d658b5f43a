"""The web application: routes, and what lives as long as it serves."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from local_swarm.errors import BusyError
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.ballots import VoteProcess
from local_swarm.gateway.chat import Chat, ChatSettings
from local_swarm.gateway.door import Door, door_middleware
from local_swarm.gateway.fanout import Fanout
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.metrics import Metrics
from local_swarm.gateway.overview import Overview
from local_swarm.gateway.ports import Ballots, Fleet
from local_swarm.gateway.relay import Relay
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.turns import Served
from local_swarm.gateway.upstream import Upstream

BACKLOG = 1024
SHUTDOWN_GRACE_S = 1.0  # for writing the last bytes once requests are over


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`host` is the address it listens on. `keys` empty: no key is asked for."""

    served: Served
    chat: ChatSettings
    strategies: frozenset[str]
    host: str = "127.0.0.1"
    keys: Collection[str] = ()
    hosts: Collection[str] = ()
    max_body_bytes: int = 32 * 1024 * 1024
    max_queue: int = 64


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
    async with Upstream() as upstream, VoteProcess() as ballots:
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
    upstream: Upstream,
    ballots: Ballots,
) -> web.Application:
    """The application, not yet listening."""
    served, stats, metrics = settings.served, Stats(), Metrics()
    fanout = Fanout(fleet, ledger, upstream, stats, served.model_id)
    chat = Chat(
        served,
        settings.chat,
        fanout=fanout,
        relay=Relay(fanout, ledger, upstream),
        ledger=ledger,
        ballots=ballots,
        strategies=settings.strategies,
        activity=activity,
        metrics=metrics,
    )
    overview = Overview(served, fleet, ledger, stats, activity, metrics)
    hosts = {host.lower() for host in (*settings.hosts, settings.host)}
    door = Door(keys=settings.keys, hosts=hosts, metrics=metrics)
    app = web.Application(
        middlewares=[door_middleware(door)], client_max_size=settings.max_body_bytes
    )
    app.router.add_post("/v1/chat/completions", chat.handle)
    app.router.add_get("/v1/models", overview.models)
    app.router.add_get("/health", overview.health)
    app.router.add_get("/ready", overview.ready)
    app.router.add_get("/metrics", overview.metrics)
    app.router.add_get("/v1/swarm/status", overview.status)
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
