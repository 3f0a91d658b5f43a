"""Workers that are restarted while requests run: nothing is lost, and the gateway says when a
worker has nothing left to do."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.worker import Cause, Death, WorkerState
from local_swarm.errors import PoisonRequest
from local_swarm.gateway.ledger import Ledger, Need
from local_swarm.gateway.present import CUT_LINGERS_S
from local_swarm.gateway.trouble import MOST_DEATHS, Trouble
from tests.gateway.posting import post
from tests.swarms import MODEL, PATIENCE_S, QUICK, Shape, Swarm, swarm_of

LIVE = Endpoint("w0", "", "", slots=4, lanes=1, ctx=1024, generation=1)
HELD = {"faults": [{"kind": "hold", "at_token": 2}]}
SHORT = replace(QUICK, drain_timeout_s=0.2, term_grace_s=1.0)


class Book:
    """A ledger with a clock, and what it told of workers that have drained."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.told: list[tuple[str, int]] = []
        self.first = asyncio.Event()
        self.ledger = Ledger(clock=lambda: self.now_s, on_drained=self.tell)
        self.ledger.sync([LIVE], [LIVE])

    def tell(self, worker: str, generation: int) -> None:
        self.told.append((worker, generation))
        self.first.set()

    def drain(self, generation: int = 1) -> None:
        life = replace(LIVE, generation=generation)
        self.ledger.sync([], [life], [life])


async def test_an_idle_worker_has_drained_at_once() -> None:
    book = Book()
    book.drain()
    assert book.told == [("w0", 1)]


async def test_a_worker_has_drained_when_its_last_request_is_over() -> None:
    book = Book()
    vote = await book.ledger.acquire(Need(2), within_s=1)
    solo = await book.ledger.acquire(Need(1, solo=True), within_s=1)
    book.drain()
    assert book.ledger.busy("w0") == 3
    book.ledger.release(vote)
    assert book.told == []
    book.ledger.release(solo)
    assert book.told == [("w0", 1)]
    assert book.ledger.busy("w0") == 0


async def test_a_draining_worker_gets_nothing_new() -> None:
    book = Book()
    held = await book.ledger.acquire(Need(1), within_s=1)
    book.drain()
    waiting = asyncio.ensure_future(book.ledger.acquire(Need(1), within_s=PATIENCE_S))
    await asyncio.sleep(0)
    assert book.ledger.waiting == 1
    book.ledger.release(held)
    assert book.ledger.waiting == 1
    back = replace(LIVE, generation=2)
    book.ledger.sync([back], [back])
    assert (await waiting)[0].endpoint == back


async def test_a_request_without_a_slot_is_waited_for_too() -> None:
    book = Book()
    with book.ledger.visit(LIVE), book.ledger.visit(LIVE):
        book.drain()
        assert book.told == []
    assert book.told == [("w0", 1)]


async def test_what_was_cut_off_a_moment_ago_still_runs() -> None:
    book = Book()
    held = await book.ledger.acquire(Need(1), within_s=1)
    book.ledger.release(held, cut=True)
    book.now_s += CUT_LINGERS_S - 0.01
    book.drain()
    assert book.told == []
    book.now_s += 0.02
    await asyncio.wait_for(book.first.wait(), PATIENCE_S)
    assert book.told == [("w0", 1)]


async def test_leases_and_visits_of_a_dead_life_mean_nothing() -> None:
    book = Book()
    held = await book.ledger.acquire(Need(3), within_s=1)
    book.drain(generation=2)
    assert book.told == [("w0", 2)]
    book.ledger.release(held)
    with book.ledger.visit(LIVE):
        book.drain(generation=2)
    assert set(book.told) == {("w0", 2)}


# With workers ---------------------------------------------------------------------------------


async def worker_is(swarm: Swarm, state: WorkerState, worker: str = "w0") -> None:
    while swarm.fleet.states()[worker] is not state:
        await asyncio.wait_for(swarm.fleet.next_change().wait(), PATIENCE_S)


async def test_a_restart_waits_for_what_runs_and_shows_it() -> None:
    async with swarm_of(Shape(script=HELD)) as swarm:
        running = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] == 3)
        restart = asyncio.ensure_future(swarm.fleet.cycle("w0"))
        await worker_is(swarm, WorkerState.DRAINING)
        _, status = await swarm.get("/v1/swarm/status")
        assert (status["workers"][0]["state"], status["workers"][0]["slots_busy"]) == (
            "draining",
            3,
        )
        waiting = asyncio.ensure_future(swarm.chat("y"))
        await swarm.release()
        assert (await running)[1]["swarm"]["answered"] == 3
        await asyncio.wait_for(restart, PATIENCE_S)
        await swarm.script({})
        await swarm.release()
        assert (await waiting)[0] == 200
        assert swarm.fleet.keepers["w0"].worker.restarts == 1


SLOTLESS = [
    ("/tokenize", "/tokenize"),
    ("/v1/messages/count_tokens", "/v1/chat/completions/input_tokens"),
]
WORDS = {"content": "a b", "messages": [{"role": "user", "content": "a b"}]}


@pytest.mark.parametrize(("path", "upstream"), SLOTLESS)
async def test_a_request_without_a_slot_ends_before_its_worker_does(
    path: str, upstream: str
) -> None:
    script = {"faults": [{"kind": "hold", "path": upstream}]}
    async with swarm_of(Shape(script=script)) as swarm:
        asked = asyncio.ensure_future(post(swarm, path, WORDS))
        await swarm.fake_until(lambda state: state["counts"].get(upstream) == 1)
        restart = asyncio.ensure_future(swarm.fleet.cycle("w0"))
        await asyncio.sleep(0)
        assert swarm.fleet.states()["w0"] is WorkerState.DRAINING
        await swarm.release()
        assert (await asked)[0] == 200
        await asyncio.wait_for(restart, PATIENCE_S)


@pytest.mark.parametrize(("path", "upstream"), SLOTLESS)
async def test_what_takes_no_slot_is_asked_again_where_its_worker_dies(
    tmp_path: Any, path: str, upstream: str
) -> None:
    script: dict[str, Any] = {"faults": [{"kind": "hold", "path": upstream, "lives": 1}]}
    script["counter_file"] = str(tmp_path / "lives")
    async with swarm_of(Shape(script=script)) as swarm:
        asked = asyncio.ensure_future(post(swarm, path, WORDS))
        await swarm.fake_until(lambda state: state["counts"].get(upstream) == 1)
        swarm.fleet.served("w0", 1)
        swarm.kill()
        assert (await asked)[0] == 200


async def test_what_takes_too_long_is_cut_off_and_asked_again(tmp_path: Any) -> None:
    script: dict[str, Any] = {"faults": [{"kind": "hold", "at_token": 2, "lives": 1}]}
    script["counter_file"] = str(tmp_path / "lives")
    async with swarm_of(Shape(script=script, policy=SHORT)) as swarm:
        voted = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] == 3)
        await asyncio.wait_for(swarm.fleet.cycle("w0"), PATIENCE_S)
        status, body = await voted
    assert (status, body["swarm"]["answered"]) == (200, 3)


async def test_a_stream_that_has_begun_and_takes_too_long_ends_in_an_error() -> None:
    async with swarm_of(Shape(script=HELD, policy=SHORT)) as swarm:
        streamed = asyncio.ensure_future(swarm.raw_stream("x", model=f"{MODEL}:solo"))
        await swarm.fake_until(lambda state: state["busy"] == 1)
        await asyncio.wait_for(swarm.fleet.cycle("w0"), PATIENCE_S)
        raw = await streamed
    *_, last = [json.loads(line[6:]) for line in raw.split("\n") if line.startswith("data: ")]
    assert last["error"]["code"] == "no_voter_answered"


async def test_restarts_one_after_the_other_lose_nothing_under_load() -> None:
    script = {"token_s": 0.002, "first_token_s": 0.01}
    shape = Shape(workers=2, slots=4, ctx=4096, script=script)
    async with swarm_of(shape, max_queue=1000) as swarm:
        done, failed = asyncio.Event(), list[object]()
        clients = [asyncio.ensure_future(load(swarm, kind, done, failed)) for kind in KINDS]
        for turn in range(6):
            await asyncio.wait_for(swarm.fleet.cycle(f"w{turn % 2}"), 2 * PATIENCE_S)
        done.set()
        served = await asyncio.wait_for(asyncio.gather(*clients), 2 * PATIENCE_S)
        _, status = await swarm.get("/v1/swarm/status")
    assert failed == []
    assert all(served)
    assert status["queue"] == {"waiting": 0, "in_flight": 0}
    assert [worker["crashes"] for worker in status["workers"]] == [0, 0]


KINDS = ("vote", "vote", "stream", "solo", "solo stream", "leader", "tokenize", "count", "native")


async def load(swarm: Swarm, kind: str, done: asyncio.Event, failed: list[object]) -> int:
    """Asks until `done`; returns how often it was answered."""
    served = 0
    while not done.is_set():
        if (wrong := await asked(swarm, kind)) is not None:
            failed.append((kind, wrong))
        served += 1
    return served


async def asked(swarm: Swarm, kind: str) -> object:
    """None where all is well."""
    if kind == "tokenize":
        status, body = await post(swarm, "/tokenize", {"content": "a b"})
        return None if status == 200 else body
    if kind == "count":
        messages = [{"role": "user", "content": "a b"}]
        status, body = await post(swarm, "/v1/messages/count_tokens", {"messages": messages})
        return None if status == 200 else body
    if kind == "native":
        status, body = await post(swarm, "/completion", {"prompt": "x"})
        return None if status == 200 else body
    if kind in ("vote", "solo"):
        status, body = await swarm.chat("x", model=MODEL if kind == "vote" else f"{MODEL}:solo")
        return None if status == 200 else body
    model = f"{MODEL}:solo" if kind == "solo stream" else MODEL
    options = {"swarm": {"stream": "leader"}} if kind == "leader" else {}
    raw = await swarm.raw_stream("x", model=model, **options)
    return None if raw.rstrip().endswith("[DONE]") and '"error"' not in raw else raw


# Deaths that a request is not to blame for ----------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "signal", "poison"),
    [
        (Cause.HUNG, 9, True),
        (Cause.CRASHED, 11, True),
        (Cause.EXITED, None, True),
        (Cause.KILLED, 9, False),
        (Cause.OUT_OF_MEMORY, 9, False),
        (Cause.DEVICE_MEMORY, 6, False),
        (Cause.TOO_SLOW, 9, False),
        (Cause.ASKED, 15, False),
    ],
)
def test_what_a_request_may_have_caused(kind: Cause, signal: int | None, poison: bool) -> None:
    trouble = Trouble()
    for generation in (1, 2):
        code = 1 if signal is None else None
        trouble.died(Death("w0", generation, code, signal, kind=kind))
    assert isinstance(trouble.verdict(), PoisonRequest) == poison


@pytest.mark.parametrize(("kind", "hopeless"), [(Cause.KILLED, True), (Cause.ASKED, False)])
def test_restarts_that_were_asked_for_do_not_make_a_request_hopeless(
    kind: Cause, hopeless: bool
) -> None:
    trouble = Trouble()
    for generation in range(MOST_DEATHS):
        trouble.died(Death("w0", generation, None, 9, kind=kind))
    assert (trouble.verdict() is not None) == hopeless
