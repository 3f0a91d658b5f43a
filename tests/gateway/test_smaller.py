"""Workers that come back with fewer slots or a shorter context than they had."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import ContextExceeded, InvalidRequest
from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.seats import roomy
from tests.gateway.posting import post
from tests.swarms import MODEL, PATIENCE_S, Shape, swarm_of

LARGE = Endpoint("w0", "", "", slots=3, lanes=1, ctx=4096, generation=1)
SMALL = Endpoint("w1", "", "", slots=4, lanes=1, ctx=1024, generation=1)
LONG = "word " * 2000  # tokens of the fake: more than 1024, fewer than 4096


def book_of(*endpoints: Endpoint) -> Ledger:
    book = Ledger()
    book.sync(endpoints, endpoints)
    return book


async def take(book: Ledger, need: Need) -> tuple[Lease, ...]:
    return await book.acquire(need, within_s=PATIENCE_S)


@pytest.mark.parametrize(
    ("prompt_tokens", "able"), [(None, "w0 w1"), (1023, "w0 w1"), (1024, "w0"), (5000, "w0 w1")]
)
def test_a_prompt_goes_where_there_is_surely_room_or_else_anywhere(
    prompt_tokens: int | None, able: str
) -> None:
    found = roomy([LARGE, SMALL], Need(1, prompt_tokens=prompt_tokens))
    assert " ".join(endpoint.id for endpoint in found) == able


async def test_a_vote_on_a_long_prompt_waits_for_no_slot_that_is_too_small() -> None:
    book = book_of(LARGE, SMALL)
    leases = await take(book, Need(5, 5, prompt_tokens=2000))
    assert [(lease.endpoint.id, len(lease.slots)) for lease in leases] == [("w0", 2)]
    (other,) = await take(book, Need(3, 3, prompt_tokens=100))
    assert other.endpoint.id == "w1"


async def test_a_long_prompt_waits_for_the_large_worker_that_is_away() -> None:
    book = Ledger()
    book.sync([SMALL], [LARGE, SMALL])
    long = asyncio.ensure_future(take(book, Need(2, 2, prompt_tokens=2000)))
    await asyncio.sleep(0)
    book.release(await take(book, Need(3, 3, prompt_tokens=100)))  # it keeps nobody waiting
    assert not long.done()
    book.sync([LARGE, SMALL], [LARGE, SMALL])
    assert (await long)[0].endpoint.id == "w0"


async def test_who_waits_for_five_voters_gets_those_that_came_back() -> None:
    large = replace(LARGE, slots=6)
    book = Ledger()
    book.sync([], [large])
    vote = asyncio.ensure_future(take(book, Need(5, 3)))
    await asyncio.sleep(0)
    smaller = replace(large, slots=3, generation=2)
    book.sync([smaller], [smaller])
    (lease,) = await vote
    assert len(lease.slots) == 2


@pytest.mark.parametrize(
    ("need", "error"),
    [
        (Need(3, together=True), InvalidRequest),
        (Need(2, prompt_tokens=900), ContextExceeded),
    ],
)
async def test_who_waits_and_fits_nowhere_any_more_is_told_so(need: Need, error: type) -> None:
    large = replace(LARGE, ctx=1000, pool=2000)
    book = Ledger()
    book.sync([], [large])
    waiting = asyncio.ensure_future(take(book, need))
    leaving = asyncio.ensure_future(take(book, need))
    await asyncio.sleep(0)
    smaller = replace(large, ctx=500, pool=600, slots=2, generation=2)
    book.sync([smaller], [smaller])
    leaving.cancel()
    with pytest.raises(error):
        await waiting
    assert (await asyncio.gather(leaving, return_exceptions=True)) != []
    assert book.waiting == 0
    with pytest.raises(error):
        await take(book, need)


# With workers ---------------------------------------------------------------------------------


async def test_a_request_for_five_voters_is_answered_by_the_two_that_come_back() -> None:
    hold: dict[str, Any] = {"faults": [{"kind": "hold", "at_token": 1}]}
    shape = Shape(slots=6, voters=5, script=hold)
    async with swarm_of(shape) as swarm:
        first = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] == 5)
        exact = asyncio.ensure_future(swarm.chat("y", swarm={"samples": 5}))
        usual = asyncio.ensure_future(swarm.chat("z"))
        smaller = replace(shape, slots=3, ctx=512, script={})
        swarm.fleet.keepers["w0"].job = smaller.job(0)
        swarm.fleet.served("w0", 1)
        swarm.kill()
        answers = await asyncio.wait_for(asyncio.gather(first, exact, usual), PATIENCE_S)
        _, models = await swarm.get("/v1/models")
        _, status = await swarm.get("/v1/swarm/status")
    assert [code for code, _ in answers] == [200] * 3
    first, exact, usual = (body["swarm"]["answered"] for _, body in answers)
    assert first == 4  # in two rounds: it was admitted with a quorum of three
    assert exact == 5
    assert usual in (2, 4)  # it came after the worker had died, or before
    assert {model["context_length"] for model in models["data"]} == {512}
    assert {model["meta"]["n_ctx"] for model in models["data"]} == {512}
    assert status["voters"] == 2


async def test_what_fits_only_the_larger_worker_goes_there() -> None:
    shape = Shape(workers=2, slots=4, ctx=4096)
    async with swarm_of(shape) as swarm:
        await swarm.fleet.cycle("w1", replace(shape, ctx=1024).job(1))
        _, models = await swarm.get("/v1/models")
        assert {model["context_length"] for model in models["data"]} == {4096}
        for model in (MODEL, f"{MODEL}:solo"):
            answers = await asyncio.gather(*(swarm.chat(LONG, model=model) for _ in range(4)))
            assert [status for status, _ in answers] == [200] * 4
        assert (await swarm.fake(1))["requests"] == []
        answers = await asyncio.gather(*(swarm.chat(f"short {i}") for i in range(4)))
        assert [status for status, _ in answers] == [200] * 4
        assert (await swarm.fake(1))["requests"] != []
        status, body = await post(swarm, "/completion", {"prompt": "word " * 5000})
    assert (status, body["error"]["n_ctx"]) == (400, 4096)
