"""Candidates' code run for a vote: in a process of its own, which leaves nothing behind."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from local_swarm import sandbox
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import RunsWanted
from local_swarm.domain.execution import Ended, Job, Outcome, Report
from local_swarm.domain.verdict import Verdict
from local_swarm.gateway.ballots import VoteProcess
from tests.swarms import PATIENCE_S

ADDS = Job("def f(x):\n    return x + 1", ("f(1)", "f(None)"))
ENDLESS = Job("while True:\n    pass", ("f(1)",))


@pytest.fixture(autouse=True)
def safe() -> None:
    if (why := sandbox.unavailable()) is not None:
        pytest.skip(f"no safe sandbox here: {why}")


async def test_every_candidate_gets_a_report_and_those_without_a_job_an_empty_one() -> None:
    async with VoteProcess() as ballots:
        reports = await ballots.run(RunsWanted((None, ADDS, None)))
    assert reports is not None
    assert (reports[0], reports[2]) == (Report(()), Report(()))
    raised, value = Outcome(Ended.RAISED, "TypeError"), Outcome(Ended.VALUE, "2")
    assert reports[1].outcomes == (value, raised)


async def test_votes_go_on_while_code_runs() -> None:
    async with VoteProcess() as ballots:
        running = asyncio.create_task(ballots.run(RunsWanted((ENDLESS,))))
        verdict = await ballots.vote("", [Candidate("a"), Candidate("a")], "auto")
        assert not running.done()
        reports = await asyncio.wait_for(running, PATIENCE_S)
    assert isinstance(verdict, Verdict)
    assert reports is not None
    assert reports[0].load.ended is not Ended.VALUE


@pytest.mark.parametrize("killed", [False, True])
async def test_nothing_of_it_outlives_the_gateway_or_its_process(killed: bool) -> None:
    async with VoteProcess() as ballots:
        assert await ballots.run(RunsWanted((ADDS,))) is not None
        process = ballots._runs._process
        assert process is not None
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        if killed:
            process.kill()
            _, alive = await asyncio.to_thread(psutil.wait_procs, family, PATIENCE_S)
            assert alive == []
            assert await ballots.run(RunsWanted((ADDS,))) is None  # it notices
            assert await ballots.run(RunsWanted((ADDS,))) is not None  # and begins a new one
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, PATIENCE_S)
    assert alive == []
