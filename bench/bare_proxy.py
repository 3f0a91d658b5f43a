"""The least that a proxy on aiohttp can do: it reads no body and changes nothing.

Like the gateway it opens a connection for each request to the worker (facts: a pooled connection
fails too often), so what differs is what the gateway does and not how it connects.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import aiohttp
from aiohttp import web

from bench import child


async def serve(listener: socket.socket) -> None:
    upstream = sys.argv[1]
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=256 * 1024) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            headers = {"Content-Type": "application/json"}
            body = await request.read()
            async with session.post(upstream + request.path, data=body, headers=headers) as answer:
                if answer.content_type != "text/event-stream":
                    return web.Response(body=await answer.read(), content_type=answer.content_type)
                response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                await response.prepare(request)
                async for data in answer.content.iter_any():
                    await response.write(data)
                await response.write_eof()
                return response

        app = web.Application()
        app.router.add_post("/{path:.*}", handle)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    child.main(serve)
