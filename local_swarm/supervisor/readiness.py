"""Waits until a starting worker may take traffic."""

from __future__ import annotations

import asyncio

import aiohttp

from local_swarm.domain.launch import LaunchSpec

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5


async def wait_ready(session: aiohttp.ClientSession, spec: LaunchSpec) -> None:
    """Returns when GET `spec.ready_path` gave 200. Waits as long as it takes: the caller cancels
    it when the process exits or its time is up.
    """
    url = f"http://{spec.host}:{spec.port}{spec.ready_path}"
    pause = FIRST_PAUSE_S
    timeout = aiohttp.ClientTimeout(total=5)
    while True:
        try:
            async with session.get(url, timeout=timeout) as response:
                if response.status == 200:
                    return
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
            pass
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE_S, pause * 1.5)
