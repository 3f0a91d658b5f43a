"""What the servers of the benchmarks have in common: they say where they are, and they end."""

from __future__ import annotations

import asyncio
import cProfile
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

PROFILE = "LSWARM_BENCH_PROFILE"
"""Where a server writes its profile when it ends."""


def main(serve: Callable[[socket.socket], Coroutine[Any, Any, None]]) -> None:
    """Runs `serve` on a socket of its own until stdin ends, as it does when the parent dies."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(f"READY http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    profile = cProfile.Profile() if PROFILE in os.environ else None
    if profile is not None:
        profile.enable()
    asyncio.run(_until_stdin_ends(serve(listener)))
    if profile is not None:
        profile.disable()
        profile.dump_stats(os.environ[PROFILE])


async def _until_stdin_ends(serving: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(serving)
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def end() -> None:
        loop.remove_reader(stdin)  # what has ended stays readable
        task.cancel()

    loop.add_reader(stdin, end)
    try:
        await task
    except asyncio.CancelledError:
        return
