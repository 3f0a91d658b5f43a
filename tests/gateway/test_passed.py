"""What is passed through and generates: slots, streams, faults."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.gateway.posting import post
from tests.swarms import Shape, Swarm, swarm_of

HELD = {"faults": [{"kind": "hold", "at_token": 2}]}


async def direct(swarm: Swarm, path: str, body: Any) -> bytes:
    """What the worker itself says."""
    keeper = swarm.fleet.endpoints()[0]
    headers = {"Authorization": f"Bearer {keeper.api_key}"}
    async with swarm.client.post(keeper.base_url + path, json=body, headers=headers) as response:
        return await response.read()


@pytest.mark.parametrize("path", ["/completion", "/completions"])
async def test_a_completion_is_what_the_worker_would_have_said(path: str) -> None:
    body = {"prompt": "def add(", "n_predict": 5, "seed": 7, "nobody_knows": {"a": 1.0}}
    async with swarm_of(Shape()) as swarm:
        status, passed = await post(swarm, path, body)
        (seen,) = (await swarm.fake())["requests"]
        plain = json.loads(await direct(swarm, "/completion", body))
    assert status == 200
    assert passed == {**plain, "timings": passed["timings"]}
    assert seen["body"] == {**body, "id_slot": seen["slots"][0], "stream": True}


async def test_a_streamed_completion_is_relayed_byte_for_byte() -> None:
    body = {"prompt": "def add(", "stream": True, "seed": 1}
    async with swarm_of(Shape()) as swarm:
        url = f"{swarm.gateway.url}/completion"
        async with swarm.client.post(url, json=body) as response:
            passed = await response.read()
            assert response.content_type == "text/event-stream"
        plain = await direct(swarm, "/completion", body)
    assert passed.split(b'"timings"')[0] == plain.split(b'"timings"')[0]


async def test_the_lane_serves_first_and_a_clients_slot_is_dropped() -> None:
    async with swarm_of(Shape(script=HELD)) as swarm:
        body = {"prompt": "x", "id_slot": 0}
        first = asyncio.ensure_future(post(swarm, "/completion", body))
        await swarm.fake_until(lambda state: state["busy"] == 1)
        second = asyncio.ensure_future(post(swarm, "/completion", {"prompt": "y"}))
        state = await swarm.fake_until(lambda state: state["busy"] == 2)
        await swarm.release()
        assert [(await first)[0], (await second)[0]] == [200, 200]
    assert [r["slots"] for r in state["requests"]] == [[3], [2]]


async def test_infill_takes_a_slot_and_streams() -> None:
    body = {"input_prefix": "def f(", "input_suffix": "return", "stream": True}
    async with swarm_of(Shape()) as swarm:
        async with swarm.client.post(f"{swarm.gateway.url}/infill", json=body) as response:
            events = [e for e in (await response.text()).split("\n\n") if e]
        (seen,) = (await swarm.fake())["requests"]
    assert json.loads(events[-1][6:])["stop"] is True
    assert (seen["path"], seen["slots"]) == ("/infill", [3])


async def test_several_choices_take_slots_of_one_worker() -> None:
    async with swarm_of(Shape(workers=2, slots=3)) as swarm:
        status, body = await post(swarm, "/completion", {"prompt": "x", "n": 3})
        seen = [r for w in (0, 1) for r in (await swarm.fake(w))["requests"]]
    assert status == 200
    assert [choice["index"] for choice in body] == [0, 1, 2]
    assert [sorted(r["slots"]) for r in seen] == [[0, 1, 2]]


@pytest.mark.parametrize("field", ["n", "n_cmpl"])
async def test_more_choices_than_a_worker_has_slots_are_a_400(field: str) -> None:
    async with swarm_of(Shape(workers=2, slots=2)) as swarm:
        status, body = await post(swarm, "/completion", {"prompt": "x", field: 3})
        assert (await swarm.fake())["requests"] == []
    assert status == 400
    assert body["error"]["param"] == "n"


PASSED = ("/completion", "/infill", "/v1/embeddings", "/tokenize")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *((path, body) for path in PASSED for body in (b"{no", b'"text"', b"[1]", b"\xff")),
        ("/completion", b'{"prompt":"x","n":"2"}'),
        ("/completion", b'{"prompt":"x","stream":1}'),
        ("/completion", b'{"prompt":["x","y"],"n":2}'),
    ],
)
async def test_a_malformed_body_is_our_400_before_anything_is_sent(path: str, body: bytes) -> None:
    async with swarm_of(Shape()) as swarm:
        status, answer = await post(swarm, path, body)
        assert path not in (await swarm.fake())["counts"]
    assert status == 400
    assert answer["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_frees_its_slot(stream: bool) -> None:
    script = {"answers": ["word " * 1000], "token_s": 0.02}
    async with swarm_of(Shape(script=script, ctx=4096)) as swarm:
        body = {"prompt": "x", "stream": stream}
        url = f"{swarm.gateway.url}/completion"
        request = asyncio.ensure_future(swarm.client.post(url, json=body))
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


@pytest.mark.parametrize("stream", [False, True])
async def test_a_worker_that_dies_before_anything_was_sent_is_not_noticed(
    tmp_path: Any, stream: bool
) -> None:
    at_token = 0 if stream else 3
    script = {
        "faults": [{"kind": "crash", "at_token": at_token, "lives": 1}],
        "counter_file": str(tmp_path / "lives"),
    }
    async with swarm_of(Shape(script=script)) as swarm:
        url = f"{swarm.gateway.url}/completion"
        async with swarm.client.post(url, json={"prompt": "x", "stream": stream}) as response:
            text = await response.text()
            assert response.status == 200
        assert '"stop":true' in text
        assert swarm.fleet.keepers["w0"].worker.restarts == 1


async def test_a_stream_cut_after_content_ends_in_an_error_event() -> None:
    script = {"faults": [{"kind": "cut", "at_token": 3}]}
    async with swarm_of(Shape(script=script)) as swarm:
        body = {"prompt": "x", "stream": True}
        async with swarm.client.post(f"{swarm.gateway.url}/completion", json=body) as response:
            *_, last = [e for e in (await response.text()).split("\n\n") if e]
    assert json.loads(last[6:])["error"]["code"] == "no_voter_answered"


async def test_a_request_that_kills_two_workers_is_refused() -> None:
    script = {"faults": [{"kind": "crash", "at_token": 2, "when": "poison", "signal": 11}]}
    async with swarm_of(Shape(script=script)) as swarm:
        status, body = await post(swarm, "/completion", {"prompt": "poison"})
        assert (status, body["error"]["code"]) == (400, "poison_request")
        assert (await post(swarm, "/completion", {"prompt": "harmless"}))[0] == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_too_long_is_the_workers_own_400(stream: bool) -> None:
    async with swarm_of(Shape(ctx=256)) as swarm:
        status, body = await post(swarm, "/completion", {"prompt": "word " * 300, "stream": stream})
    error = body["error"]
    assert (status, error["type"], error["n_ctx"]) == (400, "exceed_context_size_error", 256)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/v1/embeddings", {"input": ["a", "b"], "encoding_format": "base64", "odd": [1.0]}),
        ("/embedding", {"content": "a"}),
        ("/rerank", {"query": "a", "documents": ["b"], "top_n": 1}),
        ("/v1/reranking", {"query": "a", "documents": ["b"]}),
    ],
)
async def test_embeddings_and_reranking_take_one_slot(path: str, sent: dict[str, Any]) -> None:
    async with swarm_of(Shape(script={"embeddings": True})) as swarm:
        status, body = await post(swarm, path, sent)
    assert status == 200
    assert body["echo"] == {**sent, "id_slot": 3}


async def test_a_slot_is_held_while_an_embedding_is_computed() -> None:
    script = {"embeddings": True, "faults": [{"kind": "hold", "path": "/v1/embeddings"}]}
    async with swarm_of(Shape(slots=1, lanes=1, script=script)) as swarm:
        held = asyncio.ensure_future(post(swarm, "/v1/embeddings", {"input": "a"}))
        await swarm.fake_until(lambda state: state["counts"].get("/v1/embeddings") == 1)
        _, status = await swarm.get("/v1/swarm/status")
        assert status["workers"][0]["slots_busy"] == 1
        await swarm.release()
        assert (await held)[0] == 200


async def test_what_the_engine_cannot_do_is_its_own_501() -> None:
    async with (
        swarm_of(Shape()) as swarm,
        swarm.client.post(f"{swarm.gateway.url}/v1/embeddings", json={"input": "a"}) as response,
    ):
        error = (await response.json())["error"]
        assert response.headers["X-Swarm-Error-Source"] == "worker"
    assert (response.status, error["type"]) == (501, "not_supported_error")
    assert "/v1/embeddings" in error["message"]


async def test_a_worker_that_keeps_failing_is_a_502_that_blames_it() -> None:
    script = {"faults": [{"kind": "status", "status": 500, "message": "boom"}]}
    async with (
        swarm_of(Shape(script=script)) as swarm,
        swarm.client.post(f"{swarm.gateway.url}/completion", json={"prompt": "x"}) as response,
    ):
        assert response.status == 502
        assert response.headers["X-Swarm-Error-Source"] == "worker"
        assert "boom" in (await response.json())["error"]["message"]


@pytest.mark.parametrize("path", ["/completion", "/tokenize"])
async def test_without_a_worker_it_waits_and_then_says_when_to_come_again(path: str) -> None:
    async with swarm_of(Shape(script={"load_s": 1.0}), chat={"timeout_s": 0.2}) as swarm:
        swarm.kill()
        while swarm.fleet.endpoints():
            await swarm.fleet.next_change().wait()
        body = {"prompt": "x", "content": "x"}
        async with swarm.client.post(swarm.gateway.url + path, json=body) as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("path", ["/completion", "/tokenize"])
async def test_it_waits_for_a_worker_that_comes_back(path: str) -> None:
    async with swarm_of(Shape(script={"load_s": 0.2})) as swarm:
        swarm.fleet.served("w0", 1)
        swarm.kill()
        while swarm.fleet.endpoints():
            await swarm.fleet.next_change().wait()
        status, _ = await post(swarm, path, {"prompt": "x", "content": "x"})
    assert status == 200


async def test_a_swarm_that_stops_takes_nothing_new() -> None:
    async with swarm_of(Shape()) as swarm:
        await swarm.gateway.activity.drain(1)
        assert (await post(swarm, "/completion", {"prompt": "x"}))[0] == 503


async def test_a_slow_reader_holds_up_its_worker_and_not_our_memory() -> None:
    script = {"answers": ["w " * 400_000]}
    async with swarm_of(Shape(ctx=2_000_000)) as swarm:
        await swarm.script(script)
        body = {"prompt": "x", "stream": True}
        small = aiohttp.ClientSession(read_bufsize=1024)
        async with small, small.post(f"{swarm.gateway.url}/completion", json=body) as response:
            await response.content.readany()
            tokens = -1
            while (now := (await swarm.fake())["requests"][0]["tokens"]) != tokens:
                tokens = now
                await asyncio.sleep(0.2)  # a worker that stands still sends no event
            assert tokens < 300_000
        await swarm.fake_until(lambda state: state["busy"] == 0)
