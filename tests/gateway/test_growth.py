"""Votes that begin with some of their voters and ask the others only where they must."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from local_swarm.gateway.fanout import FanoutSettings
from local_swarm.gateway.gathering import Patience
from tests.swarms import PATIENCE_S, Shape, Swarm, swarm_of

ADAPTIVE = {"adaptive": True, "first_voters": 3}
LONG = "b " * 4000
SLOW = {"token_s": 0.02}
PATIENT: dict[str, Any] = {
    "served": ADAPTIVE,
    "fanout": FanoutSettings(patience=Patience(0)),
}


def shape(*answers: str, **script: Any) -> Shape:
    return Shape(slots=6, voters=5, ctx=8192, script={"answers": list(answers), **script})


async def asked(swarm: Swarm, worker: int = 0) -> list[int]:
    """How many voters each request to the worker was for."""
    requests = (await swarm.fake(worker))["requests"]
    return [request["body"].get("n", 1) for request in requests]


async def test_first_voters_that_agree_are_enough() -> None:
    async with swarm_of(shape("yes"), served=ADAPTIVE) as swarm:
        _, body = await swarm.chat("x")
        assert await asked(swarm) == [3]
        status, text = await metrics(swarm)
    facts = body["swarm"]
    assert (facts["voters"], facts["answered"]) == (3, 3)
    assert facts["early"] == {"why": "settled", "saved": 2}
    assert "The verdict was settled after 3 of 5 answers." in facts["reasons"]
    assert status == 200
    assert "lswarm_vote_samples_saved_total 2.0" in text
    assert "lswarm_vote_growth_rounds_total 0.0" in text


async def test_first_voters_that_disagree_are_joined_by_the_others_in_the_same_slot() -> None:
    async with swarm_of(shape("alpha", "beta", "gamma"), served=ADAPTIVE) as swarm:
        _, body = await swarm.chat("x")
        requests = (await swarm.fake())["requests"]
        _, text = await metrics(swarm)
    assert [request["body"].get("n", 1) for request in requests] == [3, 2]
    assert len({request["body"]["id_slot"] for request in requests}) == 1
    facts = body["swarm"]
    assert (facts["voters"], facts["answered"]) == (5, 5)
    assert "early" not in facts
    assert "lswarm_vote_growth_rounds_total 1.0" in text


@pytest.mark.parametrize(
    "body",
    [
        {"seed": 1},
        {"swarm": {"include_candidates": True}},
        {"swarm": {"quorum": 2}},
        {"swarm": {"adaptive": False}},
    ],
)
async def test_who_counts_on_all_voters_has_them_asked_at_once(body: dict[str, Any]) -> None:
    async with swarm_of(shape("alpha", "beta", "gamma"), served=ADAPTIVE) as swarm:
        await swarm.chat("x", **body)
        assert await asked(swarm) == [5]


async def test_a_request_may_ask_for_it_itself() -> None:
    async with swarm_of(shape("yes")) as swarm:
        _, body = await swarm.chat("x", swarm={"adaptive": True, "samples": 4})
        status, error = await swarm.chat("x", swarm={"adaptive": 3})
        assert await asked(swarm) == [3]
    assert body["swarm"]["early"] == {"why": "settled", "saved": 1}
    assert (status, error["error"]["param"]) == (400, "swarm.adaptive")


async def test_a_first_voter_that_is_slow_is_replaced_by_those_that_join() -> None:
    script = {"answers": ["alpha", "beta", LONG], "token_s": 0.01}
    hasty = FanoutSettings(patience=Patience(factor=1.0, least_s=0.05))
    held = Shape(slots=6, voters=5, ctx=8192, script=script)
    async with swarm_of(held, served=ADAPTIVE, fanout=hasty) as swarm:
        _, body = await swarm.chat("x")
        assert await asked(swarm) == [3, 3]
    assert body["swarm"]["answered"] >= 3
    assert body["swarm"]["voters"] == 5


async def test_a_worker_that_dies_while_the_vote_grows_leaves_it_the_first_answers() -> None:
    async with swarm_of(shape("alpha " * 40, "beta", "gamma", **SLOW), **PATIENT) as swarm:
        swarm.fleet.served("w0", 1)
        answer = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: len(state["requests"]) == 2 and state["busy"] > 0)
        swarm.kill()
        status, body = await asyncio.wait_for(answer, PATIENCE_S)
    facts = body["swarm"]
    assert (status, facts["answered"], facts["voters"]) == (200, 3, 5)
    assert any("2 of 5 voters were lost" in reason for reason in facts["reasons"])


async def test_a_client_that_leaves_while_the_vote_grows_frees_its_slots() -> None:
    async with swarm_of(shape("alpha " * 40, "beta", "gamma", **SLOW), **PATIENT) as swarm:
        answer = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: len(state["requests"]) == 2 and state["busy"] > 0)
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
        await swarm.fake_until(lambda state: state["busy"] == 0)
        _, body = await asyncio.wait_for(swarm.chat("y"), PATIENCE_S)
    assert body["swarm"]["answered"] == 5


async def test_voters_spread_over_workers_grow_on_them() -> None:
    two = Shape(workers=2, slots=3, voters=4, script={"answers": ["alpha", "beta"]})
    async with swarm_of(two, served={"adaptive": True, "first_voters": 3}) as swarm:
        _, body = await swarm.chat("x", swarm={"samples": 4})
        voters = sum(await asked(swarm, 0)) + sum(await asked(swarm, 1))
    assert (voters, body["swarm"]["answered"]) == (4, 4)


async def metrics(swarm: Swarm) -> tuple[int, str]:
    async with swarm.client.get(f"{swarm.gateway.url}/metrics") as response:
        return response.status, await response.text()


async def test_first_voters_that_break_the_rules_settle_nothing() -> None:
    call = {"tool_calls": [{"name": "ls", "arguments": "{}"}]}
    tools = [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}]
    script = {"answers": ["no", call, "no"]}
    async with swarm_of(Shape(slots=6, voters=5, script=script), served=ADAPTIVE) as swarm:
        status, body = await swarm.chat("x", tools=tools, tool_choice="required")
        assert await asked(swarm) == [3, 2]
    facts = body["swarm"]
    assert status == 200
    assert body["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "ls"
    assert (facts["voters"], facts["answered"], facts["abstained"]) == (5, 5, 3)
