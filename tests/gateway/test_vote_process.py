"""The helper process: what takes long in it, and callers that do not wait for it."""

from __future__ import annotations

import asyncio
import json

import pytest

from local_swarm import consensus
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import RunsWanted
from local_swarm.domain.execution import Job
from local_swarm.domain.rules import Breach, Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.gateway.ballots import VoteProcess
from local_swarm.gateway.vote_process import JudgeRequest, SettleRequest, VoteRequest, answer

SCHEMA = {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}, "required": ["a"]}
RULES = Rules(json=True, schema=SCHEMA)
ENDLESS = Candidate(json.dumps({"a": "a" * 60 + "!"}))
WRONG = Candidate("{}")
RIGHT = Candidate('{"a": "a"}')


def test_a_candidate_that_takes_for_ever_leaves_the_others_their_judgement() -> None:
    reply = answer(JudgeRequest(RULES, [WRONG, ENDLESS, WRONG, RIGHT]))
    assert reply.breaches == [Breach.WRONG_JSON, None, Breach.WRONG_JSON, None]


def test_all_candidates_together_have_a_limit() -> None:
    reply = answer(JudgeRequest(RULES, [*[ENDLESS] * 8, WRONG]))
    assert reply.breaches == [None] * 9


def test_whether_a_vote_is_settled_is_a_reply() -> None:
    candidates = [RIGHT, RIGHT, WRONG]
    assert answer(SettleRequest("", candidates, "auto", 0)).settled is True
    assert answer(SettleRequest("", candidates, "auto", 1)).settled is False
    assert answer(SettleRequest("", [], "auto", 1)).error is not None


async def test_a_caller_that_leaves_costs_the_others_nothing() -> None:
    async with VoteProcess() as ballots:
        pid = _pid(ballots)
        leaving = asyncio.create_task(ballots.judge(RULES, [ENDLESS]))
        waiting = asyncio.create_task(ballots.vote("", [WRONG, RIGHT, RIGHT], "auto"))
        gone = asyncio.create_task(ballots.judge(RULES, [ENDLESS]))
        await _sent()
        leaving.cancel()
        gone.cancel()
        verdict = await waiting
        assert (await ballots.judge(RULES, [WRONG])) == [Breach.WRONG_JSON]
        assert _pid(ballots) == pid
    assert isinstance(verdict, Verdict)
    assert verdict.agreement == 2 / 3
    assert (await asyncio.gather(leaving, gone, return_exceptions=True)) != []


async def test_what_was_begun_is_ended_with_the_process() -> None:
    async with VoteProcess() as ballots:
        leaving = asyncio.create_task(ballots.judge(RULES, [ENDLESS] * 8))
        await _sent()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)


async def _sent() -> None:
    """Until what was asked is with the process, and a reply under way."""
    for _ in range(10):
        await asyncio.sleep(0)


def _pid(ballots: VoteProcess) -> int:
    process = ballots._votes._process
    assert process is not None
    return process.pid


async def test_nobody_begins_a_process_once_they_have_ended() -> None:
    async with VoteProcess() as ballots:
        assert isinstance(await ballots.vote("", [RIGHT], "auto"), Verdict)
    verdict = await ballots.vote("", [RIGHT, RIGHT], "auto")
    assert isinstance(verdict, Verdict)
    assert verdict.strategy == "off"
    assert await ballots.run(RunsWanted((Job("", ("f(1)",)),))) is None
    assert (ballots._votes._process, ballots._runs._process) == (None, None)


def test_of_what_goes_wrong_only_the_kind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged, and a message may quote an answer."""

    def fails(*_: object, **__: object) -> None:
        raise KeyError("a secret of the prompt")

    monkeypatch.setattr(consensus, "deliberate", fails)
    assert answer(VoteRequest("", [RIGHT], "auto")).error == "KeyError"
