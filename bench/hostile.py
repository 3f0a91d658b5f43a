"""What others notice while one client's votes run hostile programs (`consensus.execute`).

A prober asks at a steady pace for /health, one answer (solo) and a static vote; meanwhile nobody
else asks, or one client asks without end for votes that run harmless answers, or hostile ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from bench.figures import Report, Row, median, ms, quantile, ratio
from bench.gateway import CTX, MODEL
from bench.litellm import free_port
from bench.load import Target, ask, client
from bench.servers import ROOT, STOP_S, answers, started
from local_swarm import sandbox

TITLE = "Others, while one client's votes run code"
SLOTS = 13  # three votes of three, one that the prober asks for, and the lane
TURNS = 5
FOR_S = 4.0
PACE_S = 0.025
HARMLESS = ("    return x + 1", "    y = x + 1\n    return y", "    return 1 + x")
HOSTILE = (
    "    while True:\n        x += 1",
    "    while True:\n        try:\n            x += 1\n        except BaseException: pass",
    "    return [0] * 10 ** 10",
    "    held = []\n    while True:\n        held.append(bytearray(2 ** 20))",
    "    while True:\n        print('x' * 65536)",
    "    return 'x' * 10 ** 8",
    "    import os\n    while True:\n        os.fork()",
    "    import re\n    return re.match(r'(a|a)*$', 'a' * 40 + 'b')",
    "    return solve(x) + solve(x + 1)",
)
QUIET, BUSY, ATTACKED = "nobody", "harmless code", "hostile code"
PROMPT = 'Write it.\n\ndef solve(x: int) -> int:\n    """Add one to {}."""\n'


async def run() -> list[Report]:
    if (why := sandbox.unavailable()) is not None:
        return [Report(TITLE, [], {"left out": why})]
    async with (
        _fake() as url,
        started("gateway", url, "1", str(SLOTS), "execute") as gateway,
        client() as session,
    ):
        took: dict[tuple[str, str], list[float]] = defaultdict(list)
        votes: dict[str, list[float]] = defaultdict(list)
        await _votes(session, _vote(gateway.url, "hostile"), votes["warm up"], 1.0)
        for _ in range(TURNS):
            for who in random.sample((QUIET, BUSY, ATTACKED), 3):
                await _turn(session, gateway.url, who, took, votes)
        return [_report(took, votes)]


async def _turn(
    session: aiohttp.ClientSession,
    url: str,
    who: str,
    took: dict[tuple[str, str], list[float]],
    votes: dict[str, list[float]],
) -> None:
    asking = []
    if who != QUIET:
        target = _vote(url, "hostile" if who == ATTACKED else "harmless")
        asking = [asyncio.create_task(_votes(session, target, votes[who], FOR_S))]
    for name, seconds in await _probe(session, url):
        took[name, who].append(seconds)
    await asyncio.gather(*asking)


async def _votes(
    session: aiohttp.ClientSession, target: Target, took: list[float], for_s: float
) -> None:
    deadline = time.perf_counter() + for_s
    while time.perf_counter() < deadline:
        took.append(await ask(session, target))


async def _probe(session: aiohttp.ClientSession, url: str) -> list[tuple[str, float]]:
    """Whatever becomes of them, one request every PACE_S, timed from when it was due."""
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def one(name: str, due: float) -> tuple[str, float]:
        if name == "/health":
            async with session.get(url + name) as response:
                response.raise_for_status()
                await response.read()
        else:
            await ask(session, _asked(url, name))
        return name, loop.time() - due

    tasks = []
    for i in range(int(FOR_S / PACE_S)):
        due = begun + i * PACE_S
        await asyncio.sleep(max(0.0, due - loop.time()))
        name = ("/health", "solo", "static vote")[i % 3]
        tasks.append(asyncio.create_task(one(name, due)))
    return list(await asyncio.gather(*tasks))


def _asked(url: str, name: str) -> Target:
    model = f"{MODEL}:solo" if name == "solo" else MODEL
    return Target(name, url, {"model": model, "messages": [{"role": "user", "content": "Say it."}]})


def _vote(url: str, kind: str) -> Target:
    messages = [{"role": "user", "content": PROMPT.format(kind)}]
    return Target(kind, url, {"model": MODEL, "messages": messages, "swarm": {"quorum": 3}})


@asynccontextmanager
async def _fake() -> AsyncIterator[str]:
    """The address of a llama-server without a model that answers with these programs."""
    programs = {
        f"to {kind}": [f"```python\ndef solve(x):\n{body}\n```" for body in bodies]
        for kind, bodies in (("hostile", HOSTILE), ("harmless", HARMLESS))
    }
    script = {"answers": {**programs, "": ["yes"]}, "answers_by": "seed"}
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "tests" / "fakes" / "fake_llama_server.py"),
        *("--port", str(port), "-np", str(SLOTS), "-c", str(CTX * SLOTS), "--alias", MODEL),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "FAKE_LLAMA_SCRIPT": json.dumps(script)},
    )
    try:
        await answers(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.wait_for(process.wait(), STOP_S)


def _report(took: dict[tuple[str, str], list[float]], votes: dict[str, list[float]]) -> Report:
    rows: list[Row] = []
    for name in ("/health", "solo", "static vote"):
        quiet = took[name, QUIET]
        for who in (QUIET, BUSY, ATTACKED):
            these = took[name, who]
            p50, p95 = median(these), quantile(these, 0.95)
            rows.append(
                {
                    "asked": f"{name}, beside {who}",
                    "p50 ms": ms(p50),
                    "p95 ms": ms(p95),
                    "p50 x nobody": ratio(p50, median(quiet)),
                    "p95 x nobody": ratio(p95, quantile(quiet, 0.95)),
                    "worst ms": ms(max(these)),
                    "requests": len(these),
                }
            )
    notes = {
        f"votes with {who}": f"{len(votes[who])}, p50 {ms(median(votes[who]))} ms, "
        f"worst {ms(max(votes[who]))} ms"
        for who in (BUSY, ATTACKED)
    }
    return Report(TITLE, rows, notes)
