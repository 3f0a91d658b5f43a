"""Swarms of fake llama-servers for the tests: real processes, scripted faults.

`fleet_of` gives a running fleet, `swarm_of` a fleet with a gateway in front of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from local_swarm.consensus import STRATEGIES
from local_swarm.domain.launch import Capabilities, LaunchSpec
from local_swarm.domain.worker import WorkerState
from local_swarm.gateway.app import Gateway, GatewaySettings, listen, serving
from local_swarm.gateway.ports import Control
from local_swarm.gateway.stream import Pace
from local_swarm.gateway.turns import Served
from local_swarm.gateway.voted import VotedSettings
from local_swarm.supervisor.fleet import Fleet
from local_swarm.supervisor.job import Job, LogSettings
from local_swarm.supervisor.restart import RestartPolicy

FAKE = Path(__file__).parent / "fakes" / "fake_llama_server.py"
MODEL = "fake"
CHILD_KEY = "child-key"
PATIENCE_S = 20.0
QUICK = RestartPolicy(
    budget=3, backoff_initial_s=0.02, backoff_max_s=0.1, term_grace_s=1.0, half_open_s=0.2
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Shape:
    """The workers of a swarm, and what their fakes do."""

    workers: int = 1
    slots: int = 4
    lanes: int = 1
    ctx: int = 1024
    pool: int = 0
    token_bytes: int = 0
    voters: int = 3
    script: dict[str, Any] = field(default_factory=dict)
    policy: RestartPolicy = QUICK
    log_directory: Path | None = None
    capabilities: Capabilities = field(default_factory=Capabilities)

    def job(self, number: int) -> Job:
        def launch() -> LaunchSpec:
            port = free_port()
            flags = ["--port", str(port), "-np", str(self.slots), "--alias", MODEL]
            flags += ["-c", str(self.ctx * self.slots), "--metrics"]
            return LaunchSpec(
                engine="fake",
                argv=(sys.executable, str(FAKE), *flags),
                host="127.0.0.1",
                port=port,
                env={
                    "LLAMA_API_KEY": CHILD_KEY,
                    "FAKE_LLAMA_SCRIPT": json.dumps(self.script),
                },
                capabilities=self.capabilities,
            )

        return Job(
            id=f"w{number}",
            slots=self.slots,
            lanes=self.lanes,
            ctx=self.ctx,
            api_key=CHILD_KEY,
            planned_bytes=1,
            pool=self.pool,
            token_bytes=self.token_bytes,
            launch=launch,
        )


async def until(fleet: Fleet, condition: Callable[[], bool]) -> None:
    """Waits for the workers to change until the condition holds; fails after PATIENCE_S."""

    async def wait() -> None:
        while not condition():
            await fleet.next_change().wait()

    await asyncio.wait_for(wait(), PATIENCE_S)


def states(fleet: Fleet) -> list[WorkerState]:
    return [keeper.worker.state for keeper in fleet.keepers.values()]


@asynccontextmanager
async def fleet_of(shape: Shape, *, wait_ready: bool = True) -> AsyncIterator[Fleet]:
    jobs = [shape.job(i) for i in range(shape.workers)]
    logs = LogSettings(directory=shape.log_directory)
    async with Fleet(jobs, shape.policy, run_token=uuid.uuid4().hex, logs=logs) as fleet:
        fleet.start()
        if wait_ready:
            await until(fleet, lambda: len(fleet.endpoints()) == shape.workers)
        yield fleet


@dataclass
class Swarm:
    """A gateway over fakes, and a client of it."""

    gateway: Gateway
    fleet: Fleet
    client: aiohttp.ClientSession

    @property
    def chat_url(self) -> str:
        return f"{self.gateway.url}/v1/chat/completions"

    async def chat(self, text: str = "hello", **body: Any) -> tuple[int, dict[str, Any]]:
        """(status, JSON) of one plain chat completion."""
        async with self.client.post(self.chat_url, json=message(text, **body)) as response:
            return response.status, await response.json()

    async def stream(self, text: str = "hello", **body: Any) -> list[dict[str, Any]]:
        """All events of one streamed chat completion; the last must be [DONE]."""
        raw = await self.raw_stream(text, **body)
        events = [line[6:] for line in raw.split("\n") if line.startswith("data: ")]
        assert events[-1] == "[DONE]", raw
        return [json.loads(event) for event in events[:-1]]

    async def raw_stream(self, text: str = "hello", **body: Any) -> str:
        body = message(text, stream=True, **body)
        async with self.client.post(self.chat_url, json=body) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "text/event-stream"
            return await response.text()

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.client.get(self.gateway.url + path) as response:
            return response.status, await response.json()

    async def fake(self, worker: int = 0) -> dict[str, Any]:
        """What the fake behind a worker has seen."""
        async with self.client.get(f"{self._child(worker)}/_fake/state") as response:
            state: dict[str, Any] = await response.json()
            return state

    async def script(self, script: dict[str, Any], worker: int = 0) -> None:
        async with self.client.post(f"{self._child(worker)}/_fake/script", json=script) as response:
            assert response.status == 200

    async def release(self, worker: int = 0) -> None:
        async with self.client.post(f"{self._child(worker)}/_fake/release") as response:
            assert response.status == 200

    async def fake_until(
        self, condition: Callable[[dict[str, Any]], bool], worker: int = 0
    ) -> dict[str, Any]:
        """Asks the fake again and again until the condition holds of its state."""

        async def wait() -> dict[str, Any]:
            while not condition(state := await self.fake(worker)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # another process: there is no event to wait for
            return state

        return await asyncio.wait_for(wait(), PATIENCE_S)

    def kill(self, worker: int = 0, signal: int = 9) -> None:
        child = self.fleet.keepers[f"w{worker}"].child
        assert child is not None
        os.kill(child.pid, signal)

    def _child(self, worker: int) -> str:
        spec = self.fleet.keepers[f"w{worker}"].spec
        assert spec is not None
        return f"http://{spec.host}:{spec.port}"


def message(text: str, **body: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **body}


@asynccontextmanager
async def swarm_of(
    shape: Shape, *, control: Control | None = None, **settings: Any
) -> AsyncIterator[Swarm]:
    gateway_settings = settings_of(shape, **settings)
    async with (
        fleet_of(shape) as fleet,
        serving(gateway_settings, fleet, listen("127.0.0.1", 0), control) as gateway,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as client,
    ):
        yield Swarm(gateway, fleet, client)


def settings_of(shape: Shape, **settings: Any) -> GatewaySettings:
    chat = {
        "pace": Pace(first_byte_s=5.0, keepalive_s=5.0),
        "timeout_s": PATIENCE_S,
        **settings.pop("chat", {}),
    }
    served = {
        "model_id": MODEL,
        "ctx": shape.ctx,
        "context_train": 32768,
        "voters": shape.voters,
        **settings.pop("served", {}),
    }
    return GatewaySettings(
        served=Served(**served),
        voted=VotedSettings(**chat),
        strategies=frozenset(STRATEGIES),
        **settings,
    )
