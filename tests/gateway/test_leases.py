"""What the ledger is told of a request on its way: tried again, and how its slots came back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.upstream import Upstream
from tests.swarms import Shape, Swarm, swarm_of

VOTE = "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}
LIVE = VOTE[0], {**VOTE[1], "model": "fake:solo", "stream": True}
NATIVE = "/completion", {"prompt": "x"}
FIRST_S = 0.02  # that every answer takes at least
SLOW = {"first_token_s": FIRST_S}
LONG = {"answers": ["word " * 1000], "token_s": 0.02}


@dataclass
class Told:
    """`tries` are (again, seconds left) of each acquire, `streams` the seconds that each worker was
    given, `cuts` what each release said."""

    tries: list[tuple[bool, float]] = field(default_factory=list)
    streams: list[float] = field(default_factory=list)
    cuts: list[bool] = field(default_factory=list)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    seen = Told()
    acquire, release, stream = Ledger.acquire, Ledger.release, Upstream.stream

    async def acquired(
        self: Ledger, need: Need, *, within_s: float, again: bool = False
    ) -> tuple[Lease, ...]:
        seen.tries.append((again, within_s))
        return await acquire(self, need, within_s=within_s, again=again)

    def released(self: Ledger, leases: Iterable[Lease], *, cut: bool = False) -> None:
        seen.cuts.append(cut)
        release(self, leases, cut=cut)

    def streamed(self: Upstream, *asked: Any, within_s: float, **more: Any) -> Any:
        seen.streams.append(within_s)
        return stream(self, *asked, within_s=within_s, **more)

    monkeypatch.setattr(Upstream, "stream", streamed)
    monkeypatch.setattr(Ledger, "acquire", acquired)
    monkeypatch.setattr(Ledger, "release", released)
    return seen


async def ask(swarm: Swarm, path: str, body: dict[str, Any]) -> int:
    async with swarm.client.post(swarm.gateway.url + path, json=body) as response:
        await response.read()
        return response.status


@pytest.mark.parametrize(("path", "body"), [VOTE, LIVE, NATIVE])
async def test_a_second_try_goes_ahead_and_has_the_time_that_is_left(
    told: Told, path: str, body: dict[str, Any]
) -> None:
    script = {"faults": [{"kind": "cut", "times": 1}]}
    async with swarm_of(Shape(script=script)) as swarm:
        assert await ask(swarm, path, body) == 200
    (first, second) = told.tries
    assert (first[0], second[0]) == (False, True)
    assert second[1] < first[1]
    assert (path, body) == VOTE or told.streams[1] < told.streams[0]  # a vote is ended from without


async def test_the_one_that_is_asked_in_addition_has_the_time_that_is_left(told: Told) -> None:
    body = {**VOTE[1], "response_format": {"type": "json_object"}}
    async with swarm_of(Shape(script={"answers": ["no json"], **SLOW})) as swarm:
        assert await ask(swarm, VOTE[0], body) == 422
    (_, voters), (_, one_more) = told.tries
    assert one_more <= voters - FIRST_S


async def test_the_parts_of_a_request_share_its_time(told: Told) -> None:
    async with swarm_of(Shape(script=SLOW)) as swarm:
        assert await ask(swarm, "/v1/completions", {"prompt": ["one", "two", "three"]}) == 200
    left = [within_s for _, within_s in told.tries]
    assert len(left) == 3
    assert left[2] + FIRST_S <= left[1] <= left[0] - FIRST_S


@pytest.mark.parametrize(("path", "body"), [VOTE, LIVE, NATIVE])
async def test_slots_of_a_whole_answer_come_back_as_such(
    told: Told, path: str, body: dict[str, Any]
) -> None:
    async with swarm_of(Shape()) as swarm:
        assert await ask(swarm, path, body) == 200
    assert told.cuts == [False]


@pytest.mark.parametrize(("path", "body"), [VOTE, LIVE, NATIVE])
async def test_slots_of_an_answer_that_nobody_waits_for_come_back_as_cut(
    told: Told, path: str, body: dict[str, Any]
) -> None:
    async with swarm_of(Shape(script=LONG, ctx=4096)) as swarm:
        request = asyncio.ensure_future(ask(swarm, path, body))
        await swarm.fake_until(lambda state: state["busy"] > 0)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        await swarm.fake_until(lambda state: bool(told.cuts))
    assert told.cuts == [True]
