"""How many events of a stream a core relays in a second: CPU time of the process alone counts.

Paced, each event comes by itself, as a model writes it; in a burst many come with one read, as
they do where the gateway is the slowest part.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import aiohttp

from bench.figures import Report, Row, ratio
from bench.load import Target, ask, client, question
from bench.servers import Server, upstream_and_proxies

TURNS = 3
TARGET = 20_000
PACED = {"stream": True, "max_tokens": 300, "user": "delay=0 pause=0.004"}
BURST = {"stream": True, "max_tokens": 2500, "user": "delay=0"}
STREAMS = {"paced": 16, "burst": 4}


async def run() -> list[Report]:
    events: dict[tuple[str, str], int] = defaultdict(int)
    cpu_s: dict[tuple[str, str], float] = defaultdict(float)
    async with upstream_and_proxies() as (_, bare, gateway), client() as session:
        targets: dict[str, tuple[Server, dict[str, Any]]] = {
            "bare aiohttp proxy": (bare, {}),
            "gateway, solo": (gateway, {"model": "bench:solo"}),
            "gateway, leader": (gateway, {"swarm": {"stream": "leader"}}),
        }
        for _turn in range(TURNS):
            for how, body in (("paced", PACED), ("burst", BURST)):
                for name, (server, wish) in targets.items():
                    target = Target(name, server.url, {**question(**body), **wish})
                    spent = await _relay(session, server, target, STREAMS[how])
                    events[how, name] += STREAMS[how] * int(str(body["max_tokens"]))
                    cpu_s[how, name] += spent
    rows: list[Row] = []
    for name in targets:
        row: Row = {"through": name}
        for how in STREAMS:
            base = events[how, "bare aiohttp proxy"] / cpu_s[how, "bare aiohttp proxy"]
            rate = events[how, name] / cpu_s[how, name]
            row |= {f"{how}: events/core-s": round(rate), f"{how}: x bare": ratio(rate, base)}
            row[f"{how}: us each"] = round(1e6 / rate, 1)
        rows.append(row)
    return [Report("Relayed events per second of CPU time", rows, {"target": TARGET})]


async def _relay(
    session: aiohttp.ClientSession, server: Server, target: Target, streams: int
) -> float:
    """CPU seconds of `server` for so many streams at once."""
    before = server.cpu_s()
    await asyncio.gather(*(ask(session, target) for _ in range(streams)))
    return server.cpu_s() - before
