"""Starts the servers of a benchmark, each a process, and ends those and no others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from bench.child import PROFILE
from bench.litellm import config_text, free_port

ROOT = Path(__file__).parents[1]
START_S = 90.0
STOP_S = 5.0
LITELLM_KEY = "sk-" + secrets.token_hex(16)


@dataclass(frozen=True)
class Server:
    url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss_bytes(self) -> int:
        return int(self.process.memory_info().rss)


@asynccontextmanager
async def started(module: str, *args: str, env: Mapping[str, str] = {}) -> AsyncIterator[Server]:
    """`python -m bench.MODULE ARGS`, once it says that it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"bench.{module}",
        *args,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **env},
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_S)
        if not line.startswith(b"READY "):
            raise RuntimeError(f"{module} did not start")
        url = line.split()[1].decode()
        await answers(url)
        yield Server(url, psutil.Process(process.pid))
    finally:
        process.stdin.close()
        await _ended(process)


@asynccontextmanager
async def upstream_and_proxies(
    *, workers: int = 1, slots: int = 33
) -> AsyncIterator[tuple[Server, Server, Server]]:
    """(upstream, bare proxy, gateway), the last two in front of the first."""
    profile = {PROFILE: os.environ[PROFILE]} if PROFILE in os.environ else {}
    with _without(PROFILE):
        async with (
            started("upstream") as upstream,
            started("bare_proxy", upstream.url) as bare,
            started("gateway", upstream.url, str(workers), str(slots), env=profile) as gateway,
        ):
            yield upstream, bare, gateway


@asynccontextmanager
async def litellm_proxy(python: Path | None, upstream: Server) -> AsyncIterator[Server | None]:
    """litellm's proxy from the environment of `python`; None without one."""
    if python is None:
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "config.yaml"
        config.write_text(config_text(upstream.url, LITELLM_KEY))
        command = [str(python.with_name("litellm")), "--config", str(config)]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LITELLM")}
        with (Path(home) / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                "--port",
                str(port),
                "--host",
                "127.0.0.1",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
                env={**kept, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
            )
        try:
            url = f"http://127.0.0.1:{port}"
            await answers(url + "/health/liveliness", process)
            yield Server(url, psutil.Process(process.pid))
        except StartError:
            tail = (Path(home) / "log").read_text(errors="replace")[-2000:]
            print(f"litellm's proxy did not start:\n{tail}", file=sys.stderr)
            yield None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await _ended(process)


class StartError(Exception):
    """A server did not answer in time."""


async def answers(url: str, process: asyncio.subprocess.Process | None = None) -> None:
    """Waits until something answers at `url`. Raises StartError."""
    deadline = time.monotonic() + START_S
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        while time.monotonic() < deadline:
            if process is not None and process.returncode is not None:
                break
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url):
                    return
            await asyncio.sleep(0.05)
    raise StartError(url)


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()


@contextlib.contextmanager
def _without(name: str) -> Iterator[None]:
    value = os.environ.pop(name, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[name] = value
