"""Votes that end before every voter has answered, through a real gateway over fakes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from local_swarm.gateway.fanout import FanoutSettings
from local_swarm.gateway.gathering import Patience
from tests.swarms import PATIENCE_S, Shape, Swarm, swarm_of

LONG = "b " * 4000
SLOW = {"token_s": 0.01}
HELD = {"faults": [{"kind": "hold", "at_token": 1}]}
HASTY = FanoutSettings(patience=Patience(factor=1.0, least_s=0.05))


def slow(*answers: str) -> Shape:
    return Shape(script={"answers": list(answers), **SLOW}, ctx=8192)


async def bodies(swarm: Swarm, worker: int = 0) -> list[dict[str, Any]]:
    return [request["body"] for request in (await swarm.fake(worker))["requests"]]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_no_answer_can_change_ends_the_vote_and_frees_the_slots(stream: bool) -> None:
    async with swarm_of(slow("yes", LONG, "Yes")) as swarm:
        if stream:
            events = await swarm.stream("x")
            text = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
            facts = events[-1]["swarm"]
        else:
            _, body = await swarm.chat("x")
            text, facts = body["choices"][0]["message"]["content"], body["swarm"]
        await swarm.fake_until(lambda state: state["busy"] == 0)
        _, status = await swarm.get("/v1/swarm/status")
    assert text.casefold() == "yes"
    assert (facts["voters"], facts["answered"], facts["abstained"]) == (3, 2, 0)
    assert (facts["agreement"], facts["early"]) == (1.0, {"why": "settled", "saved": 1})
    assert "The verdict was settled after 2 of 3 answers." in facts["reasons"]
    assert status["workers"][0]["slots_busy"] == 0


async def test_a_seed_that_asks_for_chance_is_none() -> None:
    async with swarm_of(slow("yes", LONG, "Yes")) as swarm:
        _, body = await swarm.chat("x", seed=-1)
        (asked,) = await bodies(swarm)
    assert body["swarm"]["early"] == {"why": "settled", "saved": 1}
    assert asked["seed"] == -1


async def test_an_answer_that_breaks_the_rules_settles_nothing() -> None:
    answers = ["no json", "no json", '{"a": 1}']
    async with swarm_of(Shape(script={"answers": answers})) as swarm:
        _, body = await swarm.chat("x", response_format={"type": "json_object"})
    assert body["choices"][0]["message"]["content"] == '{"a": 1}'
    assert (body["swarm"]["answered"], body["swarm"]["abstained"]) == (3, 2)


@pytest.mark.parametrize(
    "body",
    [{"swarm": {"include_candidates": True}}, {"swarm": {"quorum": 3}}, {"n": 3}, {"seed": 1}],
)
async def test_a_client_that_wants_all_answers_gets_them(body: dict[str, Any]) -> None:
    async with swarm_of(slow("yes", "yes", "well " * 20)) as swarm:
        _, answer = await swarm.chat("x", **body)
    assert answer["swarm"]["answered"] == 3
    assert "early" not in answer["swarm"]


async def test_samples_that_change_nothing_are_not_asked_for() -> None:
    async with swarm_of(Shape(script={"answers": ["yes"]})) as swarm:
        _, body = await swarm.chat("x", swarm={"samples": 9})
        asked = sum(b.get("n", 1) for b in await bodies(swarm))
    facts = body["swarm"]
    assert 5 <= facts["answered"] <= asked < 9
    assert facts["early"] == {"why": "settled", "saved": 9 - facts["answered"]}


async def test_a_straggler_is_left_behind_once_there_is_a_quorum() -> None:
    async with swarm_of(slow("a", "b", LONG), fanout=HASTY) as swarm:
        _, body = await swarm.chat("x")
        await swarm.fake_until(lambda state: state["busy"] == 0)
    facts = body["swarm"]
    assert (facts["answered"], facts["early"]) == (2, {"why": "stragglers", "saved": 1})
    assert any("took too long" in reason for reason in facts["reasons"])


@pytest.mark.parametrize(
    ("body", "patience"),
    [
        ({"swarm": {"samples": 3}}, Patience(1.0, 0.0)),
        ({"seed": 1}, Patience(1.0, 0.0)),
        ({}, Patience(0, 0.0)),
        ({}, Patience(1000.0, 0.0)),
    ],
)
async def test_a_straggler_is_waited_for_where_that_is_wanted(
    body: dict[str, Any], patience: Patience
) -> None:
    settings = FanoutSettings(patience=patience)
    async with swarm_of(slow("a", "b", "c " * 30), fanout=settings) as swarm:
        _, answer = await swarm.chat("x", **body)
    assert answer["swarm"]["answered"] == 3


async def test_below_a_quorum_nobody_is_left_behind() -> None:
    async with swarm_of(slow("a", "b " * 30, "c " * 30), fanout=HASTY) as swarm:
        _, body = await swarm.chat("x")
    assert body["swarm"]["answered"] >= 2


async def test_the_end_of_the_time_is_told_with_what_had_arrived() -> None:
    async with swarm_of(slow("a", "b", LONG), chat={"timeout_s": 1.0}) as swarm:
        _, body = await swarm.chat("x", swarm={"samples": 3})
    facts = body["swarm"]
    assert facts["answered"] == 2
    assert "The time was up after 2 of 3 answers." in facts["reasons"]
    assert not any("lost" in reason for reason in facts["reasons"])
    assert "early" not in facts


TWO = Shape(workers=2, slots=3, voters=3)


@pytest.mark.parametrize(("dies", "answered"), [(1, 2), (0, 3)])
async def test_voters_that_die_abstain_and_are_replaced_only_below_the_quorum(
    dies: int, answered: int
) -> None:
    async with swarm_of(TWO, fanout=FanoutSettings(patience=Patience(0))) as swarm:
        swarm.fleet.served(f"w{dies}", 1)
        await swarm.script(HELD, worker=dies)
        await swarm.script({"answers": ["a", "b"]}, worker=1 - dies)
        answer = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] > 0, worker=dies)
        await swarm.fake_until(lambda state: len(state["requests"]) == 1, worker=1 - dies)
        swarm.kill(dies)
        status, body = await answer
    facts = body["swarm"]
    assert (status, facts["answered"]) == (200, answered)
    assert facts["abstained"] == 3 - answered
    assert any("1 of 3 voters were lost" in r for r in facts["reasons"]) is (answered == 2)


@pytest.mark.parametrize(
    ("body", "temperatures"),
    [
        ({}, [0.7, 0.9]),
        ({"seed": 4}, [0.8, 0.8]),
        ({"temperature": 1.5}, [1.5, 1.5]),
        ({"top_p": 0.5}, [None, None]),
    ],
)
async def test_workers_differ_in_temperature_unless_the_client_says_how_to_sample(
    body: dict[str, Any], temperatures: list[float | None]
) -> None:
    async with swarm_of(TWO) as swarm:
        await swarm.chat("x", **body)
        asked = [(await bodies(swarm, worker))[0].get("temperature") for worker in (0, 1)]
    assert sorted(asked, key=str) == temperatures


@pytest.mark.parametrize(("body", "voters"), [({}, 2), ({"swarm": {"quorum": 3}}, 3)])
async def test_a_quorum_that_is_free_votes_at_once_while_other_slots_are_busy(
    body: dict[str, Any], voters: int
) -> None:
    script = {"faults": [{"kind": "hold", "at_token": 1, "when": "wait"}]}
    async with swarm_of(Shape(script=script)) as swarm:
        solo = [asyncio.ensure_future(swarm.chat("wait", model="fake:solo")) for _ in range(2)]
        await swarm.fake_until(lambda state: state["busy"] == 2)
        vote = asyncio.ensure_future(swarm.chat("x", **body))
        if voters == 2:
            _, answer = await asyncio.wait_for(vote, PATIENCE_S)
        await swarm.release()
        _, answer = await vote
        await asyncio.gather(*solo)
    assert answer["swarm"]["voters"] == voters


async def test_a_vote_behind_one_that_waits_gets_all_its_voters() -> None:
    script = {"faults": [{"kind": "hold", "at_token": 1, "when": "wait"}]}
    async with swarm_of(Shape(script=script)) as swarm:
        solo = [asyncio.ensure_future(swarm.chat("wait", model="fake:solo")) for _ in range(2)]
        await swarm.fake_until(lambda state: state["busy"] == 2)
        first = asyncio.ensure_future(swarm.chat("x", swarm={"quorum": 3}))
        while (await swarm.get("/v1/swarm/status"))[1]["queue"]["waiting"] == 0:
            pass
        second = asyncio.ensure_future(swarm.chat("y"))
        while (await swarm.get("/v1/swarm/status"))[1]["queue"]["waiting"] == 1:
            pass
        await swarm.release()
        voters = [(await vote)[1]["swarm"]["voters"] for vote in (first, second)]
        await asyncio.gather(*solo)
    assert voters == [3, 3]


@pytest.mark.parametrize(
    ("status", "seen", "blamed"),
    [(401, 502, "gateway"), (403, 502, "gateway"), (404, 501, "worker"), (501, 501, "worker")],
)
async def test_the_client_is_not_blamed_for_our_key_or_a_path_that_is_not_there(
    status: int, seen: int, blamed: str
) -> None:
    script = {"faults": [{"kind": "status", "status": status, "message": "no"}]}
    async with swarm_of(Shape(script=script)) as swarm:
        body = {"messages": [{"role": "user", "content": "x"}]}
        async with swarm.client.post(swarm.chat_url, json=body) as response:
            assert response.status == seen
            assert response.headers["X-Swarm-Error-Source"] == blamed
        assert len(await bodies(swarm)) == 1
