"""Engines as processes: the real ones where they are installed, and the fake one always."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local_swarm.domain.launch import Capabilities, LaunchSpec
from local_swarm.domain.plan import WorkerPlan
from local_swarm.engines import ENGINES, Availability
from local_swarm.engines.environment import worker_environment
from local_swarm.engines.flags import plan_flags

DEMO = Path(__file__).parents[2] / "local_swarm" / "assets" / "demo.gguf"
FAKE = Path(__file__).parents[1] / "fakes" / "fake_llama_server.py"
NATIVE = os.environ.get("LSWARM_TEST_LLAMA_SERVER", "")  # a llama-server that is not on PATH
KEY = "key-of-this-run"
HOST = "127.0.0.1"
DEADLINE_S = 30.0


async def until(
    check: Callable[[], Awaitable[Any]], what: str, deadline_s: float = DEADLINE_S
) -> Any:
    """The first true value of `check`, asked again and again until the deadline."""
    end = time.monotonic() + deadline_s
    while not (value := await check()):
        assert time.monotonic() < end, f"{what}: not within {deadline_s} s"
        await asyncio.sleep(0.01)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class FakeEngine:
    """The fake server as an engine, so that it is held to what the real ones do."""

    name: str = "fake"
    capabilities: Capabilities = field(default_factory=Capabilities)
    finds_devices: bool = False

    def available(self) -> Availability:
        return Availability(True)

    def devices(self) -> str | None:
        return None

    def launch(
        self,
        worker: WorkerPlan,
        *,
        host: str,
        port: int,
        api_key: str,
        extra_args: Sequence[str] = (),
    ) -> LaunchSpec:
        script = '{"check_model": true, "token_s": 0.001}'
        return LaunchSpec(
            engine=self.name,
            argv=(
                sys.executable,
                str(FAKE),
                *plan_flags(worker, host=host, port=port),
                *extra_args,
            ),
            host=host,
            port=port,
            env={**worker_environment(worker, api_key), "FAKE_LLAMA_SCRIPT": script},
        )


@dataclass
class Child:
    """A started engine and a session that carries its key."""

    spec: LaunchSpec
    process: asyncio.subprocess.Process
    log: Path
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://{self.spec.host}:{self.spec.port}"

    async def is_ready(self) -> bool:
        if self.process.returncode is not None:
            pytest.fail(f"ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
        with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError):
            async with self.session.get(self.url + self.spec.ready_path) as response:
                return response.status == 200
        return False

    async def ready(self) -> Child:
        await until(self.is_ready, "ready")
        return self

    async def get(self, path: str) -> Any:
        async with self.session.get(self.url + path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self.session.post(self.url + path, json=body) as response:
            return response.status, await response.json()

    async def has(self, check: Callable[[], Awaitable[Any]], deadline_s: float = DEADLINE_S) -> Any:
        """Waits until `check` gives something true."""
        return await until(check, getattr(check, "__name__", "it"), deadline_s)

    async def busy_slots(self) -> set[int]:
        return {slot["id"] for slot in await self.get("/slots") if slot["is_processing"]}

    async def ended(self, deadline_s: float = 10.0) -> int:
        return await asyncio.wait_for(self.process.wait(), deadline_s)

    async def stop(self) -> None:
        """The supervisor's ladder."""
        for number, patience_s in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 10.0)):
            if self.process.returncode is None:
                self.process.send_signal(number)
                with contextlib.suppress(asyncio.TimeoutError):
                    await self.ended(patience_s)


Start = Callable[..., Awaitable[Child]]


def seated(worker: WorkerPlan, engine: Any) -> WorkerPlan:
    """The worker with as many slots as the engine can have."""
    return worker if engine.capabilities.parallel else replace(worker, slots=1, lanes=0)


@pytest.fixture
def worker() -> WorkerPlan:
    """Four slots on one CPU thread with the builtin model."""
    return WorkerPlan(
        id="w0",
        model_path=str(DEMO),
        model_id="demo",
        devices=("cpu",),
        gpu_layers=0,
        tensor_split=(),
        slots=4,
        lanes=1,
        ctx=1024,
        threads=1,
        cache_ram_mib=16,
    )


@pytest.fixture(
    params=[
        "fake",
        pytest.param("xllamacpp", marks=pytest.mark.engine),
        pytest.param("llama-server", marks=pytest.mark.engine),
        pytest.param("llama-cpp-python", marks=pytest.mark.engine),
    ]
)
def engine(request: pytest.FixtureRequest) -> Any:
    chosen = FakeEngine() if request.param == "fake" else ENGINES[request.param](NATIVE)
    found = chosen.available()
    if not found.found:
        pytest.skip(found.reason)
    if request.param != "fake" and not DEMO.exists():
        pytest.skip(f"{DEMO.name} has not been built")
    return chosen


@pytest.fixture
async def start(engine: Any, worker: WorkerPlan, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts children of the engine; what is left at the end is stopped by the ladder."""
    children: list[Child] = []
    async with contextlib.AsyncExitStack() as stack:

        async def begin(
            *, port: int = 0, extra_args: Sequence[str] = (), env: Any = None, **changes: Any
        ) -> Child:
            spec = engine.launch(
                replace(seated(worker, engine), **changes),
                host=HOST,
                port=port or free_port(),
                api_key=KEY,
                extra_args=extra_args,
            )
            log = tmp_path / f"child{len(children)}.log"
            with log.open("wb") as out:
                process = await asyncio.create_subprocess_exec(
                    *spec.argv,
                    env={**os.environ, **spec.env, **(env or {})},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out,
                    stderr=asyncio.subprocess.STDOUT,
                    cwd=tmp_path,
                )
            session = await stack.enter_async_context(
                aiohttp.ClientSession(
                    headers={"Authorization": f"Bearer {KEY}"},
                    connector=aiohttp.TCPConnector(force_close=True),
                    timeout=aiohttp.ClientTimeout(total=60),
                )
            )
            children.append(Child(spec, process, log, session))
            return children[-1]

        yield begin
        for child in children:
            await child.stop()


@pytest.fixture
async def child(start: Start) -> Child:
    """A ready child with four slots, or one where the engine has no more."""
    return await (await start()).ready()
