"""The beat that keeps the service manager from ending us (sd_watchdog_enabled(3)).

It is sent by the event loop itself, and only while the swarm is sound: a loop that is frozen, or a
swarm that could never come back to work by itself, is ended and started again. A swarm without a
ready worker is sound as long as somebody sees to each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol
from urllib.parse import urlsplit

from local_swarm.swarm.notify import beside, notify
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

PATIENCE = 2
"""Checks in a row that must fail before the beat stops."""

CHECK_SHARE = 0.75
"""Of the time between two beats, what a check may take: one that is bad and forgiven must not be
late for the manager."""

BOUND_S = 5.0
"""What the gateway has to answer for `/health`."""


class Sound(Protocol):
    """Says why the swarm is not sound; None while it is. Should answer within a few seconds."""

    async def __call__(self) -> str | None: ...


class Crew(Protocol):
    """The workers, as far as the watchdog asks about them."""

    def unsound(self) -> str | None:
        """Why a worker would be left alone for ever; None where all is well."""


def sound_of(crew: Crew, url: str, bound_s: float = BOUND_S) -> Sound:
    """Whether somebody sees to every worker, and the gateway at `url` (scheme, host and port, as
    this machine reaches it) answers over a real connection."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80

    async def sound() -> str | None:
        return crew.unsound() or await unanswered(host, port, bound_s)

    return sound


async def unanswered(host: str, port: int, bound_s: float) -> str | None:
    """Whether the gateway answers over a real connection; any HTTP answer is one, also a refusal
    for too many connections. Never raises."""
    try:
        return await asyncio.wait_for(_asked(host, port), bound_s)
    except asyncio.TimeoutError:
        return f"the gateway did not answer within {bound_s:.0f} s"
    except OSError as exc:
        return f"the gateway cannot be reached: {exc.strerror or exc}"


async def _asked(host: str, port: int) -> str | None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await writer.drain()
        first = await reader.readexactly(5)
    except asyncio.IncompleteReadError:
        return "the gateway closed the connection without an answer"
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return None if first == b"HTTP/" else "what answers at the gateway's port is not HTTP"


def interval(env: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """Seconds between two beats, half of what the manager allows; None where it expects none of
    this process."""
    allowed, meant = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
    if not allowed.isdecimal() or int(allowed) == 0:
        return None
    if meant and meant != str(os.getpid() if pid is None else pid):
        return None
    return int(allowed) / 2_000_000


async def beat(sound: Sound, every_s: float) -> None:
    """Beats for ever, at once and then every `every_s` seconds; not while `sound` has said for
    PATIENCE checks why not, which is logged once."""
    bad = 0
    while True:
        why = await judged(sound, CHECK_SHARE * every_s)
        bad = bad + 1 if why else 0
        if bad < PATIENCE:
            notify("WATCHDOG=1")
        elif bad == PATIENCE:
            log.error("the service manager is no longer told that all is well", why=why)
        await asyncio.sleep(every_s)


async def judged(sound: Sound, bound_s: float) -> str | None:
    """What a check says; one that fails or takes too long is a bad one. Never raises."""
    try:
        return await asyncio.wait_for(sound(), bound_s)
    except asyncio.TimeoutError:
        return f"the check itself took longer than {bound_s:.0f} s"
    except Exception as exc:  # a check that fails must not end the beat, nor the swarm
        return f"the check itself failed: {exc!r}"


@asynccontextmanager
async def watched(sound: Sound, every_s: float | None = None) -> AsyncIterator[None]:
    """Beats while the context is open, where the manager expects it (`interval`)."""
    every_s = interval() if every_s is None else every_s
    if every_s is None:
        yield
        return
    async with beside(beat(sound, every_s), "watchdog"):
        yield
