"""The least that a proxy can do: every request goes to one server as it came, every answer back.

What the suite finds different behind it is what no gateway can keep.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket

import aiohttp
from aiohttp import web

from tests.conformance.flags import Start, on_port

# Of one connection, and not of the message (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade", "content-length", "host",
})  # fmt: skip
GOOGLE_PORT = "AIP_HTTP_PORT"
STOP_S = 0.5  # the suite waits for no server longer than a few seconds


async def in_front_of(start: Start) -> None:
    """Starts the server on a port of its own and serves on the one it was told, until SIGTERM."""
    port = int(start.argv[start.argv.index("--port") + 1])
    host = start.argv[start.argv.index("--host") + 1]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        behind: int = probe.getsockname()[1]
    moved = on_port(start, behind)
    env = {**os.environ, **start.env}
    if GOOGLE_PORT in env:  # it would win over the flag
        env[GOOGLE_PORT] = str(behind)
    process = await asyncio.create_subprocess_exec(*moved.argv, env=env)
    try:
        await _serve(host.split(","), port, f"http://127.0.0.1:{behind}", process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _serve(
    hosts: list[str], port: int, upstream: str, process: asyncio.subprocess.Process
) -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False, read_bufsize=256 * 1024
    ) as session:
        app = _app(session, upstream)
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=STOP_S
        )
        await runner.setup()
        try:
            for host in hosts:
                await web.TCPSite(runner, host, port).start()
            ends = {asyncio.create_task(told.wait()), asyncio.create_task(process.wait())}
            _, pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
        finally:
            await runner.cleanup()


def _app(session: aiohttp.ClientSession, upstream: str) -> web.Application:
    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        kept = [(k, v) for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP]
        try:
            async with session.request(
                request.method, upstream + request.path_qs, data=body or None, headers=kept
            ) as answer:
                return await _relay(request, answer)
        except aiohttp.ClientConnectorError:  # it loads its model
            return web.Response(status=503)

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


async def _relay(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status)
    for name, value in answer.headers.items():
        if name.lower() not in HOP_BY_HOP:
            response.headers.add(name, value)
    await response.prepare(request)
    async for data in answer.content.iter_any():
        await response.write(data)
    await response.write_eof()
    return response
