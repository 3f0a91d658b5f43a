"""Throughput and memory with more and more clients, each with one request at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from bench.figures import Report, Row, median, ms, quantile, ratio
from bench.load import Samples, Target, ask, client, closed_loop, question
from bench.servers import Server, upstream_and_proxies

CLIENTS = (1, 8, 32, 128)
WORKERS, SLOTS = 8, 17  # for 128 requests at once, and a lane in each worker
FOR_S = 1.5
TURNS = 2
WATCH_S = 0.05
MIB = 1024**2


async def run() -> list[Report]:
    rows: list[Row] = []
    servers = upstream_and_proxies(workers=WORKERS, slots=SLOTS)
    async with servers as (_, bare, gateway), client() as session:
        ours = Target("gateway", gateway.url, question(model="bench:solo"))
        theirs = Target("bare", bare.url, question())
        await ask(session, ours)
        idle = {"gateway": gateway.rss_bytes(), "bare": bare.rss_bytes()}
        for clients in CLIENTS:
            got: dict[str, Samples] = {"bare": Samples(), "gateway": Samples()}
            peak: dict[str, int] = {"bare": 0, "gateway": 0}
            cpu_s: dict[str, float] = {"bare": 0.0, "gateway": 0.0}
            for _turn in range(TURNS):
                for target, server in ((theirs, bare), (ours, gateway)):
                    before = server.cpu_s()
                    async with _watched(server) as seen:
                        turn = await closed_loop(session, target, clients=clients, for_s=FOR_S)
                    cpu_s[target.name] += server.cpu_s() - before
                    got[target.name].took_s.extend(turn.took_s)
                    got[target.name].failed += turn.failed
                    peak[target.name] = max(peak[target.name], *seen)
            rows.append(_row(clients, got, peak, cpu_s))
    notes = {f"{name}, idle (MiB)": round(size / MIB, 1) for name, size in idle.items()}
    return [Report("Clients in closed loops, plain answers after 50 ms, solo", rows, {**notes})]


def _row(
    clients: int, got: dict[str, Samples], peak: dict[str, int], cpu_s: dict[str, float]
) -> Row:
    rate = {name: len(s.took_s) / (TURNS * FOR_S) for name, s in got.items()}
    return {
        "clients": str(clients),
        "requests/s": round(rate["gateway"], 1),
        "x bare": ratio(rate["gateway"], rate["bare"]),
        "p50 ms": ms(median(got["gateway"].took_s)),
        "p99 ms": ms(quantile(got["gateway"].took_s, 0.99)),
        "bare p50 ms": ms(median(got["bare"].took_s)),
        "CPU ms each": ms(cpu_s["gateway"] / max(1, len(got["gateway"].took_s))),
        "bare CPU ms each": ms(cpu_s["bare"] / max(1, len(got["bare"].took_s))),
        "RSS MiB": round(peak["gateway"] / MIB, 1),
        "bare RSS MiB": round(peak["bare"] / MIB, 1),
        "failed": got["gateway"].failed,
    }


@contextlib.asynccontextmanager
async def _watched(server: Server) -> AsyncIterator[list[int]]:
    """The process's memory in bytes, again and again while the context is open."""
    seen = [server.rss_bytes()]

    async def watch() -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            seen.append(server.rss_bytes())

    task = asyncio.ensure_future(watch())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
