"""What a vote costs on a real engine: `lswarm up` with builtin:demo, in both layouts.

Both swarms run at once (one that is not asked does nothing) and are asked in turn, as is the
engine itself. Each answer has the same number of tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from bench.figures import Report, Row, median, ms, quantile, ratio
from bench.load import Target, ask, client, question

LSWARM = Path(sys.executable).with_name("lswarm")
START_S = 60.0
STOP_S = 20.0
VOTERS = 4
TOKENS = 384
TURNS = 14
WARM_UP = 2
SOLO, AUTO, PROCESSES = "auto, solo", f"auto, vote of {VOTERS}", f"processes, vote of {VOTERS}"
SOLO_PROCESSES = "processes, solo"
RAW, RAW_N = "engine, n 1", f"engine, n {VOTERS}"
RAW_STREAM, RAW_N_STREAM = f"{RAW}, streamed", f"{RAW_N}, streamed"
MODEL = "builtin:demo"


@dataclass(frozen=True)
class Swarm:
    url: str
    model: str
    workers: list[dict[str, Any]]


async def run(model: str = MODEL, tokens: int = TOKENS) -> list[Report]:
    """`model` as `lswarm up --model` takes it; `tokens` in each answer."""
    key = secrets.token_hex(8)
    workers = min(VOTERS, os.cpu_count() or 1)
    spread = ["--layout", "processes", "--workers", str(workers)]
    spread += ["--slots", str(-(-VOTERS // workers) + 1)]
    async with (
        _up(key, "--model", model, "--layout", "auto") as auto,
        _up(key, "--model", model, *spread) as processes,
        client(keep=False) as session,
    ):
        engine = f"http://127.0.0.1:{auto.workers[0]['port']}"
        targets = [
            _target(SOLO, auto.url, model=f"{auto.model}:solo"),
            _target(AUTO, auto.url, model=auto.model),
            _target(SOLO_PROCESSES, processes.url, model=f"{processes.model}:solo"),
            _target(PROCESSES, processes.url, model=processes.model),
            replace(_target(RAW, engine, model=auto.model), key=key),
            replace(_target(RAW_N, engine, model=auto.model, n=VOTERS), key=key),
            replace(_target(RAW_STREAM, engine, model=auto.model, stream=True), key=key),
            replace(
                _target(RAW_N_STREAM, engine, model=auto.model, stream=True, n=VOTERS), key=key
            ),
        ]
        took: dict[str, list[float]] = defaultdict(list)
        for turn in range(WARM_UP + TURNS):
            for target in random.sample(targets, len(targets)):
                seconds = await ask(session, target.with_(seed=1000 * turn, max_tokens=tokens))
                if turn >= WARM_UP:
                    took[target.name].append(seconds)
        title = f"One answer and a vote of {VOTERS}, {tokens} tokens each, {Path(model).name}"
        return [_report(title, targets, took, processes)]


def _target(name: str, url: str, **fields: Any) -> Target:
    fields |= {"ignore_eos": True, "temperature": 0.8}
    return Target(name, url, question(**fields))


def _report(
    title: str, targets: list[Target], took: dict[str, list[float]], spread: Swarm
) -> Report:
    base = {t.name: RAW if t.name in (RAW, RAW_N) else SOLO for t in targets}
    base |= {RAW_STREAM: RAW_STREAM, RAW_N_STREAM: RAW_STREAM}
    base |= {PROCESSES: SOLO_PROCESSES}
    rows: list[Row] = [
        {
            "asked": t.name,
            "p50 ms": ms(median(took[t.name])),
            "p95 ms": ms(quantile(took[t.name], 0.95)),
            "x one answer": ratio(median(took[t.name]), median(took[base[t.name]])),
            "x engine n 4": ratio(median(took[t.name]), median(took[RAW_N])),
        }
        for t in targets
    ]
    slots = "+".join(str(w["slots"]) for w in spread.workers)
    notes: dict[str, float | int | str | None] = {
        "turns": TURNS,
        "layout processes": f"{len(spread.workers)} workers, slots {slots} (one a lane in each)",
        "layout processes / auto": ratio(median(took[PROCESSES]), median(took[AUTO])),
        "processes, vote / auto, solo": ratio(median(took[PROCESSES]), median(took[SOLO])),
        "gateway adds to a streamed n 4 (ms)": ms(median(took[AUTO]) - median(took[RAW_N_STREAM])),
    }
    return Report(title, rows, notes)


@asynccontextmanager
async def _up(key: str, *args: str) -> AsyncIterator[Swarm]:
    """A swarm of our own: its home is a temporary folder, and it is stopped again."""
    command = [str(LSWARM), "up", "--port", "0", "--no-federation"]
    command += ["--voters", str(VOTERS), *args]
    with tempfile.TemporaryDirectory() as home:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LSWARM_")}
        env = {**kept, "LSWARM_HOME": home, "LSWARM_ENGINE__API_KEY": key}
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, cwd=home
        )
        assert process.stdout is not None
        try:
            ready = (await asyncio.wait_for(process.stdout.readline(), START_S)).decode().split()
            if not ready or ready[0] != "READY":
                raise RuntimeError(f"`{' '.join(command)}` did not start")
            url, model = ready[1].removesuffix("/v1"), ready[2].removeprefix("model=")
            status_url = f"{url}/v1/swarm/status"
            async with aiohttp.ClientSession() as session, session.get(status_url) as response:
                status = await response.json()
            yield Swarm(url, model, status["workers"])
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_S)
            except asyncio.TimeoutError:
                process.kill()
                await process.wait()
