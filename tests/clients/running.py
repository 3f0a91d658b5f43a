"""Client programs as the tests run them: each a process of its own, given the gateway's address.

`bin/setup_clients.sh` (run by `make test`) installs them into CLIENTS; where it could not, the
tests that need the missing one skip. Nothing here uses the network.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.swarms import Shape, Swarm, swarm_of

ROOT = Path(__file__).parents[2]
CLIENTS = Path(os.environ.get("LSWARM_TEST_CLIENTS") or ROOT / ".venv" / "clients").resolve()
PROGRAMS = Path(__file__).parent / "programs"
PATIENCE_S = 120.0
HELLO = "Hello there, friend."
WEATHER = "It is 22 degrees in Paris."
PERSON: dict[str, Any] = {"name": "Ada", "age": 36}
ANSWERS = {
    "22 degrees": [WEATHER],  # the tool's result is in the prompt
    "weather-please": [
        {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}}]},
        {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}}]},
        {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Rome"}}]},
    ],
    "person-call-please": [{"tool_calls": [{"name": "Person", "arguments": PERSON}]}],
    "person-please": [json.dumps(PERSON)],
    "": [HELLO, HELLO, "Something else entirely."],
}
"""What the fake workers answer; three voters get the three answers of a list."""
SHAPE = Shape(slots=4, ctx=4096, script={"answers": ANSWERS})


def client_python(needs: str) -> str:
    """The interpreter of the Python clients' own environment, which has the package `needs`."""
    if not list(CLIENTS.glob(f"python/lib/python3*/site-packages/{needs}/__init__.py")):
        pytest.skip(f"{needs} is not installed: `make setup-clients` could not get it")
    return str(CLIENTS / "python" / "bin" / "python")


def python_program(name: str, needs: str) -> list[str]:
    """The command of a program in PROGRAMS."""
    return [client_python(needs), str(PROGRAMS / name)]


def node_program(name: str) -> list[str]:
    if not (CLIENTS / "node" / "node_modules" / "ai" / "package.json").exists():
        pytest.skip("the AI SDK is not installed: `make setup-clients` could not get it")
    return ["node", str(PROGRAMS / name), str(CLIENTS / "node" / "package.json")]


def opencode_program() -> str:
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), "none")
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"opencode-{system}-{machine}"
    binary = CLIENTS / "node" / "node_modules" / package / "bin" / "opencode"
    if not binary.exists():
        pytest.skip(f"{package} is not installed: `make setup-clients` could not get it")
    return str(binary)


class Program:
    """A running client; `text` and `facts` wait for its end, for `patience_s` at most."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.patience_s = PATIENCE_S

    @classmethod
    async def start(cls, *command: str, cwd: Path | None = None, **env: str) -> Program:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, cwd=cwd, env={**kept, **env}, stdin=pipe, stdout=pipe, stderr=pipe
        )
        return cls(process)

    async def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()

    async def text(self, *, code: int | None = 0) -> str:
        """What it printed; its exit code must be `code` (None: any)."""
        try:
            out, err = await asyncio.wait_for(self.process.communicate(), self.patience_s)
        finally:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        assert code in (None, self.process.returncode), f"{out.decode()}\n{err.decode()}"
        return out.decode()

    async def facts(self) -> dict[str, Any]:
        """What it saw: the JSON object in its last line."""
        found: dict[str, Any] = json.loads((await self.text()).splitlines()[-1])
        return found


async def facts_of(*command: str) -> dict[str, Any]:
    """What a program saw of a swarm of fakes, case by case. No slot may be left taken."""
    async with swarm_of(SHAPE) as swarm:
        program = await Program.start(*command, f"{swarm.gateway.url}/v1")
        facts = await program.facts()
        await idle(swarm)
        return facts


async def idle(swarm: Swarm) -> None:
    await swarm.fake_until(lambda state: state["busy"] == 0)
    _, status = await swarm.get("/v1/swarm/status")
    assert [worker["slots_busy"] for worker in status["workers"]] == [0]


def seen_by(command: Callable[[], list[str]]) -> Callable[[], dict[str, Any]]:
    """A fixture: the facts of one run of a program, which all tests of a module look at."""

    @pytest.fixture(scope="module", name="seen")
    def seen() -> dict[str, Any]:
        work: Coroutine[Any, Any, dict[str, Any]] = facts_of(*command())
        return asyncio.run(work)

    return seen
