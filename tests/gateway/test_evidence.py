"""What a vote finds out before it is decided (judges, embeddings, runs), or does without."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import RunsWanted
from local_swarm.domain.execution import Job
from local_swarm.domain.verdict import Verdict
from local_swarm.gateway.ballots import VoteProcess
from local_swarm.gateway.deciding import VoteSettings
from tests.swarms import CHILD_KEY, PATIENCE_S, Shape, Swarm, swarm_of

JUDGED = "Which of them is the best"
PROSE = [
    "The harbour was quiet.",
    "Snow fell on the mountain road.",
    "Nobody expected the orchestra.",
]
JUDGE = {"strategy": "judge"}
SIMILARITY = {"strategy": "similarity"}


def judges(*words: Any, **script: Any) -> Shape:
    """Voters that disagree, and judges that say so."""
    return Shape(script={"answers": {JUDGED: list(words), "": PROSE}, **script}, ctx=4096)


def said(body: dict[str, Any]) -> str:
    text: str = body["choices"][0]["message"]["content"]
    return text


async def questions(swarm: Swarm) -> list[dict[str, Any]]:
    bodies = [request["body"] for request in (await swarm.fake())["requests"]]
    return [body for body in bodies if JUDGED in body["messages"][-1]["content"]]


async def test_judges_decide_where_the_answers_disagree() -> None:
    async with swarm_of(judges("A", "B")) as swarm:
        _, body = await swarm.chat("tell me", swarm={**JUDGE, "samples": 3})
        asked = await questions(swarm)
    assert len(asked) == 2
    forth, back = (body["messages"][-1]["content"] for body in asked)
    assert [text in forth and text in back for text in PROSE] == [True] * 3
    orders = [sorted(PROSE, key=text.index) for text in (forth, back)]
    assert orders[0] == orders[1][::-1]
    assert [(a["grammar"], a["max_tokens"]) for a in asked] == [('root ::= "A" | "B" | "C"', 4)] * 2
    facts = body["swarm"]
    assert (facts["strategy"], facts["judges"]) == ("judge", 2)
    assert said(body) in (orders[0][0], orders[1][0])
    assert any("judges chose this one" in reason for reason in facts["reasons"])


async def test_the_answer_that_judges_agree_on_wins_wherever_it_is_listed() -> None:
    async with swarm_of(judges("B")) as swarm:  # in the middle of both lists
        _, base = await swarm.chat("tell me", swarm={"samples": 3})
        _, body = await swarm.chat("tell me", swarm={**JUDGE, "samples": 3})
    assert said(body) == sorted(PROSE)[1]
    tokens = body["swarm"]["completion_tokens"] - base["swarm"]["completion_tokens"]
    assert tokens == body["swarm"]["judges"] == 2  # each wrote one


async def test_where_a_majority_agrees_nobody_is_asked_to_judge() -> None:
    async with swarm_of(Shape(script={"answers": ["yes", "Yes", "no"]})) as swarm:
        _, body = await swarm.chat("x", swarm=JUDGE)
        assert await questions(swarm) == []
    assert "judges" not in body["swarm"]
    assert body["swarm"]["strategy"] == "judge"


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 400}, {"kind": "status", "status": 500}, {"kind": "cut"}],
)
async def test_judges_that_fail_leave_the_votes_own_winner(fault: dict[str, Any]) -> None:
    async with swarm_of(judges("A", faults=[{**fault, "when": JUDGED}])) as swarm:
        _, plain = await swarm.chat("tell me", swarm={"samples": 3})
        status, body = await swarm.chat("tell me", swarm={**JUDGE, "samples": 3})
    assert (status, said(body)) == (200, said(plain))
    assert "judges" not in body["swarm"]


async def test_judges_that_name_nobody_leave_the_votes_own_winner() -> None:
    async with swarm_of(judges("I like them all.")) as swarm:
        _, plain = await swarm.chat("tell me", swarm={"samples": 3})
        _, body = await swarm.chat("tell me", swarm={**JUDGE, "samples": 3})
    assert said(body) == said(plain)


async def test_judges_that_never_answer_are_not_waited_for_long() -> None:
    hung = judges("A", faults=[{"kind": "hang", "when": JUDGED}])
    async with swarm_of(hung, chat={"timeout_s": 1.0}) as swarm:
        status, body = await asyncio.wait_for(
            swarm.chat("tell me", swarm={**JUDGE, "samples": 3}), PATIENCE_S
        )
        await swarm.fake_until(lambda state: state["busy"] == 0)
    assert status == 200
    assert said(body) in PROSE


async def test_a_client_that_leaves_while_judges_are_at_it_frees_their_slots() -> None:
    async with swarm_of(
        judges("A A A", faults=[{"kind": "hold", "at_token": 1, "when": JUDGED}])
    ) as swarm:
        answer = asyncio.ensure_future(swarm.chat("tell me", swarm={**JUDGE, "samples": 3}))
        await swarm.fake_until(lambda state: len(state["requests"]) == 3 and state["busy"] > 0)
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
        await swarm.fake_until(lambda state: state["busy"] == 0)


async def test_answers_are_compared_by_the_swarms_own_embeddings() -> None:
    # As letters go the first two are anagrams, as their runs of letters go they are strangers.
    answers = ["listen to garden eagles", "silent ot danger eeagls", "zzz kkk qqq"]
    shape = Shape(script={"answers": answers, "embeddings": "letters"})
    async with swarm_of(shape, votes=VoteSettings(own_embeddings=True)) as swarm:
        _, body = await swarm.chat("x", swarm=SIMILARITY)
        requests = [r["body"] for r in (await swarm.fake())["requests"]]
    (asked,) = [body for body in requests if "input" in body]
    assert sorted(asked["input"]) == sorted(answers)
    assert asked["id_slot"] == 3  # the lane: votes keep theirs
    assert body["swarm"]["agreement"] == pytest.approx(2 / 3, abs=0.01)
    assert "2 of 3 answers are alike by their embeddings." in body["swarm"]["reasons"]


async def test_answers_are_compared_by_the_embeddings_of_a_server_that_was_named() -> None:
    answers = ["listen to garden eagles", "silent ot danger eeagls", "zzz kkk qqq"]
    async with swarm_of(Shape(slots=1, lanes=0, script={"embeddings": "letters"})) as other:
        votes = VoteSettings(
            embeddings_url=other._child(0) + "/v1/", embeddings_model="e", embeddings_key=CHILD_KEY
        )
        async with swarm_of(Shape(script={"answers": answers}), votes=votes) as swarm:
            _, body = await swarm.chat("x", swarm=SIMILARITY)
        (asked,) = (await other.fake())["requests"]
    assert asked["body"]["model"] == "e"
    assert "2 of 3 answers are alike by their embeddings." in body["swarm"]["reasons"]


@pytest.mark.parametrize("embeddings", [None, True])
async def test_without_vectors_answers_are_compared_by_their_letters(embeddings: Any) -> None:
    """None: the worker makes none; True: it answers what is none."""
    shape = Shape(script={"answers": ["yes", "yes", "no"], "embeddings": embeddings})
    async with swarm_of(shape, votes=VoteSettings(own_embeddings=True)) as swarm:
        _, body = await swarm.chat("x", swarm=SIMILARITY)
    assert said(body) == "yes"
    assert "2 of 3 answers are alike by their letters." in body["swarm"]["reasons"]


async def test_a_server_for_embeddings_that_is_down_costs_only_them() -> None:
    votes = VoteSettings(embeddings_url="http://127.0.0.1:9/v1", embeddings_model="e")
    async with swarm_of(Shape(script={"answers": ["yes", "yes", "no"]}), votes=votes) as swarm:
        status, body = await swarm.chat("x", swarm=SIMILARITY)
    assert (status, said(body)) == (200, "yes")


async def test_running_answers_must_be_allowed() -> None:
    async with swarm_of(Shape()) as swarm:
        status, body = await swarm.chat("x", swarm={"strategy": "execution"})
        assert (await swarm.fake())["requests"] == []
    assert status == 400
    assert body["error"]["param"] == "swarm.strategy"


async def test_a_process_that_is_killed_while_code_runs_costs_only_the_runs() -> None:
    endless = Job("while True:\n    pass", ("f(1)",))
    async with VoteProcess() as ballots:
        running = asyncio.create_task(ballots.run(RunsWanted((endless, None))))
        verdict = await ballots.vote("", [Candidate("a"), Candidate("a")], "auto")
        while (process := ballots._runs._process) is None:
            await ballots.settled("", [Candidate("a")], 1, "auto")
        process.kill()
        assert await asyncio.wait_for(running, PATIENCE_S) is None
    assert isinstance(verdict, Verdict)
    assert verdict.agreement == 1.0
