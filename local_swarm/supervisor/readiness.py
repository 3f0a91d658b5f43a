"""Waits until a starting worker may take traffic."""

from __future__ import annotations

import asyncio

import aiohttp
import psutil

from local_swarm.domain.launch import LaunchSpec

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5


async def wait_ready(session: aiohttp.ClientSession, spec: LaunchSpec, pid: int) -> None:
    """Returns when GET `spec.ready_path` gave 200, and it is the process or one of its own that
    listens there: another program may have taken the port meanwhile, and must get neither prompts
    nor the key. Waits as long as it takes: the caller cancels it when the process exits or its
    time is up.
    """
    url = f"http://{spec.host}:{spec.port}{spec.ready_path}"
    pause = FIRST_PAUSE_S
    timeout = aiohttp.ClientTimeout(total=5)
    while True:
        try:
            async with session.get(url, timeout=timeout) as response:
                if response.status == 200 and await asyncio.to_thread(may_listen, pid, spec.port):
                    return
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
            pass
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE_S, pause * 1.5)


def may_listen(pid: int, port: int) -> bool:
    """Whether the process or a descendant listens on the port; True too where the system does not
    tell. Blocks for milliseconds."""
    try:
        process = psutil.Process(pid)
        tree = (process, *process.children(recursive=True))
        return any(_listens(each, port) for each in tree)
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OSError):
        return True


def _listens(process: psutil.Process, port: int) -> bool:
    """Raises psutil.AccessDenied where it may not be seen."""
    found = process.net_connections("tcp")
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in found)
