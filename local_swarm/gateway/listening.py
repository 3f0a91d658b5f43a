"""The listening socket, and which application answers what comes in on it.

A request is answered by the application of its beginning, to its end; the next one on the same
connection by the one there is then. So no connection is closed when the application changes: a
client may be sending its next request at that very moment.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local_swarm.errors import BusyError
from local_swarm.gateway.access import Reporter
from local_swarm.gateway.connections import ConnectionLimits, factory

BACKLOG = 1024
SHUTDOWN_GRACE_S = 1.0  # for writing the last bytes once requests are over


class Switch:
    """Hands requests to the application that was turned to last, within its `limits`."""

    limits: ConnectionLimits
    _app: web.Server
    _door: Middleware

    async def turn(self, app: web.Application, door: Middleware, limits: ConnectionLimits) -> None:
        """For all requests that begin from now on. The application must need no clean-up: nobody
        is told when its last request is over. `door` is around what has no route in it (all
        others are behind it already). New connections have the new limits."""
        runner = web.AppRunner(app)
        await runner.setup()
        assert runner.server is not None
        self._app, self._door, self.limits = runner.server, door, limits

    def server(self) -> web.Server:
        return web.Server(
            self._answer,
            request_factory=self._request,
            handler_cancellation=True,
        )

    def _request(self, *parts: Any) -> web.BaseRequest:
        return self._app.request_factory(*parts)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        door = self._door
        try:
            return await self._app.request_handler(request)
        except web.HTTPException as exc:
            assert isinstance(request, web.Request)
            return await door(request, _raising(exc))


def _raising(error: web.HTTPException) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        raise error

    return handle


@asynccontextmanager
async def listening(
    switch: Switch, listener: socket.socket, reporter: Reporter
) -> AsyncIterator[None]:
    """Serves what the switch has, which was turned before. Leaving ends what is in flight."""
    server = switch.server()
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_GRACE_S)
    await runner.setup()
    refused = reporter.metrics.connections_refused.inc
    connection = factory(server, lambda: switch.limits, reporter.access_logger(), refused)
    loop = asyncio.get_running_loop()
    accepting = await loop.create_server(connection, sock=listener, backlog=BACKLOG)
    try:
        yield
    finally:
        accepting.close()
        reporter.events.close()
        await runner.cleanup()


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
