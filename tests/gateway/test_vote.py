"""Voted answers through a real gateway over fake workers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from local_swarm.domain.launch import Capabilities
from local_swarm.gateway.counting import COUNT_PATH
from local_swarm.gateway.stream import Pace
from tests.swarms import MODEL, PATIENCE_S, Shape, swarm_of

RIGHT = "```python\ndef f(x):\n    return x + 1\n```"
WRONG = "```python\ndef f(x):\n    return x - 1\n```"
TWO_TO_ONE = {"answers": [WRONG, RIGHT, RIGHT]}
TOOL_CALL = {"tool_calls": [{"name": "ls", "arguments": {"path": "."}, "id": "call-1"}]}


async def test_a_plain_answer_is_the_majoritys_and_says_how_it_was_voted() -> None:
    async with swarm_of(Shape(script=TWO_TO_ONE)) as swarm:
        status, body = await swarm.chat("write f")
    assert status == 200
    assert body["object"] == "chat.completion"
    assert body["model"] == MODEL
    (choice,) = body["choices"]
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert choice["message"]["content"] == RIGHT
    vote = body["swarm"]
    assert (vote["voters"], vote["answered"]) == (3, 3)
    assert vote["agreement"] == pytest.approx(2 / 3, abs=0.01)
    assert body["usage"]["total_tokens"] == (
        body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    )


async def test_facts_of_the_vote_are_in_the_headers() -> None:
    async with (
        swarm_of(Shape(script=TWO_TO_ONE)) as swarm,
        swarm.client.post(
            swarm.chat_url, json={"messages": [{"role": "user", "content": "x"}]}
        ) as response,
    ):
        assert response.headers["X-Swarm-Voters"] == "3"
        assert response.headers["X-Swarm-Answered"] == "3"


async def test_a_streamed_answer_is_one_choice_with_one_id_and_an_end() -> None:
    async with swarm_of(Shape(script=TWO_TO_ONE)) as swarm:
        events = await swarm.stream("write f", stream_options={"include_usage": True})
    deltas = [e["choices"][0] for e in events if e["choices"]]
    assert {d["index"] for d in deltas} == {0}
    assert len({e["id"] for e in events}) == 1
    assert deltas[0]["delta"]["role"] == "assistant"
    assert "".join(d["delta"].get("content") or "" for d in deltas) == RIGHT
    assert [d["finish_reason"] for d in deltas if d["finish_reason"]] == ["stop"]
    assert deltas[-1]["finish_reason"] == "stop"
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] > 0
    assert events[-1]["swarm"]["answered"] == 3


async def test_a_worker_is_asked_once_for_all_its_slots_by_a_stream() -> None:
    async with swarm_of(Shape()) as swarm:
        await swarm.chat("hello")
        (request,) = (await swarm.fake())["requests"]
    body = request["body"]
    assert (body["n"], body["stream"], body["id_slot"], body["model"]) == (3, True, 2, MODEL)
    assert body["temperature"] == 0.8


async def test_an_engine_without_n_is_asked_slot_by_slot() -> None:
    shape = Shape(capabilities=Capabilities(n=False, id_slot=False), script=TWO_TO_ONE)
    async with swarm_of(shape) as swarm:
        _, body = await swarm.chat("hello")
        requests = (await swarm.fake())["requests"]
    assert body["swarm"]["answered"] == 3
    assert len(requests) == 3
    assert all("n" not in r["body"] and "id_slot" not in r["body"] for r in requests)


async def test_tools_and_unknown_fields_reach_the_worker_and_a_call_comes_back() -> None:
    tools = [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}]
    async with swarm_of(Shape(script={"answers": [TOOL_CALL]})) as swarm:
        _, body = await swarm.chat("list", tools=tools, tool_choice="auto", whatever=1)
        events = await swarm.stream("list", tools=tools)
        sent = (await swarm.fake())["requests"][0]["body"]
    assert (sent["tools"], sent["tool_choice"], sent["whatever"]) == (tools, "auto", 1)
    choice = body["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "ls"
    fragments = [e["choices"][0]["delta"].get("tool_calls") for e in events if e["choices"]]
    ((fragment,),) = [f for f in fragments if f]
    assert fragment["index"] == 0
    assert fragment["id"]
    assert fragment["function"]["name"] == "ls"


async def test_n_choices_come_ranked_and_all_of_them() -> None:
    async with swarm_of(Shape(script=TWO_TO_ONE)) as swarm:
        _, body = await swarm.chat("write f", n=3)
        events = await swarm.stream("write f", n=3)
    texts = [c["message"]["content"] for c in body["choices"]]
    assert texts == [RIGHT, RIGHT, WRONG]
    assert [c["index"] for c in body["choices"]] == [0, 1, 2]
    finishes = [e["choices"][0] for e in events if e["choices"][0]["finish_reason"]]
    assert [f["index"] for f in finishes] == [0, 1, 2]


async def test_more_choices_than_slots_are_refused() -> None:
    async with swarm_of(Shape()) as swarm:
        status, body = await swarm.chat("x", n=5)
    assert status == 400
    assert body["error"]["param"] == "n"


async def test_more_samples_than_slots_are_asked_in_rounds() -> None:
    async with swarm_of(Shape()) as swarm:
        _, body = await swarm.chat("x", swarm={"samples": 7, "include_candidates": True})
    assert body["swarm"]["answered"] == 7
    assert len(body["swarm"]["candidates"]) == 7


async def test_a_seed_makes_the_vote_reproducible_with_distinct_voters() -> None:
    async with swarm_of(Shape()) as swarm:
        options = {"seed": 11, "swarm": {"include_candidates": True}}
        _, first = await swarm.chat("x", **options)
        _, second = await swarm.chat("x", **options)

    def texts(body: dict[str, Any]) -> set[str]:
        return {c["text"] for c in body["swarm"]["candidates"]}

    assert texts(first) == texts(second)
    assert len(texts(first)) == 3
    assert first["choices"] == second["choices"]


async def test_the_fastest_answer_wins_and_the_others_are_cancelled() -> None:
    async with swarm_of(Shape(script={"answers": ["a", "b " * 500, "c " * 500]})) as swarm:
        _, body = await swarm.chat("x", swarm={"strategy": "fastest"})
        await swarm.fake_until(lambda state: state["busy"] == 0)
    assert body["choices"][0]["message"]["content"] == "a"
    assert body["swarm"]["strategy"] == "fastest"


async def test_an_unknown_strategy_is_refused_before_anything_is_asked() -> None:
    async with swarm_of(Shape()) as swarm:
        status, body = await swarm.chat("x", swarm={"strategy": "democracy"})
        asked = (await swarm.fake())["requests"]
    assert status == 400
    assert "democracy" in body["error"]["message"]
    assert asked == []


async def test_comments_keep_a_waiting_stream_alive() -> None:
    script = {"faults": [{"kind": "hold", "at_token": 3}]}
    pace = Pace(first_byte_s=0.05, keepalive_s=0.02)
    async with swarm_of(Shape(script=script), chat={"pace": pace}) as swarm:
        body = {"messages": [{"role": "user", "content": "x"}], "stream": True}
        async with swarm.client.post(swarm.chat_url, json=body) as response:
            seen = b""
            while seen.count(b": ping\n\n") < 3:
                seen += await asyncio.wait_for(response.content.readany(), PATIENCE_S)
            assert b"data:" not in seen
            await swarm.release()
            rest = await response.text()
    assert rest.rstrip().endswith("data: [DONE]")


async def test_the_context_error_of_a_worker_reaches_the_client_as_it_is() -> None:
    cannot_count = {"faults": [{"kind": "status", "path": COUNT_PATH}]}
    async with swarm_of(Shape(ctx=256, script=cannot_count)) as swarm:
        status, body = await swarm.chat("word " * 2000)
        asked = (await swarm.fake())["requests"]
        streamed = {"messages": [{"role": "user", "content": "word " * 2000}], "stream": True}
        async with swarm.client.post(swarm.chat_url, json=streamed) as response:
            assert response.status == 400
    assert status == 400
    error = body["error"]
    assert error["type"] == "exceed_context_size_error"
    assert error["n_prompt_tokens"] > error["n_ctx"]
    assert len(asked) == 1


async def test_time_out_without_any_answer_is_a_504() -> None:
    script = {"faults": [{"kind": "hang"}]}
    async with swarm_of(Shape(script=script), chat={"timeout_s": 0.2}) as swarm:
        status, body = await swarm.chat("x")
        await swarm.fake_until(lambda state: state["busy"] == 0)
    assert status == 504
    assert body["error"]["code"] == "deadline_exceeded"


async def test_time_out_with_some_answers_votes_on_those() -> None:
    script = {"answers": ["a", "a", "b " * 4000], "token_s": 0.02}
    async with swarm_of(Shape(script=script, ctx=8192), chat={"timeout_s": 0.7}) as swarm:
        status, body = await swarm.chat("x")
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "a"
    assert body["swarm"]["answered"] == 2


async def test_the_fastest_answer_has_its_usage() -> None:
    async with swarm_of(Shape(script={"answers": ["a b c", "b " * 500]})) as swarm:
        _, body = await swarm.chat("x", swarm={"strategy": "fastest"})
    assert body["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("model", ["fake", "fake:solo"])
async def test_other_names_for_n_do_not_go_around_the_ledger(model: str) -> None:
    async with swarm_of(Shape()) as swarm:
        events = await swarm.stream("x", model=model, n_cmpl=4)
        sent = (await swarm.fake())["requests"][0]["body"]
    assert "n_cmpl" not in sent
    assert {c["index"] for e in events for c in e["choices"]} == {0}


async def test_a_vote_that_missed_its_quorum_says_so_and_claims_no_agreement() -> None:
    long = "b " * 4000
    script = {"answers": ["a", long, long], "token_s": 0.02}
    async with swarm_of(Shape(script=script, ctx=8192), chat={"timeout_s": 0.5}) as swarm:
        _, body = await swarm.chat("x")
    facts = body["swarm"]
    assert facts["answered"] == 1
    assert facts["agreement"] == pytest.approx(1 / 3, 0.01)
    assert any("1 of the 2" in reason for reason in facts["reasons"])


@pytest.mark.parametrize("model", ["fake", "fake:solo"])
async def test_a_live_stream_says_how_long_it_took(model: str) -> None:
    async with swarm_of(Shape()) as swarm:
        events = await swarm.stream("x", model=model, stream_options={"include_usage": True})
    assert events[-1]["swarm"]["elapsed_ms"] >= 0
    assert events[-1]["usage"]["completion_tokens"] > 0
