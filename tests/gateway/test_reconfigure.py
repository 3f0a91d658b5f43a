"""A gateway that is told otherwise while it serves: no request notices, nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from local_swarm.gateway.bodies import BodyLimits
from local_swarm.gateway.connections import ConnectionLimits
from local_swarm.gateway.deciding import VoteSettings
from local_swarm.wire.limits import Limits
from tests.gateway.posting import post
from tests.gateway.raw import connected, said
from tests.gateway.test_draining import KINDS, load
from tests.swarms import MODEL, PATIENCE_S, Shape, Swarm, message, settings_of, swarm_of

HELD = {"faults": [{"kind": "hold", "at_token": 2, "times": 1}]}
SHAPE = Shape()


async def tell(swarm: Swarm, shape: Shape = SHAPE, **settings: Any) -> None:
    await swarm.gateway.reconfigure(settings_of(shape, **settings))


async def test_keys_hold_from_the_next_request_on() -> None:
    async with swarm_of(SHAPE) as swarm:
        assert (await swarm.get("/v1/models"))[0] == 200
        await tell(swarm, keys=("new",))
        assert (await swarm.get("/v1/models"))[0] == 401
        assert (await swarm.get("/health"))[0] == 200
        await tell(swarm)
        assert (await swarm.get("/v1/models"))[0] == 200


async def test_limits_hold_from_the_next_request_on() -> None:
    async with swarm_of(SHAPE) as swarm:
        long = {"content": "x" * 2000}
        assert (await post(swarm, "/tokenize", long))[0] == 200
        await tell(swarm, max_body_bytes=1000)
        assert (await post(swarm, "/tokenize", long))[0] == 413
        await tell(swarm, limits=BodyLimits(asked=Limits(tokens=10)))
        assert (await swarm.chat("x", max_tokens=11))[0] == 400


async def test_voters_strategy_and_execution_hold_from_the_next_request_on() -> None:
    async with swarm_of(SHAPE) as swarm:
        assert (await swarm.chat("x"))[1]["swarm"]["voters"] == 3
        assert (await swarm.chat("x", swarm={"strategy": "execution"}))[0] == 400
        served = {"voters": 2, "strategy": "fastest"}
        await tell(swarm, served=served, votes=VoteSettings(execute=True))
        _, body = await swarm.chat("x")
        assert (body["swarm"]["voters"], body["swarm"]["strategy"]) == (2, "fastest")
        answer = await swarm.chat("x", swarm={"strategy": "execution"})
        assert (answer[0], answer[1]["swarm"]["strategy"]) == (200, "execution")


async def test_a_queue_may_become_shorter() -> None:
    async with swarm_of(Shape(script={"faults": [{"kind": "hold", "at_token": 1}]})) as swarm:
        first = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] == 3)
        await tell(swarm, max_queue=0)
        assert (await swarm.chat("y"))[0] == 503
        await swarm.release()
        assert (await first)[0] == 200


async def test_another_model_is_served_by_another_name() -> None:
    async with swarm_of(SHAPE) as swarm:
        await tell(swarm, served={"model_id": "other", "unknown_model": "404"})
        _, models = await swarm.get("/v1/models")
        assert [model["id"] for model in models["data"]] == ["other", "other:solo", "swarm"]
        assert (await swarm.chat("x", model=MODEL))[0] == 404
        assert (await swarm.chat("x", model="other"))[1]["model"] == "other"
        _, status = await swarm.get("/v1/swarm/status")
        assert status["model"] == "other"


async def test_what_was_counted_stays() -> None:
    async with swarm_of(SHAPE) as swarm:
        await swarm.chat("x")
        _, before = await swarm.get("/v1/swarm/status")
        await tell(swarm)
        await swarm.chat("x")
        _, after = await swarm.get("/v1/swarm/status")
    assert (before["workers"][0]["requests"], after["workers"][0]["requests"]) == (1, 2)
    assert after["uptime_s"] >= before["uptime_s"]


async def test_new_connections_have_the_new_limits() -> None:
    async with swarm_of(SHAPE) as swarm, connected(swarm.gateway.url) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.wait_for(reader.readline(), PATIENCE_S)
        await tell(swarm, connections=ConnectionLimits(most=1))
        async with connected(swarm.gateway.url) as (second, _):
            assert (await said(second)).startswith(b"HTTP/1.1 503 ")


async def test_a_connection_that_is_kept_goes_on_to_the_new_application() -> None:
    connector = aiohttp.TCPConnector(limit=1)
    async with swarm_of(SHAPE) as swarm, aiohttp.ClientSession(connector=connector) as client:
        kept = set()
        for keys in ((), ("a",), ("b",)):
            await tell(swarm, keys=keys)
            headers = {"X-Api-Key": keys[0]} if keys else {}
            async with client.post(swarm.chat_url, json=message("x"), headers=headers) as response:
                assert response.status == 200
            ((connection, *others),) = connector._conns.values()
            assert others == []
            kept.add(connection[0])
        assert len(kept) == 1


@pytest.mark.parametrize("model", [MODEL, f"{MODEL}:solo"])
async def test_an_open_stream_ends_as_it_began(model: str) -> None:
    async with swarm_of(Shape(script=HELD)) as swarm:
        streamed = asyncio.ensure_future(swarm.stream("x", model=model))
        await swarm.fake_until(lambda state: state["busy"] > 0)
        await tell(swarm, keys=("new",), served={"model_id": "other"})
        assert (await swarm.chat("x"))[0] == 401
        await swarm.release()
        events = await streamed
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert {event["model"] for event in events if "model" in event} == {MODEL}


async def test_settings_that_make_no_application_change_nothing() -> None:
    async with swarm_of(SHAPE) as swarm:
        with pytest.raises((TypeError, AttributeError)):
            await tell(swarm, limits=BodyLimits(), votes=None, keys=("new",))
        assert (await swarm.get("/v1/models"))[0] == 200


async def test_under_load_fifty_times_nothing_fails_and_nothing_is_left() -> None:
    shape = Shape(slots=6, ctx=4096, script={"token_s": 0.001, "first_token_s": 0.005})
    async with swarm_of(shape, max_queue=1000) as swarm:
        await asyncio.gather(*(swarm.chat("x") for _ in range(4)))
        await tell(swarm, shape, max_queue=1000)
        tasks, applications, files = counted()
        for _ in range(2):
            done, failed = asyncio.Event(), list[object]()
            clients = [asyncio.ensure_future(load(swarm, kind, done, failed)) for kind in KINDS]
            for turn in range(25):
                voters = {"voters": 2 + turn % 3, "model_id": f"{MODEL}-{turn % 2}"}
                await tell(swarm, shape, max_queue=1000, served=voters)
                await swarm.chat("x")  # so that some begin under each
            done.set()
            served = await asyncio.wait_for(asyncio.gather(*clients), PATIENCE_S)
            assert failed == []
            assert all(served)
        while counted()[0] > tasks:
            await swarm.get("/health")  # the last connections are being closed
        assert counted() == (tasks, applications, files)


def counted() -> tuple[int, int, int]:
    """Tasks, applications and open files of this process."""
    gc.collect()
    applications = sum(isinstance(thing, web.Application) for thing in gc.get_objects())
    return len(asyncio.all_tasks()), applications, len(os.listdir("/proc/self/fd"))
