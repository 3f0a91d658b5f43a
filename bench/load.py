"""Clients: one request, closed loops and open loops, timed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

PATH = "/v1/chat/completions"
TIMEOUT = aiohttp.ClientTimeout(total=60)
CONTENT = b'"content":"'


@dataclass(frozen=True)
class Target:
    """Something to ask, and how."""

    name: str
    url: str
    body: dict[str, Any]
    key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def with_(self, **fields: Any) -> Target:
        return replace(self, body={**self.body, **fields})


@dataclass
class Samples:
    """Seconds of each request that was answered; `failed` counts the others."""

    took_s: list[float] = field(default_factory=list)
    failed: int = 0


def question(**fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Write a function that adds two numbers."}]
    return {"model": "bench", "messages": messages, **fields}


@asynccontextmanager
async def client(*, keep: bool = True) -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps its connections, as clients do; without `keep` none, which llama-server needs."""
    connector = aiohttp.TCPConnector(limit=0, force_close=not keep)
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session:
        yield session


async def ask(session: aiohttp.ClientSession, target: Target) -> float:
    """Seconds until the whole answer is there. Raises ClientError for any status but 200."""
    started = time.perf_counter()
    url, headers = target.url + PATH, target.headers
    async with session.post(url, json=target.body, headers=headers) as response:
        response.raise_for_status()
        await response.read()
    return time.perf_counter() - started


async def first_token(session: aiohttp.ClientSession, target: Target) -> float:
    """Seconds until the first content event of a streamed answer; reads the rest too."""
    started = time.perf_counter()
    first: float | None = None
    seen = b""
    url, headers = target.url + PATH, target.headers
    async with session.post(url, json=target.body, headers=headers) as response:
        response.raise_for_status()
        async for data in response.content.iter_any():
            if first is None:
                seen += data
                if CONTENT in seen.replace(b'": "', b'":"'):
                    first = time.perf_counter() - started
    if first is None:
        raise aiohttp.ClientError(f"{target.name} sent no content")
    return first


async def closed_loop(
    session: aiohttp.ClientSession, target: Target, *, clients: int, for_s: float
) -> Samples:
    """So many clients, each with one request at a time."""
    samples = Samples()
    deadline = time.perf_counter() + for_s

    async def one() -> None:
        while time.perf_counter() < deadline:
            try:
                samples.took_s.append(await ask(session, target))
            except (aiohttp.ClientError, asyncio.TimeoutError):
                samples.failed += 1

    await asyncio.gather(*(one() for _ in range(clients)))
    return samples


async def open_loop(
    session: aiohttp.ClientSession, target: Target, *, rate: float, for_s: float
) -> Samples:
    """`rate` requests a second whatever becomes of them, timed from when each was due."""
    samples = Samples()
    loop = asyncio.get_running_loop()
    start = loop.time()

    async def one(due: float) -> None:
        try:
            await ask(session, target)
            samples.took_s.append(loop.time() - due)
        except (aiohttp.ClientError, asyncio.TimeoutError):
            samples.failed += 1

    tasks = []
    for i in range(int(rate * for_s)):
        due = start + i / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        tasks.append(asyncio.ensure_future(one(due)))
    await asyncio.gather(*tasks)
    return samples
