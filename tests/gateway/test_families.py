"""What all voted APIs do alike."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from local_swarm.gateway.stream import Pace
from tests.gateway.families import (
    ALL,
    CHAT,
    COMPLETIONS,
    MESSAGES,
    RESPONSES,
    Api,
    events_in,
    told,
)
from tests.gateway.posting import post
from tests.swarms import Shape, swarm_of, until

RIGHT, WRONG = "the sum is forty two", "completely different words here"
TWO_TO_ONE = {"answers": [WRONG, RIGHT, RIGHT]}
CUT = {"answers": ["one two three four"], "faults": [{"kind": "cut", "at_token": 3}]}
every = pytest.mark.parametrize("api", ALL, ids=lambda api: api.path)
mapped = pytest.mark.parametrize("api", [MESSAGES, RESPONSES], ids=lambda api: api.path)


@every
async def test_the_majority_wins_and_the_facts_are_the_same_in_every_api(api: Api) -> None:
    async with swarm_of(Shape(script=TWO_TO_ONE)) as swarm:
        status, body = await api.post(swarm)
        _, chat = await CHAT.post(swarm)
    assert status == 200
    assert api.text(body) == RIGHT
    assert body["id"].startswith(api.id_prefix)
    assert body["model"] == "fake"
    assert body["swarm"].keys() == chat["swarm"].keys()
    assert (body["swarm"]["voters"], body["swarm"]["agreement"]) == (
        chat["swarm"]["voters"],
        chat["swarm"]["agreement"],
    )


@every
async def test_a_stream_replays_the_winner_and_tells_of_the_vote_at_its_end(api: Api) -> None:
    async with swarm_of(Shape(script=TWO_TO_ONE)) as swarm:
        events = await api.stream(swarm)
    assert api.streamed(events) == RIGHT
    assert told(api, events)["voters"] == 3
    assert told(api, events[-2:])


@every
async def test_solo_streams_what_one_voter_writes(api: Api) -> None:
    async with swarm_of(Shape(script={"answers": [RIGHT]})) as swarm:
        events = await api.stream(swarm, model="fake:solo")
        state = await swarm.fake()
    assert api.streamed(events) == RIGHT
    assert told(api, events)["why"] == "solo was asked for"
    assert [request["slots"] for request in state["requests"]] == [[3]]


@every
async def test_unknown_fields_reach_the_workers_and_our_own_do_not(api: Api) -> None:
    async with swarm_of(Shape()) as swarm:
        await api.post(swarm, min_p=0.1, grammar="g", swarm={"samples": 2}, id_slot=9)
        (request,) = (await swarm.fake())["requests"]
    assert (request["body"]["min_p"], request["body"]["grammar"]) == (0.1, "g")
    assert "swarm" not in request["body"]
    assert request["body"]["id_slot"] != 9
    own = api is COMPLETIONS
    assert request["path"] == ("/v1/completions" if own else "/v1/chat/completions")


@every
async def test_the_swarms_options_count_in_body_and_header(api: Api) -> None:
    async with swarm_of(Shape()) as swarm:
        _, body = await api.post(swarm, swarm={"samples": 2, "include_candidates": True})
        status, refused = await api.post(swarm, headers={"X-Swarm-Strategy": "magic"})
    assert body["swarm"]["voters"] == len(body["swarm"]["candidates"]) == 2
    assert (status, refused["error"]["param"]) == (400, "swarm.strategy")


@every
async def test_a_prompt_that_is_too_long_is_refused_in_llama_servers_words(api: Api) -> None:
    async with swarm_of(Shape(ctx=256)) as swarm:
        status, body = await api.post(swarm, "word " * 3000, stream=True)
        assert not (await swarm.fake())["requests"]
    error = body["error"]
    assert (status, error["code"]) == (400, "exceed_context_size_error")
    assert error["n_ctx"] == 256
    assert "exceeds the available context size" in error["message"]


@every
async def test_a_workers_refusal_is_an_error_before_the_stream(api: Api) -> None:
    fault = {"kind": "status", "status": 400, "message": "no such grammar"}
    async with swarm_of(Shape(script={"faults": [fault]})) as swarm:
        status, body = await api.post(swarm, stream=True)
    assert (status, body["error"]["message"]) == (400, "no such grammar")


@every
async def test_a_stream_that_breaks_after_its_first_word_ends_in_the_apis_own_error(
    api: Api,
) -> None:
    async with swarm_of(Shape(script=CUT)) as swarm:
        events = await api.stream(swarm, model="fake:solo")
    assert api.streamed(events).startswith("one")
    last = events[-1]
    error = last["response"]["error"] if api is RESPONSES else last["error"]
    assert error["code"] == "no_voter_answered"
    if api is MESSAGES:
        assert (last["type"], error["type"]) == ("error", "api_error")
    if api is RESPONSES:
        assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")


@every
async def test_a_vote_that_fails_after_the_200_is_an_error_event(api: Api) -> None:
    held = {"faults": [{"kind": "hang", "at_token": 1}]}
    async with swarm_of(Shape(script=held), chat={"timeout_s": 0.5}) as swarm:
        events = await api.stream(swarm)
    last = events[-1]
    error = last["response"]["error"] if api is RESPONSES else last["error"]
    assert error["code"] == "deadline_exceeded"


@every
@pytest.mark.parametrize("model", ["fake", "fake:solo"])
async def test_workers_stop_when_the_client_of_a_stream_leaves(api: Api, model: str) -> None:
    script = {"answers": ["word " * 400], "token_s": 0.01}
    async with swarm_of(Shape(script=script)) as swarm:
        body = {**api.asks("hello"), "model": model, "stream": True, "max_tokens": 400}
        async with swarm.client.post(swarm.gateway.url + api.path, json=body):
            await swarm.fake_until(lambda state: state["busy"] > 0)
        state = await swarm.fake_until(lambda state: state["cancelled"] == 1)
    assert state["busy"] == 0


@every
async def test_a_body_that_is_no_request_is_the_clients_mistake(api: Api) -> None:
    async with swarm_of(Shape()) as swarm:
        for body in ([], {}, {"model": 3}, b"{"):
            status, answer = await post(swarm, api.path, body)
            assert (status, answer["error"]["type"]) == (400, "invalid_request_error")


@every
async def test_an_answer_cut_off_by_max_tokens_says_so(api: Api) -> None:
    limit = "max_output_tokens" if api is RESPONSES else "max_tokens"
    async with swarm_of(Shape(script={"answers": [RIGHT]})) as swarm:
        _, body = await api.post(swarm, **{limit: 2})
    said = {
        CHAT.path: lambda: body["choices"][0]["finish_reason"] == "length",
        COMPLETIONS.path: lambda: body["choices"][0]["finish_reason"] == "length",
        MESSAGES.path: lambda: body["stop_reason"] == "max_tokens",
        RESPONSES.path: lambda: body["status"] == "incomplete",
    }
    assert said[api.path]()


LS: dict[str, Any] = {"type": "object", "properties": {"p": {"type": "string"}}, "required": ["p"]}
TOOLS: dict[str, list[dict[str, Any]]] = {
    MESSAGES.path: [{"name": "ls", "input_schema": LS}],
    RESPONSES.path: [{"type": "function", "name": "ls", "parameters": LS}],
}
MUST: dict[str, Any] = {MESSAGES.path: {"type": "any"}, RESPONSES.path: "required"}
CALLS = {"answers": [{"tool_calls": [{"name": "ls", "arguments": {"p": "/"}, "id": "c1"}]}]}


def called(api: Api, events: list[dict[str, Any]]) -> tuple[str, str, str]:
    """(id, name, arguments) of the one call in a stream."""
    if api is MESSAGES:
        (block,) = [e["content_block"] for e in events if e["type"] == "content_block_start"]
        deltas = [e["delta"] for e in events if e["type"] == "content_block_delta"]
        return block["id"], block["name"], "".join(d["partial_json"] for d in deltas)
    (item,) = events[-1]["response"]["output"]
    return item["call_id"], item["name"], item["arguments"]


@mapped
@pytest.mark.parametrize("model", ["fake", "fake:solo"])
async def test_a_tool_call_is_streamed_whole(api: Api, model: str) -> None:
    async with swarm_of(Shape(script=CALLS)) as swarm:
        events = await api.stream(swarm, model=model, tools=TOOLS[api.path])
        (request,) = (await swarm.fake())["requests"]
    assert called(api, events) == ("c1", "ls", '{"p": "/"}')
    assert request["body"]["tools"][0]["function"]["parameters"] == LS
    if api is MESSAGES:
        assert events[-2]["delta"]["stop_reason"] == "tool_use"


@mapped
async def test_an_answer_that_breaks_the_requests_own_rules_abstains(api: Api) -> None:
    tools = {"tools": TOOLS[api.path], "tool_choice": MUST[api.path]}
    async with swarm_of(Shape(script={"answers": ["no", "no", CALLS["answers"][0]]})) as swarm:
        _, body = await api.post(swarm, **tools)
        await swarm.script({"answers": ["no"]})
        status, refused = await api.post(swarm, **tools, stream=True)
    assert body["swarm"]["abstained"] >= 1
    assert (status, refused["error"]["code"]) == (422, "no_valid_answer")


@mapped
async def test_tokens_are_counted_as_the_answer_counts_them(api: Api) -> None:
    path = api.path + ("/count_tokens" if api is MESSAGES else "/input_tokens")
    async with swarm_of(Shape()) as swarm:
        asked = {**api.asks("one two"), "tools": TOOLS[api.path]}
        _, counted = await post(swarm, path, asked)
        _, body = await post(swarm, api.path, asked)
    cached = body["usage"].get("cache_read_input_tokens", 0)
    assert counted["input_tokens"] == body["usage"]["input_tokens"] + cached


@mapped
async def test_media_by_address_reach_no_worker(api: Api) -> None:
    url = "http://169.254.169.254/x.png"
    image = {
        MESSAGES.path: {"messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "url", "url": url}}]}]},
        RESPONSES.path: {"input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": url}]}]},
    }[api.path]  # fmt: skip
    async with swarm_of(Shape()) as swarm:
        status, _ = await api.post(swarm, **image)
        assert not (await swarm.fake())["requests"]
    assert status == 400


async def test_anthropic_clients_get_every_error_in_their_shape() -> None:
    async with swarm_of(Shape(), keys=["key"]) as swarm:
        status, body = await MESSAGES.post(swarm)
        assert (status, body["type"], body["error"]["type"]) == (
            401,
            "error",
            "authentication_error",
        )
        status, body = await MESSAGES.post(swarm, headers={"X-Api-Key": "key"}, messages=[])
        assert (status, body["type"], body["error"]["param"]) == (400, "error", "messages")
        async with swarm.client.get(
            swarm.gateway.url + MESSAGES.path, headers={"X-Api-Key": "key"}
        ) as response:
            assert (response.status, (await response.json())["type"]) == (405, "error")


async def test_several_completions_are_ranked_choices() -> None:
    async with swarm_of(Shape(script=TWO_TO_ONE)) as swarm:
        _, body = await COMPLETIONS.post(swarm, n=3)
        events = await COMPLETIONS.stream(swarm, n=2)
    assert [choice["text"] for choice in body["choices"]] == [RIGHT, RIGHT, WRONG]
    assert {choice["index"] for event in events for choice in event["choices"]} == {0, 1}


async def test_several_prompts_have_an_answer_each() -> None:
    script = {"answers": {"first": ["one"], "second": ["two three"]}}
    async with swarm_of(Shape(script=script)) as swarm:
        _, body = await COMPLETIONS.post(swarm, prompt=["the first", "the second"])
        events = await COMPLETIONS.stream(swarm, prompt=["the second", "the first"])
        status, _ = await COMPLETIONS.post(swarm, prompt=["a", "b"], n=2)
    assert [(c["index"], c["text"]) for c in body["choices"]] == [(0, "one"), (1, "two three")]
    assert body["usage"]["completion_tokens"] == 3
    assert body["swarm"]["answered"] == 2
    texts = {0: "", 1: ""}
    for choice in (choice for event in events for choice in event["choices"]):
        texts[choice["index"]] += choice["text"]
    assert texts == {0: "two three", 1: "one"}
    assert status == 400


@every
async def test_a_slow_vote_keeps_its_client_with_comments(api: Api) -> None:
    held = {"answers": [RIGHT], "faults": [{"kind": "hold", "at_token": 1}]}
    async with swarm_of(Shape(script=held), chat={"pace": Pace(0.01, 0.01)}) as swarm:
        body = {**api.asks("hello"), "stream": True}
        async with swarm.client.post(swarm.gateway.url + api.path, json=body) as response:
            first = await response.content.readline()
            assert first == b": ping\n"
            await swarm.release()
            raw = await asyncio.wait_for(response.text(), 10)
    assert api.streamed(events_in(raw)) == RIGHT


@mapped
async def test_where_no_worker_can_count_the_count_says_so(api: Api) -> None:
    path = api.path + ("/count_tokens" if api is MESSAGES else "/input_tokens")
    missing = {"kind": "status", "status": 404}
    paths = ("/v1/chat/completions/input_tokens", "/apply-template")
    script = {"faults": [{**missing, "path": p} for p in paths]}
    async with swarm_of(Shape(script=script)) as swarm:
        status, body = await post(swarm, path, api.asks("x"))
    assert (status, body["error"]["code"]) == (501, "not_supported")


@mapped
async def test_a_count_waits_for_a_worker_that_is_coming_back(api: Api) -> None:
    path = api.path + ("/count_tokens" if api is MESSAGES else "/input_tokens")
    async with swarm_of(Shape(script={"load_s": 0.3})) as swarm:
        swarm.fleet.served("w0", 1)
        swarm.kill()
        await until(swarm.fleet, lambda: not swarm.fleet.endpoints())
        status, body = await post(swarm, path, api.asks("one two"))
    assert (status, body["input_tokens"] > 0) == (200, True)
