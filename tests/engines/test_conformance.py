"""What the gateway and the supervisor rely on, asked of every engine and of the fake."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

CHAT = "/v1/chat/completions"
ASK = {"messages": [{"role": "user", "content": "Write a function that adds two numbers."}]}
LONG = {**ASK, "stream": True, "ignore_eos": True}
TOOL = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Reads a file of the project and returns its text.",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
        },
    },
}


def needs(engine: Any, *capabilities: str) -> None:
    for capability in capabilities:
        if not getattr(engine.capabilities, capability):
            pytest.skip(f"{engine.name} says it has no {capability}")


def first_half(path: str) -> bytes:
    data = Path(path).read_bytes()
    return data[: len(data) // 2]


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    """The `data:` of a stream, parsed; "[DONE]" as it is."""
    async for line in response.content:
        if line.startswith(b"data: "):
            data = line[6:].strip()
            yield "[DONE]" if data == b"[DONE]" else json.loads(data)


async def stream(child: Any, body: dict[str, Any]) -> list[Any]:
    async with child.session.post(child.url + CHAT, json={**body, "stream": True}) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        return [event async for event in events(response)]


@contextlib.asynccontextmanager
async def running(child: Any, **more: Any) -> AsyncIterator[aiohttp.ClientResponse]:
    """An endless stream whose first token has come."""
    async with child.session.post(child.url + CHAT, json={**LONG, **more}) as response:
        assert response.status == 200, await response.text()
        await response.content.readline()
        yield response


async def test_ready_child_serves_the_planned_model(child: Any) -> None:
    (model,) = (await child.get("/v1/models"))["data"]
    assert model["id"] == "demo"


async def test_ready_child_tells_the_planned_context(engine: Any, child: Any) -> None:
    needs(engine, "slots")
    (model,) = (await child.get("/v1/models"))["data"]
    assert model["meta"]["n_ctx"] == 1024


@pytest.mark.parametrize("what", ["missing", "damaged", "cut"])
async def test_bad_model_ends_with_a_reason(
    engine: Any, start: Any, tmp_path: Path, worker: Any, what: str
) -> None:
    model = tmp_path / "model.gguf"
    if what == "damaged":
        model.write_bytes(b"this is no model at all")
    elif what == "cut":
        if engine.name == "fake":
            pytest.skip("the fake looks at the first bytes only")
        model.write_bytes(first_half(worker.model_path))
    child = await start(model_path=str(model))
    assert await child.ended() == 1
    assert str(model) in child.log.read_text()


async def test_taken_port_ends_with_a_reason(start: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child = await start(port=port)
        assert await child.ended() == 1
    assert str(port) in child.log.read_text()


async def test_two_children_do_not_share_a_port(start: Any) -> None:
    first = await (await start()).ready()
    second = await start(port=first.spec.port)
    assert await second.ended() == 1


async def test_chat_answers_in_one_piece(child: Any) -> None:
    status, body = await child.post(CHAT, {**ASK, "max_tokens": 8, "seed": 1})
    assert status == 200
    (choice,) = body["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] in ("stop", "length")
    assert 1 <= body["usage"]["completion_tokens"] <= 8
    assert body["model"] == "demo"


async def test_a_seed_makes_the_answer_repeatable(child: Any) -> None:
    body = {**ASK, "max_tokens": 16, "seed": 7, "cache_prompt": False}
    answers = [(await child.post(CHAT, body))[1]["choices"][0]["message"] for _ in range(2)]
    assert answers[0] == answers[1]


async def test_stream_has_one_id_a_finish_usage_and_done(child: Any) -> None:
    got = await stream(child, {**ASK, "max_tokens": 6, "stream_options": {"include_usage": True}})
    assert got.pop() == "[DONE]"
    assert len({chunk["id"] for chunk in got}) == 1
    assert {chunk["object"] for chunk in got} == {"chat.completion.chunk"}
    finishes = [c["finish_reason"] for chunk in got for c in chunk["choices"]]
    assert [f for f in finishes if f] in (["stop"], ["length"])
    assert got[-1]["choices"] == []
    assert got[-1]["usage"]["completion_tokens"] >= 1
    assert got[-1]["timings"]["predicted_n"] >= 1


async def test_streamed_choices_each_have_their_own_finish_and_usage(
    engine: Any, child: Any
) -> None:
    needs(engine, "n")
    body = {**ASK, "n": 3, "max_tokens": 12, "stream_options": {"include_usage": True}}
    got = await stream(child, body)
    assert got.pop() == "[DONE]"
    finished = Counter(
        choice["index"]
        for chunk in got
        for choice in chunk["choices"]
        if choice["finish_reason"] is not None
    )
    assert finished == {0: 1, 1: 1, 2: 1}
    assert sum("usage" in chunk for chunk in got) == 3


async def test_choices_of_one_request_differ_by_seed(engine: Any, child: Any) -> None:
    needs(engine, "n")
    body = {**ASK, "n": 3, "max_tokens": 24, "temperature": 3.0, "seed": 3}
    _, answer = await child.post(CHAT, body)
    assert sorted(choice["index"] for choice in answer["choices"]) == [0, 1, 2]
    assert len({json.dumps(choice["message"]) for choice in answer["choices"]}) > 1


async def test_more_choices_than_slots_are_refused(engine: Any, child: Any) -> None:
    needs(engine, "n")
    status, body = await child.post(CHAT, {**ASK, "n": 5, "max_tokens": 2})
    assert status == 400
    assert body["error"]["type"] == "invalid_request_error"


async def test_a_request_gets_the_slot_it_names(engine: Any, child: Any) -> None:
    needs(engine, "id_slot", "slots")
    async with running(child, id_slot=2):
        assert await child.busy_slots() == {2}


async def test_a_vote_is_pinned_by_its_parent(engine: Any, child: Any) -> None:
    needs(engine, "id_slot", "slots", "n")
    async with running(child, id_slot=1, n=3):
        assert await child.busy_slots() == {0, 1, 2}


async def test_a_busy_slot_is_waited_for(engine: Any, child: Any) -> None:
    needs(engine, "id_slot", "cancellation")
    waiting = {**ASK, "id_slot": 1, "max_tokens": 2}
    async with running(child, id_slot=1):
        second = asyncio.ensure_future(child.post(CHAT, waiting))

        async def deferred() -> bool:
            async with child.session.get(child.url + "/metrics") as response:
                return "requests_deferred 1" in await response.text()

        await child.has(deferred)
        assert not second.done()
    status, _ = await asyncio.wait_for(second, 20)
    assert status == 200


async def test_tools_reach_the_model(engine: Any, child: Any) -> None:
    needs(engine, "tools")
    body = {**ASK, "max_tokens": 4}
    _, plain = await child.post(CHAT, body)
    status, tooled = await child.post(CHAT, {**body, "tools": [TOOL]})
    assert status == 200
    assert tooled["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"] + 10


@pytest.mark.parametrize("n", [1, 3])
async def test_closing_a_stream_frees_all_its_slots(engine: Any, child: Any, n: int) -> None:
    needs(engine, "cancellation", "slots", *(["n"] if n > 1 else []))
    async with running(child, n=n):
        assert len(await child.busy_slots()) == n

    async def idle() -> bool:
        return not await child.busy_slots()

    await child.has(idle, 2.0)


async def test_a_closed_stream_makes_room_for_the_next(engine: Any, start: Any) -> None:
    needs(engine, "cancellation")
    child = await (await start(slots=1, lanes=0, ctx=16384)).ready()
    for _ in range(3):
        async with running(child):
            pass
    status, _ = await asyncio.wait_for(child.post(CHAT, {**ASK, "max_tokens": 2}), 20)
    assert status == 200


async def test_answers_to_what_is_not_seeded_differ_between_children(
    engine: Any, start: Any
) -> None:
    """Else the voters of a swarm of such workers would all say the same."""
    if engine.name == "fake":
        pytest.skip("the fake's answers are the same by design")
    ask = {**ASK, "max_tokens": 24, "temperature": 3.0}
    said = set()
    for _ in range(2):
        child = await (await start()).ready()
        status, answer = await child.post(CHAT, ask)
        assert status == 200
        said.add(json.dumps(answer["choices"][0]["message"]))
    assert len(said) == 2


@pytest.mark.parametrize("stream", [True, False])
async def test_a_bad_request_is_the_clients_and_leaves_the_child_alive(
    engine: Any, child: Any, stream: bool
) -> None:
    if engine.name == "fake":
        pytest.skip("the fake reads no grammar")
    status, answer = await child.post(CHAT, {**ASK, "grammar": "no ::=", "stream": stream})
    assert status == 400, answer
    assert answer["error"]["type"] == "invalid_request_error"
    status, _ = await child.post(CHAT, {**ASK, "max_tokens": 2})
    assert status == 200


async def test_too_long_a_prompt_is_refused_in_the_words_clients_know(child: Any) -> None:
    words = "many words " * 3000
    body = {"messages": [{"role": "user", "content": words}], "stream": True}
    status, answer = await child.post(CHAT, body)
    assert status == 400
    assert answer["error"]["type"] == "exceed_context_size_error"
    assert answer["error"]["n_ctx"] == 1024
    assert answer["error"]["n_prompt_tokens"] > 1024


async def test_tokens_go_there_and_back(engine: Any, child: Any) -> None:
    needs(engine, "tokens")
    _, body = await child.post("/tokenize", {"content": "def add(a, b):"})
    _, text = await child.post("/detokenize", {"tokens": body["tokens"]})
    assert text["content"].strip() == "def add(a, b):"
    _, prompt = await child.post("/apply-template", ASK)
    assert "adds two numbers" in prompt["prompt"]


async def test_slots_metrics_and_props_can_be_read(engine: Any, child: Any) -> None:
    needs(engine, "slots", "metrics")
    slots = await child.get("/slots")
    assert [slot["id"] for slot in slots] == [0, 1, 2, 3]
    assert {slot["n_ctx"] for slot in slots} == {1024}
    assert (await child.get("/props"))["total_slots"] == 4
    async with child.session.get(child.url + "/metrics") as response:
        assert "llamacpp:requests_processing" in await response.text()


async def test_without_the_key_there_is_only_health(engine: Any, child: Any) -> None:
    locked = ("/slots", "/metrics", "/props") if engine.capabilities.slots else ("/v1/models",)
    async with aiohttp.ClientSession() as stranger:
        async with stranger.get(child.url + "/health") as response:
            assert response.status == 200
        for path in locked:
            async with stranger.get(child.url + path) as response:
                assert response.status == 401, path
        async with stranger.post(child.url + CHAT, json=ASK) as response:
            assert response.status == 401


async def test_what_changes_a_child_is_closed(child: Any) -> None:
    for path in ("/props", "/slots/0?action=save", "/slots/0?action=erase"):
        async with child.session.post(child.url + path, json={}) as response:
            assert response.status in (404, 501), path
    async with child.session.get(child.url + "/") as response:
        assert response.status == 404


async def test_the_key_is_not_in_argv(child: Any) -> None:
    assert not any("key-of-this-run" in word for word in child.spec.argv)


async def test_unified_cache_gives_each_slot_the_whole_context(engine: Any, start: Any) -> None:
    needs(engine, "parallel", "slots")
    child = await (await start(kv_unified=True)).ready()
    assert {slot["n_ctx"] for slot in await child.get("/slots")} == {4096}


async def test_sigterm_ends_an_idle_child(child: Any) -> None:
    child.process.send_signal(signal.SIGTERM)
    assert await child.ended(5.0) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_busy_child_ends_on_the_ladder(
    engine: Any, child: Any, number: signal.Signals
) -> None:
    async with running(child, n=2):
        began = time.monotonic()
        child.process.send_signal(number)
        if engine.name == "llama-server":  # may ignore it for as long as the stream runs
            await child.stop()
            assert child.process.returncode is not None
        else:
            assert await child.ended(5.0) == 0
            assert time.monotonic() - began < 5.0


async def test_sigkill_ends_a_child_and_frees_its_port(start: Any) -> None:
    child = await (await start()).ready()
    child.process.kill()
    assert await child.ended(5.0) == -signal.SIGKILL
    again = await start(port=child.spec.port)
    await again.ready()
