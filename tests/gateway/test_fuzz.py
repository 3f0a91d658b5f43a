"""Thousands of malformed requests: no 5xx of ours, no traceback, nothing left behind.

A few hundred run with the suite; LSWARM_FUZZ=10000 runs more, LSWARM_FUZZ_SEED another draw.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import os
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from local_swarm.gateway.bodies import BodyLimits
from local_swarm.gateway.connections import ConnectionLimits
from local_swarm.telemetry import logs
from tests.gateway.malformed import Malformed, draw, one_by_one
from tests.gateway.raw import connected
from tests.swarms import PATIENCE_S, Shape, Swarm, swarm_of

COUNT = int(os.environ.get("LSWARM_FUZZ", "300"))
SEED = int(os.environ.get("LSWARM_FUZZ_SEED", "1"))
AT_ONCE = 12
QUICK_S = 0.5  # what a body or a head may take here, so that half of one ends soon
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing cuts the connection

ON_PURPOSE = {501}
"""The 5xx that are right: the model, or the engine as it was started, cannot do it, or no swarm
does. 502, 503 and 504 are documented, but nothing here may cause one: the workers are well, the
queue is long enough, and no request is slow."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def drawn(rng: random.Random) -> list[Malformed]:
    """`COUNT` requests, a third of them from the ones with one wrong value."""
    systematic = list(one_by_one())
    some = rng.sample(systematic, min(len(systematic), COUNT // 3))
    return [*some, *(draw(rng) for _ in range(COUNT - len(some)))]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("local_swarm")
    levels = root.level, ours.level
    stream = io.StringIO()
    logs.configure(stream=stream, level="info", env={})
    yield stream
    logs.stop()
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


async def answer(url: str, request: Malformed) -> bytes:
    """What came back; empty when the gateway closed without a word."""
    async with connected(url) as (reader, writer):
        writer.write(request.raw)
        if request.leaves:
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            with contextlib.suppress(asyncio.TimeoutError, ConnectionError):
                await asyncio.wait_for(reader.read(1), 0.02)
            writer.transport.abort()
            return b""
        got = bytearray()
        try:
            while piece := await asyncio.wait_for(reader.read(65536), PATIENCE_S):
                got += piece
                if _complete(got):
                    break
        except ConnectionError:
            pass
        return bytes(got)


def _complete(got: bytearray) -> bool:
    """Whether it holds one answer whose length was told. The gateway may then go on reading what
    the client declared and never sent."""
    head, end, body = bytes(got).removeprefix(CONTINUE).partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return bool(end) and len(body) >= int(value)
    return False


def judged(request: Malformed, got: bytes) -> str:
    """The status, or why this is no way to answer."""
    if not got:
        return "WRONG: no answer" if request.whole else "closed"
    head, _, body = got.removeprefix(CONTINUE).partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if status >= 500 and status not in ON_PURPOSE:
        return f"WRONG: {status} {body[:500]!r}"
    if status >= 400 and b"x-request-id" not in head.lower():
        return f"WRONG: {status} without an id"
    if status >= 400 and not request.raw.startswith(b"HEAD") and b'"error"' not in body:
        return f"WRONG: {status} that is no error object"
    return str(status)


async def at_rest(swarm: Swarm) -> dict[str, Any]:
    """The status once nothing is in flight and no slot is taken."""

    async def wait() -> dict[str, Any]:
        while True:
            _, status = await swarm.get("/v1/swarm/status")
            busy = sum(worker["slots_busy"] for worker in status["workers"])
            if busy == status["queue"]["in_flight"] == status["queue"]["waiting"] == 0:
                return dict(status)

    return await asyncio.wait_for(wait(), PATIENCE_S)


async def test_malformed_requests_are_the_clients_mistake(log: io.StringIO) -> None:
    rng = random.Random(SEED)
    found: Counter[tuple[str, str]] = Counter()
    wrong: list[tuple[str, str, bytes]] = []
    loop_errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: loop_errors.append(context))
    limits = ConnectionLimits(idle_s=QUICK_S)
    settings = {"connections": limits, "limits": BodyLimits(within_s=QUICK_S), "access_log": True}
    async with swarm_of(Shape(workers=2), **settings) as swarm:
        await swarm.chat("warm up")
        await at_rest(swarm)
        tasks, process = asyncio.all_tasks(), psutil.Process()
        files = process.num_fds()
        requests = iter(drawn(rng))

        async def client() -> None:
            for request in requests:
                try:
                    verdict = judged(request, await answer(swarm.gateway.url, request))
                except asyncio.TimeoutError:
                    verdict = "WRONG: no end"
                found[request.kind, verdict[:40]] += 1
                if verdict.startswith("WRONG"):
                    wrong.append((request.kind, verdict, request.raw[:3000]))

        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
        status = await at_rest(swarm)
        assert (await swarm.chat("still there"))[0] == 200
        await at_rest(swarm)
        await _ended(tasks)
        gc.collect()
        assert asyncio.all_tasks() == tasks
        assert process.num_fds() <= files
    for key, count in sorted(found.items()):
        print(*key, count, sep="\t")
    for kind, verdict, raw in wrong[:20]:
        print(kind, verdict, raw, sep="\n  ")
    assert not wrong
    assert [worker["restarts"] for worker in status["workers"]] == [0, 0]
    assert "Traceback" not in log.getvalue()
    assert "[error" not in log.getvalue()
    assert loop_errors == []


async def _ended(known: set[asyncio.Task[Any]]) -> None:
    """Waits for the tasks of connections that are still closing."""
    if late := asyncio.all_tasks() - known:
        await asyncio.wait(late, timeout=PATIENCE_S)
