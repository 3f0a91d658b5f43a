"""When no more answers are waited for, and what is counted of those that were lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.verdict import Verdict
from local_swarm.gateway.deliberation import Spent
from local_swarm.gateway.facts import VoteFacts, told
from local_swarm.gateway.fanout import Fanout, FanoutSettings
from local_swarm.gateway.gathering import (
    Ask,
    Collected,
    Ended,
    Patience,
    _patience_left,
    _watch,
    cancel,
    gather,
)
from local_swarm.gateway.ledger import Ledger, Need
from local_swarm.gateway.rulings import Ruling
from local_swarm.gateway.stats import Stats
from local_swarm.gateway.trouble import Trouble
from local_swarm.gateway.turns import Turn
from local_swarm.gateway.upstream import Lost, Upstream
from local_swarm.wire.answer import Answer
from local_swarm.wire.chat import ChatRequest
from tests.swarms import PATIENCE_S

REQUEST = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]})


async def test_a_voter_that_is_lost_may_settle_the_vote_of_the_others() -> None:
    seen: list[int] = []
    looked = asyncio.Event()

    async def settled(answers: Sequence[Answer], missing: int) -> bool:
        seen.append(missing)
        looked.set()
        return missing == 1

    ask = Ask(REQUEST, want=7, quorum=4, within_s=PATIENCE_S, settled=settled)
    collected = Collected(rounds=1)
    collected.begin(7)
    collected.hear(Answer() for _ in range(4))
    task = asyncio.create_task(asyncio.Event().wait())
    deadline = time.monotonic() + PATIENCE_S
    ended = asyncio.create_task(gather([task], ask, collected, Patience(0), deadline))
    await asyncio.wait_for(looked.wait(), PATIENCE_S)
    collected.left(2, lost=True)
    assert await ended is Ended.SETTLED
    assert seen == [3, 1]
    await cancel([task])


async def test_workers_that_were_lost_together_are_asked_after_together() -> None:
    everyone = asyncio.Event()
    asked: list[str] = []

    class Deaths:
        async def death_of(self, worker: str, generation: int, within_s: float) -> None:
            asked.append(worker)
            if len(asked) == 2:
                everyone.set()
            await everyone.wait()

    ledger = Ledger()
    there = [Endpoint(f"w{i}", "", "", 1, 0, 1024, 1) for i in range(2)]
    ledger.sync(there, there)
    leases = await ledger.acquire(Need(want=2), within_s=PATIENCE_S)
    fleet: Any = Deaths()
    fanout = Fanout(fleet, ledger, Upstream(), Stats(), "m", FanoutSettings())
    trouble, errors = Trouble(), [Lost("cut"), Lost("cut")]
    await asyncio.wait_for(fanout._account_for_all(leases, errors, trouble), PATIENCE_S)
    assert (sorted(asked), trouble.failures) == (["w0", "w1"], ["cut", "cut"])


def test_voters_asked_instead_of_lost_ones_make_up_for_them() -> None:
    collected = Collected()
    collected.begin(3)
    collected.hear([Answer()])
    collected.left(2, lost=True)
    assert (collected.asked, collected.lost, collected.running) == (3, 2, 0)
    collected.begin(2)
    collected.hear([Answer()])
    assert (collected.asked, collected.lost, collected.running) == (3, 0, 1)
    assert collected.seeds == 5


@pytest.mark.parametrize(
    ("ended", "lost", "saved"),
    [(Ended.SETTLED, 1, 1), (Ended.DEADLINE, 1, 0), (Ended.ALL, 2, 0)],
)
def test_who_was_lost_is_not_told_as_saved(ended: Ended, lost: int, saved: int) -> None:
    collected = Collected(ended=ended)
    collected.begin(4)
    collected.hear([Answer(), Answer()])
    collected.left(1, lost=True)
    ruling = Ruling(collected.answers, collected.asked, [None, None], [0, 1], [])
    verdict = Verdict(0, 1.0, 0.5, "auto", ((0, 1),), ())
    ask = Ask(REQUEST, want=4, quorum=2, within_s=1.0)
    facts = VoteFacts.of(ask, collected, ruling, verdict, Spent())
    assert (facts.voters, facts.answered, facts.lost, facts.saved) == (4, 2, lost, saved)


def test_rounds_of_samples_lose_nobody() -> None:
    collected = Collected()
    for _ in range(2):
        collected.begin(3)
        collected.hear(Answer() for _ in range(3))
    assert (collected.asked, collected.lost, collected.running) == (6, 0, 0)


def test_while_others_may_be_asked_a_straggler_is_not_given_the_least_time() -> None:
    ask = Ask(REQUEST, want=5, quorum=3, within_s=PATIENCE_S, begin=3)
    collected = Collected(rounds=1)
    collected.begin(3)
    collected.hear([Answer(elapsed_s=0.1), Answer(elapsed_s=0.1)])
    patience = Patience(factor=3.0, least_s=2.0)
    assert _patience_left(ask, collected, patience, 0.0) == pytest.approx(0.3)
    collected.rounds = 2
    collected.hear([Answer(elapsed_s=0.1)])
    assert _patience_left(ask, collected, patience, 0.0) == pytest.approx(2.0)


@pytest.mark.parametrize("ticks", range(6))
async def test_who_watches_a_round_that_is_over_leaves_at_once(ticks: int) -> None:
    """`asyncio.wait_for` swallows a cancellation that comes as what it waits for is done."""
    ask = Ask(REQUEST, want=3, quorum=1, within_s=PATIENCE_S)
    collected = Collected(rounds=1)
    collected.begin(2)
    collected.hear([Answer(elapsed_s=0.1)])
    patience = Patience(factor=1.0, least_s=1000.0)
    watch = asyncio.create_task(_watch(ask, collected, patience))
    for _ in range(10):
        await asyncio.sleep(0)
    collected.hear([Answer(elapsed_s=0.1)])
    for _ in range(ticks):
        await asyncio.sleep(0)
    watch.cancel()
    await asyncio.wait({watch}, timeout=PATIENCE_S / 4)
    assert watch.cancelled()


def test_a_vote_that_was_sure_early_lacks_no_answers() -> None:
    collected = Collected(rounds=1, ended=Ended.SETTLED)
    collected.begin(3)
    collected.hear([Answer(), Answer(), Answer()])
    ruling = Ruling(collected.answers, collected.asked, [None] * 3, [0, 1, 2], [])
    verdict = Verdict(0, 1.0, 0.9, "auto", ((0, 1, 2),), ())
    ask = Ask(REQUEST, want=8, quorum=5, within_s=1.0, exact=True, begin=3)
    turn = Turn(8, 5, "auto", voted=True, exact=True, begin=3)
    facts = VoteFacts.of(ask, collected, ruling, verdict, Spent())
    said = told(facts, turn, ask, ruling, verdict, 0.0)
    assert said["early"] == {"why": "settled", "saved": 5}
    assert said["reasons"] == ["The verdict was settled after 3 of 8 answers."]
