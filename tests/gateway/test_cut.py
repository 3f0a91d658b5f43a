"""Requests that have not ended when the time to stop is over."""

from __future__ import annotations

import asyncio

import pytest

from local_swarm.gateway.activity import Activity
from tests.swarms import Shape, message, swarm_of

HANGS = Shape(script={"faults": [{"kind": "hang", "at_token": 2}]})


@pytest.mark.parametrize("model", ["fake", "fake:solo"])
async def test_a_plain_request_is_told_that_the_swarm_stopped(model: str) -> None:
    async with swarm_of(HANGS) as swarm:
        asking = asyncio.create_task(swarm.chat("hello", model=model))
        await swarm.fake_until(lambda state: state["busy"] > 0)
        assert not await swarm.gateway.activity.drain(0.01)
        await swarm.gateway.activity.cut(5.0)
        status, body = await asking
        assert status == 503
        assert body["error"]["message"] == "The swarm stopped before the answer had ended."
        assert swarm.gateway.activity.in_flight == 0


@pytest.mark.parametrize("model", ["fake", "fake:solo"])
async def test_a_stream_ends_in_an_error_event(model: str) -> None:
    async with swarm_of(HANGS) as swarm:
        body = message("hello", model=model, stream=True)
        async with swarm.client.post(swarm.chat_url, json=body) as response:
            await swarm.fake_until(lambda state: state["busy"] > 0)
            await swarm.gateway.activity.cut(5.0)
            text = await response.text()
        assert '"error"' in text
        assert "The swarm stopped" in text


async def test_a_client_that_leaves_is_told_nothing() -> None:
    activity, begun = Activity(), asyncio.Event()

    async def request() -> None:
        with activity:
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(request())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert activity.in_flight == 0


async def test_after_a_cut_new_requests_are_refused() -> None:
    async with swarm_of(Shape()) as swarm:
        await swarm.gateway.activity.cut(1.0)
        assert (await swarm.chat())[0] == 503
