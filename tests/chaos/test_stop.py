"""Asked to stop under load: who is served stays served, who comes is refused politely, and nothing
takes longer than it may."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.chaos.conftest import Long
from tests.chaos.load import End, Kind, Load, ask, kinds
from tests.chaos.supervisors import Home, Supervisor

STOP_TIMEOUT_S = 10
LATE = {"messages": [{"role": "user", "content": "late"}]}
PATIENT = {"LSWARM_SWARM__STOP_TIMEOUT_S": str(STOP_TIMEOUT_S), "LSWARM_SWARM__THREADS": "1"}


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.mark.engine
def test_sigterm_under_load_refuses_the_new_and_finishes_the_running(
    home: Home, figures: dict[str, Any], long: Long
) -> None:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    for _ in range(long(1, 10)):
        swarm = home.up("--ctx", "1024", **PATIENT).until_ready()
        load = Load(swarm.url, kinds("swarm"), cancelled=0.0)
        took_s, code = asyncio.run(stopped_under(swarm, load))
        assert load.tally.failures == []
        assert load.tally.count(End.CUT) == 0
        assert load.tally.count(End.ANSWERED) > 0
        assert code == 0
        assert took_s <= STOP_TIMEOUT_S
        home.no_orphans()
        assert home.run_files() == {}
        figures |= load.tally.figures()
        figures["stopped after"] = f"{took_s:.2f} s"


async def stopped_under(swarm: Supervisor, load: Load) -> tuple[float, int]:
    """Sends SIGTERM once answers come; returns how long the end took, and its exit code."""
    running = asyncio.create_task(load.run(lambda: False))
    while load.tally.count(End.ANSWERED) < 5:  # noqa: ASYNC110 - another process is waited for
        await asyncio.sleep(0.02)
    began, load.ending = time.monotonic(), True
    swarm.process.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(swarm.process.wait, 3 * STOP_TIMEOUT_S)
    took_s = time.monotonic() - began
    await running
    return took_s, code


def test_the_new_are_refused_with_a_json_error_that_says_when_to_come_back(home: Home) -> None:
    # What is left of the answer takes longer than the last bytes of a connection are given.
    slow = {"token_s": 0.25, "answers": ["one two three four five six seven eight"]}
    home.script(faults=[{"kind": "hold", "at_token": 2}], **slow)
    swarm = home.up("--ctx", "1024", **home.fakes(), **PATIENT).until_ready()

    async def refused() -> None:
        async with client() as session:
            held = asyncio.create_task(ask(session, swarm.url, voted(), LATE))
            await on_hold(swarm, session)
            swarm.process.send_signal(signal.SIGTERM)
            await until_refused(swarm, session)
            for path in ("/v1/chat/completions", "/v1/completions", "/v1/messages", "/completion"):
                body = {**LATE, "prompt": "late", "max_tokens": 5}
                async with session.post(swarm.url + path, json=body) as response:
                    assert (path, response.status) == (path, 503)
                    assert int(response.headers["Retry-After"]) > 0
                    assert (await response.json())["error"]["message"]
            async with session.get(swarm.url + "/health") as response:
                assert response.status == 200
            await release(swarm, session)
            assert await held is End.ANSWERED

    asyncio.run(refused())
    assert swarm.process.wait(30) == 0
    home.no_orphans()


@pytest.mark.parametrize("streams", [True, False])
def test_what_does_not_end_in_time_is_told_so(home: Home, streams: bool) -> None:
    home.script(faults=[{"kind": "hang", "at_token": 2}], sigterm="ignore")
    within_s = 4
    env = {**home.fakes(), "LSWARM_SWARM__STOP_TIMEOUT_S": str(within_s)}
    env["LSWARM_SUPERVISOR__TERM_GRACE_S"] = "0.5"
    swarm = home.up("--ctx", "1024", **env).until_ready()

    async def cut() -> tuple[str, float]:
        async with client() as session:
            asking = asyncio.create_task(answer(session, swarm.url, {**LATE, "stream": streams}))
            in_flight = lambda: swarm.get("/v1/swarm/status")["queue"]["in_flight"]  # noqa: E731
            await asyncio.to_thread(swarm.until, in_flight, "a request")
            began = time.monotonic()
            swarm.process.send_signal(signal.SIGTERM)
            said = await asking
            assert await asyncio.to_thread(swarm.process.wait, 30) == 0
            return said, time.monotonic() - began

    said, took_s = asyncio.run(cut())
    assert '"error"' in said, said
    assert took_s <= within_s
    home.no_orphans()
    assert home.run_files() == {}


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once_with_130(home: Home, second: signal.Signals) -> None:
    home.script(faults=[{"kind": "hold", "at_token": 2}], sigterm="ignore")
    swarm = home.up("--ctx", "1024", **home.fakes()).until_ready()

    async def stopped() -> None:
        async with client() as session:
            held = asyncio.create_task(ask(session, swarm.url, voted(), LATE))
            await on_hold(swarm, session)
            swarm.process.send_signal(signal.SIGINT)
            await until_refused(swarm, session)
            swarm.process.send_signal(second)
            # Far less than the 30 s of the drain and the 5 s of the ladder.
            assert await asyncio.to_thread(swarm.process.wait, 4) == 130
            held.cancel()
            await asyncio.gather(held, return_exceptions=True)

    asyncio.run(stopped())
    home.no_orphans()
    assert home.run_files() == {}


def voted() -> Kind:
    return kinds("swarm")[0]


async def on_hold(swarm: Supervisor, session: aiohttp.ClientSession) -> None:
    """Until the fake holds a request in the middle of its answer."""
    (row,) = swarm.workers().values()
    while True:
        async with session.get(f"http://127.0.0.1:{row['port']}/_fake/state") as response:
            if any(request.get("held") for request in (await response.json())["requests"]):
                return


async def until_refused(swarm: Supervisor, session: aiohttp.ClientSession) -> None:
    """The signal has arrived once a request is turned away. Those asked before it are let go."""
    impatient = aiohttp.ClientTimeout(total=0.2)
    for _ in range(100):
        with contextlib.suppress(asyncio.TimeoutError):
            url = swarm.url + "/v1/chat/completions"
            async with session.post(url, json=LATE, timeout=impatient) as response:
                if response.status == 503:
                    return
    raise AssertionError("new requests were never refused")


async def release(swarm: Supervisor, session: aiohttp.ClientSession) -> None:
    for row in swarm.workers().values():
        async with session.post(f"http://127.0.0.1:{row['port']}/_fake/release"):
            pass


async def answer(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> str:
    async with session.post(url + "/v1/chat/completions", json=body) as response:
        return await response.text()
