"""What /v1/swarm/events tells, and what a reader of it can cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from local_swarm.errors import Overloaded
from local_swarm.gateway.events import BUFFERED, MAX_SUBSCRIBERS, Events
from tests.swarms import PATIENCE_S, Shape, Swarm, message, swarm_of

PATH = "/v1/swarm/events"
SECRET = "a prompt that nobody may see"


class Reader:
    """The events of one stream, in order."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> dict[str, Any] | None:
        """The next event, None at the end of the stream."""
        while line := await asyncio.wait_for(self._response.content.readline(), PATIENCE_S):
            if line.startswith(b"data: "):
                event: dict[str, Any] = json.loads(line[6:])
                return event
        return None

    async def until(self, **fields: Any) -> list[dict[str, Any]]:
        """All events up to the one that has these fields."""
        events = []
        while (event := await self.next()) is not None:
            events.append(event)
            if fields.items() <= event.items():
                return events
        raise AssertionError(f"never came: {fields}")


@asynccontextmanager
async def reading(swarm: Swarm) -> AsyncIterator[Reader]:
    async with swarm.client.get(swarm.gateway.url + PATH) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Reader(response)


async def test_a_request_is_told_without_its_text() -> None:
    async with swarm_of(Shape()) as swarm, reading(swarm) as reader:
        hello = await reader.next()
        assert hello is not None
        assert hello["workers"] == {"w0": "ready"}
        async with swarm.client.post(
            swarm.chat_url, json=message(SECRET), headers={"X-Request-Id": "mine"}
        ) as response:
            assert response.status == 200
        events = await reader.until(type="request.finished")
    assert events[0] == {**events[0], "type": "request.started", "id": "mine"}
    finished = events[-1]
    assert (finished["id"], finished["status"], finished["voters"]) == ("mine", 200, 3)
    assert finished["route"] == "/v1/chat/completions"
    assert SECRET not in str(events)


async def test_a_worker_that_dies_and_comes_back_is_told() -> None:
    async with swarm_of(Shape()) as swarm, reading(swarm) as reader:
        assert await reader.next()
        swarm.kill()
        events = await reader.until(type="worker", state="ready")
    assert [e["worker"] for e in events if e["type"] == "worker"]
    assert "starting" in [e["state"] for e in events if e["type"] == "worker"]


async def test_requests_that_wait_are_told() -> None:
    held = {"faults": [{"kind": "hold", "at_token": 1}]}
    async with swarm_of(Shape(slots=2, script=held)) as swarm, reading(swarm) as reader:
        tasks = [asyncio.ensure_future(swarm.chat(f"{i}", model="fake:solo")) for i in range(3)]
        await reader.until(type="queue", waiting=1)
        await swarm.script({})
        await swarm.release()
        await reader.until(type="queue", waiting=0)
        assert [status for status, _ in await asyncio.gather(*tasks)] == [200] * 3


async def test_a_stream_of_events_ends_with_the_gateway() -> None:
    async with aiohttp.ClientSession() as client:
        async with swarm_of(Shape()) as swarm:
            response = await client.get(swarm.gateway.url + PATH)
            assert await Reader(response).next()
        rest = await asyncio.wait_for(response.read(), PATIENCE_S)
    assert b"error" not in rest


async def test_a_reader_that_leaves_makes_room() -> None:
    async with swarm_of(Shape()) as swarm:
        for _ in range(MAX_SUBSCRIBERS + 3):
            async with reading(swarm) as reader:
                assert await reader.next()


async def test_one_reader_too_many_is_refused() -> None:
    events = Events()
    subscriptions = [events.subscribe() for _ in range(MAX_SUBSCRIBERS)]
    with pytest.raises(Overloaded):
        events.subscribe()
    events.unsubscribe(subscriptions[0])
    events.subscribe()


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    events = Events()
    subscription = events.subscribe()
    for number in range(BUFFERED + 10):
        events.publish("test", {"number": number})
    lost, *kept = subscription.take()
    assert (lost["type"], lost["dropped"]) == ("dropped", 11)  # hello was the oldest
    assert [e["number"] for e in kept] == list(range(10, BUFFERED + 10))
    assert subscription.take() == []


async def test_what_happened_before_the_end_is_still_told() -> None:
    events = Events()
    subscription = events.subscribe()
    events.publish("last", {})
    events.close()
    assert [e["type"] for e in subscription.take()] == ["hello", "last"]
    assert subscription.closed
    await subscription.wait(1000)  # returns at once
    with pytest.raises(Overloaded):
        events.subscribe()


async def test_head_of_the_events_ends() -> None:
    async with (
        swarm_of(Shape()) as swarm,
        swarm.client.head(swarm.gateway.url + PATH) as response,
    ):
        assert response.status == 200
