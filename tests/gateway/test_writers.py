"""Calls of the asked function that a worker writes while the voters write the function."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from local_swarm.consensus.execution import written
from local_swarm.domain.endpoint import Endpoint
from local_swarm.gateway.deciding import VoteSettings
from local_swarm.gateway.gathering import Ask
from local_swarm.gateway.ledger import Ledger, Need
from local_swarm.gateway.writers import Writers, Written
from local_swarm.wire.chat import ChatRequest
from tests.swarms import PATIENCE_S, Shape, Swarm, swarm_of

ASKED = "Do not write the function"
PROMPT = 'def f(x):\n    """Add one."""\n'
CALLS = json.dumps(["f(1)", "f(-1)", "f(0)"])
PROSE = "It is hard to say. " * 20
EXECUTING: dict[str, Any] = {"votes": VoteSettings(execute=True)}


def shape(**script: Any) -> Shape:
    answers = {ASKED: [CALLS], "": [PROSE]}
    return Shape(ctx=4096, script={"answers": answers, "token_s": 0.01, **script})


async def bodies(swarm: Swarm) -> list[dict[str, Any]]:
    return [request["body"] for request in (await swarm.fake())["requests"]]


def is_writer(body: dict[str, Any]) -> bool:
    return ASKED in body["messages"][-1]["content"]


async def test_a_free_lane_writes_calls_while_the_voters_are_at_work() -> None:
    async with swarm_of(shape(), **EXECUTING) as swarm:
        _, plain = await swarm.chat(PROMPT, swarm={"strategy": "fuzzy", "quorum": 3})
        status, body = await swarm.chat(PROMPT, swarm={"quorum": 3})
        (writer,) = [asked for asked in await bodies(swarm) if is_writer(asked)]
    assert status == 200
    assert (writer["id_slot"], writer.get("n")) == (3, None)
    assert writer["max_tokens"] <= 256
    assert writer["response_format"]["json_schema"]["schema"] == written.SCHEMA
    assert body["swarm"]["completion_tokens"] > plain["swarm"]["completion_tokens"]


async def test_a_vote_does_not_wait_for_the_calls() -> None:
    held = shape(faults=[{"kind": "hold", "at_token": 1, "when": ASKED}])
    async with swarm_of(held, **EXECUTING) as swarm:
        status, body = await asyncio.wait_for(swarm.chat(PROMPT), PATIENCE_S)
        await swarm.fake_until(lambda state: state["busy"] == 0)
        assert any(is_writer(asked) for asked in await bodies(swarm))
    assert status == 200
    assert body["swarm"]["answered"] >= 2  # a majority is enough


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 400}, {"kind": "cut"}])
async def test_calls_that_cannot_be_had_cost_nothing(fault: dict[str, Any]) -> None:
    async with swarm_of(shape(faults=[{**fault, "when": ASKED}]), **EXECUTING) as swarm:
        status, body = await swarm.chat(PROMPT)
    assert (status, body["choices"][0]["message"]["content"]) == (200, PROSE)


@pytest.mark.parametrize(
    ("lanes", "body", "prompt"),
    [
        (0, {}, PROMPT),
        (1, {}, "Tell me about the sea."),
        (1, {"swarm": {"strategy": "fuzzy"}}, PROMPT),
        (1, {"model": "fake:solo"}, PROMPT),
    ],
)
async def test_none_are_written_where_nobody_could_use_them(
    lanes: int, body: dict[str, Any], prompt: str
) -> None:
    slots = Shape(slots=3 + lanes, lanes=lanes, ctx=4096, script=shape().script)
    async with swarm_of(slots, **EXECUTING) as swarm:
        await swarm.chat(prompt, **body)
        assert not any(map(is_writer, await bodies(swarm)))


async def test_none_are_written_where_answers_are_not_run() -> None:
    async with swarm_of(shape()) as swarm:
        await swarm.chat(PROMPT)
        assert not any(map(is_writer, await bodies(swarm)))


@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        (CALLS, ("f(1)", "f(-1)", "f(0)")),
        ('["f(1)", " f(1) ", 3, "", "f(2)"]', ("f(1)", "f(2)")),
        (json.dumps([f"f({i})" for i in range(9)]), tuple(f"f({i})" for i in range(6))),
        (json.dumps(["f(" + "1" * 500 + ")"]), ()),
        ('["f(1)", "f(', ()),
        ('{"a": 1}', ()),
        ("[" * 100_000, ()),
        ("", ()),
    ],
)
def test_calls_are_read_from_a_list(answer: str, calls: tuple[str, ...]) -> None:
    assert written.calls_in(answer) == calls


def test_only_a_function_that_the_prompt_shows_is_asked_for() -> None:
    assert written.question("Write a poem.") is None
    question = written.question(PROMPT)
    assert question is not None
    assert "calls of `f`" in question


async def test_none_are_written_where_votes_share_the_cells_that_they_would_take() -> None:
    pooled = Shape(slots=4, lanes=1, ctx=4096, pool=4 * 4096, script=shape().script)
    async with swarm_of(pooled, **EXECUTING) as swarm:
        await swarm.chat(PROMPT)
        assert not any(map(is_writer, await bodies(swarm)))


async def test_a_lane_that_was_taken_while_the_question_was_measured_is_not_waited_for() -> None:
    worker = Endpoint("w0", "http://127.0.0.1:9", "", slots=1, lanes=1, ctx=4096, generation=1)
    ledger = Ledger()
    ledger.sync([worker], [worker])
    measured = asyncio.Event()

    class Workers:
        def endpoints(self) -> tuple[Endpoint, ...]:
            return (worker,)

    class Taken:
        async def check(self, request: ChatRequest, *, within_s: float) -> int:
            await ledger.acquire(Need(1, solo=True), within_s=PATIENCE_S)
            measured.set()
            return 1

    class Nobody:
        async def collect(self, ask: Ask) -> None:
            raise AssertionError("it would wait in the queue")

    fleet, fanout, length = cast(Any, Workers()), cast(Any, Nobody()), cast(Any, Taken())
    writers = Writers(fleet, ledger, fanout, length)
    request = ChatRequest.parse({"messages": [{"role": "user", "content": PROMPT}]})
    found = Written()
    await writers._write(Ask(request, 3, 2, PATIENCE_S), found)
    assert measured.is_set()
    assert found == Written()
