"""Workers that die, break off or refuse: what the client sees."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.swarms import Shape, swarm_of


def fault(**kind: Any) -> dict[str, Any]:
    return {"faults": [kind]}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_crash_before_the_answer_is_not_noticed(tmp_path: Any, stream: bool) -> None:
    script = fault(kind="crash", at_token=4, lives=1)
    script["counter_file"] = str(tmp_path / "lives")
    async with swarm_of(Shape(script=script)) as swarm:
        if stream:
            events = await swarm.stream("x")
            facts = events[-1]["swarm"]
        else:
            status, body = await swarm.chat("x")
            assert status == 200
            facts = body["swarm"]
        assert facts["answered"] == 3
        assert swarm.fleet.keepers["w0"].worker.restarts == 1


async def test_a_cut_stream_is_asked_again() -> None:
    async with swarm_of(Shape(script=fault(kind="cut", at_token=3, times=1))) as swarm:
        status, body = await swarm.chat("x")
    assert status == 200
    assert body["swarm"]["answered"] == 3


async def test_an_error_event_is_asked_again() -> None:
    async with swarm_of(Shape(script=fault(kind="error", at_token=3, times=1))) as swarm:
        status, _ = await swarm.chat("x")
    assert status == 200


async def test_a_worker_that_keeps_failing_is_a_502_that_blames_the_worker() -> None:
    async with (
        swarm_of(Shape(script=fault(kind="status", status=500, message="boom"))) as swarm,
        swarm.client.post(
            swarm.chat_url, json={"messages": [{"role": "user", "content": "x"}]}
        ) as response,
    ):
        body = await response.json()
        assert response.status == 502
        assert response.headers["X-Swarm-Error-Source"] == "worker"
        assert "boom" in body["error"]["message"]


async def test_a_request_that_kills_two_workers_is_refused() -> None:
    script = fault(kind="crash", at_token=2, when="poison", signal=11)
    async with swarm_of(Shape(workers=2, slots=2, voters=2, script=script)) as swarm:
        status, body = await swarm.chat("poison")
        assert status == 400  # not a 5xx, which clients try again
        assert body["error"]["code"] == "poison_request"
        assert body["error"]["message"].startswith("2 workers died")
        status, _ = await swarm.chat("harmless")
        assert status == 200


async def test_being_killed_from_outside_is_not_the_requests_fault() -> None:
    script = {"faults": [{"kind": "hold", "at_token": 2}]}
    async with swarm_of(Shape(script=script)) as swarm:
        answer = asyncio.ensure_future(swarm.chat("x"))
        for _ in range(3):
            await swarm.fake_until(lambda state: state["busy"] == 3)
            generation = swarm.fleet.endpoints()[0].generation
            swarm.fleet.served("w0", generation)
            swarm.kill()
            assert await swarm.fleet.death_of("w0", generation, 5) is not None
            while not swarm.fleet.endpoints():
                await swarm.fleet.next_change().wait()
        await swarm.fake_until(lambda state: state["busy"] == 3)
        await swarm.release()
        status, body = await answer
    assert status == 200
    assert body["swarm"]["answered"] == 3


async def test_requests_wait_while_the_only_worker_is_away() -> None:
    async with swarm_of(Shape(script={"load_s": 0.3})) as swarm:
        swarm.fleet.served("w0", 1)
        swarm.kill()
        while swarm.fleet.endpoints():
            await swarm.fleet.next_change().wait()
        assert (await swarm.get("/ready"))[0] == 503
        status, _ = await swarm.chat("x")
    assert status == 200


async def test_a_live_stream_cut_after_content_ends_in_an_error_event() -> None:
    script = fault(kind="crash", at_token=4)
    async with swarm_of(Shape(script=script)) as swarm:
        raw = await swarm.raw_stream("x", model="fake:solo")
    *_, last = [json.loads(line[6:]) for line in raw.split("\n") if line.startswith("data: ")]
    assert last["error"]["code"] == "no_voter_answered"


async def test_a_live_stream_that_fails_before_content_is_tried_again(tmp_path: Any) -> None:
    script = fault(kind="crash", at_token=0, lives=1)
    script["counter_file"] = str(tmp_path / "lives")
    async with swarm_of(Shape(script=script)) as swarm:
        events = await swarm.stream("x", model="fake:solo")
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["fake", "fake:solo"])
async def test_a_client_that_leaves_frees_every_slot(stream: bool, model: str) -> None:
    script = {"answers": ["word " * 1000], "token_s": 0.02}
    async with swarm_of(Shape(script=script, ctx=4096)) as swarm:
        body = {
            "model": model,
            "messages": [{"role": "user", "content": "x"}],
            "stream": stream,
        }
        request = asyncio.ensure_future(swarm.client.post(swarm.chat_url, json=body))
        await swarm.fake_until(lambda state: state["busy"] > 0)
        if stream:
            (await request).close()
        else:
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        await swarm.fake_until(lambda state: state["busy"] == 0)
        _, status = await swarm.get("/v1/swarm/status")
        assert status["workers"][0]["slots_busy"] == 0
        assert status["queue"] == {"waiting": 0, "in_flight": 0}


async def test_a_full_queue_is_a_503_with_retry_after() -> None:
    script = fault(kind="hold", at_token=1)
    async with swarm_of(Shape(script=script), max_queue=0) as swarm:
        first = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] == 3)
        message = {"messages": [{"role": "user", "content": "x"}]}
        async with swarm.client.post(swarm.chat_url, json=message) as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) >= 1
        await swarm.release()
        assert (await first)[0] == 200


async def test_draining_refuses_new_requests_and_finishes_running_ones() -> None:
    async with swarm_of(Shape(script=fault(kind="hold", at_token=1, times=1))) as swarm:
        first = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] == 3)
        drained = asyncio.ensure_future(swarm.gateway.activity.drain(10))
        await asyncio.sleep(0)
        status, _ = await swarm.chat("y")
        assert status == 503
        await swarm.release()
        assert await drained
        assert (await first)[0] == 200


async def test_several_choices_wait_for_a_worker_that_is_away() -> None:
    async with swarm_of(Shape(script={"load_s": 0.3})) as swarm:
        swarm.fleet.served("w0", 1)
        swarm.kill()
        while swarm.fleet.endpoints():
            await swarm.fleet.next_change().wait()
        status, body = await swarm.chat("x", n=2)
    assert status == 200
    assert len(body["choices"]) == 2


async def test_a_request_whose_worker_died_is_not_refused_by_a_full_queue(tmp_path: Any) -> None:
    script = fault(kind="hold", at_token=2, lives=1)
    script["counter_file"] = str(tmp_path / "lives")
    async with swarm_of(Shape(script=script), max_queue=1) as swarm:
        swarm.fleet.served("w0", 1)
        first = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] == 3)
        second = asyncio.ensure_future(swarm.chat("y"))
        while (await swarm.get("/v1/swarm/status"))[1]["queue"]["waiting"] == 0:
            pass
        swarm.kill()
        assert (await first)[0] == 200
        assert (await second)[0] == 200


async def test_a_worker_asked_to_end_from_outside_is_not_the_requests_fault() -> None:
    async with swarm_of(Shape(script=fault(kind="hold", at_token=2))) as swarm:
        answer = asyncio.ensure_future(swarm.chat("x"))
        for _ in range(3):
            await swarm.fake_until(lambda state: state["busy"] == 3)
            generation = swarm.fleet.endpoints()[0].generation
            swarm.fleet.served("w0", generation)
            swarm.kill(signal=15)
            death = await swarm.fleet.death_of("w0", generation, 5)
            assert death is not None
            assert death.exit_code == 0
            while not swarm.fleet.endpoints():
                await swarm.fleet.next_change().wait()
        await swarm.fake_until(lambda state: state["busy"] == 3)
        await swarm.release()
        assert (await answer)[0] == 200


@pytest.mark.parametrize("shown", [False, True])
async def test_a_live_stream_that_hangs_ends_in_time(shown: bool) -> None:
    script = fault(kind="hang", at_token=3 if shown else 0)
    async with swarm_of(Shape(script=script), chat={"timeout_s": 0.3}) as swarm:
        body = {
            "model": "fake:solo",
            "stream": True,
            "messages": [{"role": "user", "content": "x"}],
        }
        async with swarm.client.post(swarm.chat_url, json=body) as response:
            text = await response.text()
        assert response.status == (200 if shown else 504)
        assert "deadline_exceeded" in text
        await swarm.fake_until(lambda state: state["busy"] == 0)


async def test_a_worker_that_says_it_is_not_ready_is_not_asked_in_a_hot_loop() -> None:
    script = fault(kind="status", status=503, message="loading")
    async with swarm_of(Shape(script=script), chat={"timeout_s": 1.0}) as swarm:
        status, _ = await swarm.chat("x")
        asked = len((await swarm.fake())["requests"])
    assert status == 504
    assert asked <= 6


async def test_slots_come_back_when_a_request_is_cancelled_twice() -> None:
    async with swarm_of(Shape(script=fault(kind="hold", at_token=1))) as swarm:
        request = asyncio.ensure_future(swarm.chat("x"))
        await swarm.fake_until(lambda state: state["busy"] == 3)
        (handler,) = [t for t in asyncio.all_tasks() if "Voted.handle" in _stack(t)]
        handler.cancel()
        await asyncio.sleep(0)
        handler.cancel()
        await asyncio.gather(request, return_exceptions=True)
        await swarm.fake_until(lambda state: state["busy"] == 0)
        _, status = await swarm.get("/v1/swarm/status")
    assert status["workers"][0]["slots_busy"] == 0


def _stack(task: asyncio.Task[Any]) -> str:
    """Names of the coroutines that a task is waiting in."""
    names = []
    coroutine: Any = task.get_coro()
    while coroutine is not None:
        names.append(getattr(coroutine, "__qualname__", ""))
        coroutine = getattr(coroutine, "cr_await", None)
    return " ".join(names)


async def test_voters_asked_instead_of_lost_ones_get_seeds_of_their_own(tmp_path: Any) -> None:
    script = fault(kind="crash", at_token=6, lives=1)
    script |= {"counter_file": str(tmp_path / "lives"), "answers": ["a", "b " * 50, "c " * 50]}
    async with swarm_of(Shape(script=script)) as swarm:
        _, body = await swarm.chat("x", seed=10, swarm={"quorum": 3})
        (again,) = (await swarm.fake())["requests"]
    assert body["swarm"]["answered"] == 3
    assert again["body"]["seed"] == 13
