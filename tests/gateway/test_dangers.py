"""What sends clients into endless loops, or makes them show nonsense, never leaves the gateway.

Each was seen with a client: a stream answered by plain JSON, or ended without a finish, is asked
again for ever; of several choices all are shown as one text; long silence is taken for death.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from local_swarm.gateway.stream import Pace
from tests.gateway.raw_worker import (
    DONE,
    FINISH,
    ROLE,
    event,
    events_in,
    gateway_to,
    saying,
    worker,
)
from tests.swarms import PATIENCE_S, Shape, swarm_of

BOTH = pytest.mark.parametrize("model", ["fake", "fake:solo"])
AT_ONCE = Pace(first_byte_s=0.0, keepalive_s=0.02)


def fault(**kind: Any) -> dict[str, Any]:
    return {"faults": [kind]}


def is_error_stream(text: str) -> bool:
    """Events, the last of them an error as clients know it: JSON data, no `error:` or `event:`."""
    lines = [line for line in text.split("\n") if line and not line.startswith(":")]
    return all(line.startswith("data: ") for line in lines) and "error" in events_in(text)[-1]


@BOTH
async def test_a_stream_is_answered_by_a_stream_also_where_all_workers_fail(model: str) -> None:
    script = fault(kind="status", status=500, message="boom")
    async with swarm_of(Shape(script=script), chat={"pace": AT_ONCE}) as swarm:
        text = await swarm.raw_stream("x", model=model)
    assert is_error_stream(text)
    assert events_in(text)[-1]["error"]["code"] == "no_voter_answered"


@BOTH
async def test_a_stream_that_runs_out_of_time_is_a_stream(model: str) -> None:
    chat = {"pace": AT_ONCE, "timeout_s": 0.2}
    async with swarm_of(Shape(script=fault(kind="hang")), chat=chat) as swarm:
        text = await swarm.raw_stream("x", model=model)
    assert is_error_stream(text)
    assert events_in(text)[-1]["error"]["code"] == "deadline_exceeded"


@BOTH
async def test_every_whole_stream_has_one_finish_and_ends_with_done(model: str) -> None:
    async with swarm_of(Shape()) as swarm:
        *events, done = events_in(await swarm.raw_stream("x", model=model))
    assert done == "[DONE]"
    assert [c["finish_reason"] for e in events for c in e["choices"] if c["finish_reason"]] == [
        "stop"
    ]


@pytest.mark.parametrize("done", [DONE, b": the end\n\n"])
async def test_a_live_stream_without_a_finish_does_not_end_as_if_it_were_whole(done: bytes) -> None:
    half = saying(ROLE, event({"content": "half an"}), done)
    async with worker(half) as url, gateway_to(url) as client:
        events = await client.stream()
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert events[-1]["error"]["code"] == "no_voter_answered"


async def test_an_answer_without_a_finish_is_not_voted_on() -> None:
    half = saying(ROLE, event({"content": "half an"}), DONE)
    async with worker(half) as url, gateway_to(url) as client, client.post("raw") as response:
        text = await response.text()
    assert "half an" not in text
    assert "no_voter_answered" in text


CALL = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "rm", "arguments": "{}"}}]}


@pytest.mark.parametrize("delta", [{"content": "other"}, CALL])
async def test_a_live_stream_has_no_choice_but_the_first(delta: dict[str, Any]) -> None:
    said = saying(
        ROLE,
        event({"content": "one"}),
        event(delta, index=1),
        event({"content": "x"}, "stop", index=1),
        FINISH,
        DONE,
    )
    async with worker(said) as url, gateway_to(url) as client:
        *events, _ = await client.stream()
    choices = [c for e in events for c in e["choices"]]
    assert {c["index"] for c in choices} == {0}
    assert [c["delta"] for c in choices[1:]] == [{"content": "one"}, {}]


async def test_a_voted_stream_has_no_choice_but_the_first() -> None:
    async with swarm_of(Shape(script={"order_seed": 3})) as swarm:
        events = await swarm.stream("x")
        (asked,) = (await swarm.fake())["requests"]
    assert asked["body"]["n"] == 3
    assert {c["index"] for e in events for c in e["choices"]} == {0}


@pytest.mark.parametrize("kind", ["crash", "cut", "error"])
async def test_an_error_in_a_stream_is_an_event_and_the_end(kind: str) -> None:
    async with swarm_of(Shape(script=fault(kind=kind, at_token=4))) as swarm:
        text = await swarm.raw_stream("x", model="fake:solo")
    assert is_error_stream(text)
    assert "[DONE]" not in text


@BOTH
async def test_headers_come_at_once_and_comments_while_the_worker_is_silent(model: str) -> None:
    script = fault(kind="hold")  # before its first byte
    async with swarm_of(Shape(script=script), chat={"pace": AT_ONCE}) as swarm:
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "x"}]}
        request = swarm.client.post(swarm.chat_url, json=body)
        async with await asyncio.wait_for(request, PATIENCE_S) as response:
            seen = b""
            while seen.count(b": ping\n\n") < 3:
                seen += await asyncio.wait_for(response.content.readany(), PATIENCE_S)
            assert b"data:" not in seen
            await swarm.release()
            assert (await response.text()).rstrip().endswith("data: [DONE]")
