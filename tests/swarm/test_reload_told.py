"""What the service manager is told of a reload, and of a stop that comes meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local_swarm.config import Config, Loaded, Server, Swarm, load
from local_swarm.config.paths import user_paths
from local_swarm.errors import ConfigError
from local_swarm.swarm.lifecycle import Settings, serve
from local_swarm.swarm.planning import prepare
from tests.swarm.listener import PATIENCE_S, Listener, listening

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP, no reload by signal"),
]

CONFIG = Config(server=Server(port=0), swarm=Swarm(ctx=512, slots=3, threads=1, workers=1))


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path))
    with listening(tmp_path, monkeypatch) as listener:
        yield listener


async def start(read: Callable[[], Loaded], systemd: Listener) -> asyncio.Task[None]:
    """A swarm under a service manager that was told that it is ready."""
    prepared = await asyncio.to_thread(prepare, CONFIG, model="builtin:demo")
    serving = serve(prepared, user_paths(), lambda swarm: None, settings=Settings(read))
    task = asyncio.create_task(serving)
    await systemd.until("READY=1")
    return task


async def told(systemd: Listener, last: str) -> list[str]:
    """All lines up to the message that has `last` in it."""
    lines: list[str] = []
    while last not in lines:
        lines += await systemd.next()
    return lines


async def stop(task: asyncio.Task[None]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, PATIENCE_S)


async def test_a_reload_is_told_from_its_begin_to_its_end(systemd: Listener) -> None:
    before = time.monotonic_ns() // 1000
    task = await start(lambda: replace(load(env={}), config=CONFIG), systemd)
    os.kill(os.getpid(), signal.SIGHUP)
    lines = await told(systemd, "READY=1")
    clock = lines[lines.index("RELOADING=1") + 1]
    assert before <= int(clock.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    await stop(task)


async def test_a_reload_that_is_refused_ends_too(systemd: Listener) -> None:
    def read() -> Loaded:
        raise ConfigError("No.")

    task = await start(read, systemd)
    os.kill(os.getpid(), signal.SIGHUP)
    assert "RELOADING=1" in await told(systemd, "READY=1")
    await stop(task)


async def test_one_that_is_asked_for_too_early_is_made_when_all_is_ready(
    systemd: Listener,
) -> None:
    prepared = await asyncio.to_thread(prepare, CONFIG, model="builtin:demo")
    settings = Settings(lambda: replace(load(env={}), config=CONFIG))

    def hang_up(logs: Path) -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    serving = serve(prepared, user_paths(), lambda _: None, settings=settings, listens=hang_up)
    task = asyncio.create_task(serving)
    assert "RELOADING=1" not in await told(systemd, "READY=1")
    assert "RELOADING=1" in await told(systemd, "READY=1")
    await stop(task)


async def test_a_stop_during_a_reload_is_told_after_the_reloads_end(systemd: Listener) -> None:
    """systemd takes READY=1 after STOPPING=1 for a service that runs on, and does not see it
    stop."""
    enough = threading.Event()

    def read() -> Loaded:
        enough.wait(PATIENCE_S)
        return replace(load(env={}), config=CONFIG)

    task = await start(read, systemd)
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        await systemd.until("RELOADING=1")
        await stop(task)
    finally:
        enough.set()
    lines = systemd.waiting()
    assert [line for line in lines if line in ("READY=1", "STOPPING=1")] == [
        "READY=1",
        "STOPPING=1",
    ]
