"""What wants a worker is told to the fleet, and wakes one that sleeps."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from local_swarm.domain.worker import WorkerState
from local_swarm.errors import Overloaded
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.stream import Pace
from local_swarm.supervisor.keeper import Rest
from tests.gateway.posting import post
from tests.gateway.test_observability import scraped
from tests.swarms import MODEL, PATIENCE_S, Shape, Swarm, message, swarm_of

SLOW_START = {"load_s": 0.3}
HURRIED = {"pace": Pace(first_byte_s=0.05, keepalive_s=0.05)}
CALL = {"tool_calls": [{"name": "ls", "arguments": {}}]}
TOOLS = [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}]


async def asleep(swarm: Swarm) -> None:
    for worker in swarm.fleet.keepers:
        await swarm.fleet.put_to_rest(worker, Rest.ASLEEP)
    assert not swarm.fleet.endpoints()


def test_every_change_is_told() -> None:
    told: list[tuple[int, int]] = []
    activity = Activity(lambda in_flight, waiting: told.append((in_flight, waiting)))
    with activity:
        activity.queued(1)
        with activity:
            pass
        activity.queued(0)
    assert told == [(1, 0), (1, 1), (2, 1), (1, 1), (1, 0), (0, 0)]


async def test_what_is_refused_is_not_told() -> None:
    told: list[tuple[int, int]] = []
    activity = Activity(lambda in_flight, waiting: told.append((in_flight, waiting)))
    assert await activity.drain(1)
    with pytest.raises(Overloaded), activity:
        pass
    assert (told, activity.in_flight) == ([], 0)


async def test_the_fleet_hears_of_requests_and_of_those_that_wait() -> None:
    script = {"faults": [{"kind": "hold", "at_token": 1}]}
    async with swarm_of(Shape(script=script)) as swarm:
        first = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] == 3)
        second = asyncio.ensure_future(swarm.chat("y"))
        while swarm.fleet.demand.waiting == 0:
            await swarm.get("/health")
        assert swarm.fleet.demand.in_flight == 2
        await swarm.script({})
        await swarm.release()
        assert [status for status, _ in await asyncio.gather(first, second)] == [200, 200]
        await swarm.get("/v1/models")
        assert (swarm.fleet.demand.in_flight, swarm.fleet.demand.waiting) == (0, 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", message("x")),
        ("/v1/chat/completions", message("x", model=f"{MODEL}:solo")),
        ("/v1/completions", {"prompt": "x"}),
        ("/completion", {"prompt": "x"}),
        ("/tokenize", {"content": "x"}),
        ("/v1/messages/count_tokens", message("x")),
        ("/v1/embeddings", {"input": "x"}),
    ],
)
async def test_a_request_wakes_the_swarm_and_is_answered(path: str, body: dict[str, Any]) -> None:
    async with swarm_of(Shape(script={**SLOW_START, "embeddings": True})) as swarm:
        await asleep(swarm)
        assert (await post(swarm, path, body))[0] == 200
        assert swarm.fleet.states()["w0"] is WorkerState.READY


async def test_a_request_for_properties_wakes_the_swarm() -> None:
    async with swarm_of(Shape()) as swarm:
        await asleep(swarm)
        assert (await swarm.get("/props"))[0] == 200


async def test_a_call_of_a_tool_waits_for_the_swarm_to_wake() -> None:
    async with swarm_of(Shape(script={**SLOW_START, "answers": [CALL]})) as swarm:
        await asleep(swarm)
        status, body = await swarm.chat("x", tools=TOOLS, tool_choice="required")
    assert status == 200
    assert body["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "ls"


@pytest.mark.parametrize("model", [MODEL, f"{MODEL}:solo"])
async def test_a_stream_is_kept_alive_until_the_swarm_is_awake(model: str) -> None:
    async with swarm_of(Shape(script=SLOW_START), chat=HURRIED) as swarm:
        await asleep(swarm)
        raw = await swarm.raw_stream("x", model=model)
    before, _, after = raw.partition("data: ")
    assert before.count(": ") >= 2
    assert after.rstrip().endswith("[DONE]")


async def test_a_prompt_that_is_too_long_is_told_so_while_the_swarm_sleeps() -> None:
    async with swarm_of(Shape(ctx=64, token_bytes=8)) as swarm:
        await asleep(swarm)
        status, body = await swarm.chat("word " * 1000)
        assert (status, body["error"]["code"]) == (400, "exceed_context_size_error")


async def test_looking_wakes_nobody_and_tells_that_it_sleeps() -> None:
    async with swarm_of(Shape(slots=2)) as swarm:
        before = await scraped(swarm)
        await asleep(swarm)
        for path in ("/v1/models", "/health", "/openapi.json"):
            assert (await swarm.get(path))[0] == 200
        assert await swarm.get("/ready") == (200, {"status": "asleep"})
        _, slots = await swarm.get("/slots")
        assert [(slot["worker"], slot["is_processing"]) for slot in slots] == [("w0", False)] * 2
        _, status = await swarm.get("/v1/swarm/status")
        after = await scraped(swarm)
        assert swarm.fleet.is_asleep
    assert (status["asleep"], status["ready"], status["voters"]) == (True, True, 1)
    assert "asleep" in status["workers"][0]["reason"]
    assert (before["lswarm_asleep",], after["lswarm_asleep",]) == (0, 1)


async def test_a_swarm_that_stops_is_ready_for_nobody() -> None:
    async with swarm_of(Shape()) as swarm:
        assert await swarm.get("/ready") == (200, {"status": "ok"})
        await swarm.gateway.activity.drain(1)
        assert await swarm.get("/ready") == (503, {"status": "stopping"})
        await asleep(swarm)
        assert await swarm.get("/ready") == (503, {"status": "stopping"})


REFUSED = [
    ("/v1/chat/completions", message("x")),
    ("/v1/chat/completions", message("x", stream=True)),
    ("/completion", {"prompt": "x"}),
    ("/tokenize", {"content": "x"}),
    ("/v1/messages/count_tokens", message("x")),
]


async def test_while_it_stops_every_request_is_refused_politely_on_every_connection() -> None:
    script = {"faults": [{"kind": "hold", "at_token": 1, "times": 1}]}
    connector = aiohttp.TCPConnector(limit=1)
    async with (
        swarm_of(Shape(script=script)) as swarm,
        aiohttp.ClientSession(connector=connector) as kept_alive,
    ):
        running = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] == 3)
        assert await said(kept_alive, swarm, "/tokenize", {"content": "x"}) == (200, None)
        drained = asyncio.ensure_future(swarm.gateway.activity.drain(PATIENCE_S))
        await asyncio.sleep(0)
        for path, body in REFUSED:
            for client in (kept_alive, swarm.client):
                assert await said(client, swarm, path, body) == (503, "overloaded")
        assert not drained.done()
        await swarm.release()
        assert await drained
        assert (await running)[0] == 200


async def said(
    client: aiohttp.ClientSession, swarm: Swarm, path: str, body: dict[str, Any]
) -> tuple[int, str | None]:
    """The status, and the code of an error, which must say when to come again."""
    async with client.post(swarm.gateway.url + path, json=body) as response:
        answer = await response.json()
        if response.status == 200:
            return 200, None
        assert int(response.headers["Retry-After"]) >= 1
        return response.status, answer["error"]["code"]
