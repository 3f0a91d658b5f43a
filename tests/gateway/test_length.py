"""A prompt that is too long is refused before a voter hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from local_swarm.domain.launch import Capabilities
from local_swarm.errors import ContextExceeded
from local_swarm.gateway.bounds import TEMPLATE_TOKENS, Counts, least_tokens, most_tokens
from local_swarm.gateway.counting import (
    ASKED_AT_ONCE,
    COUNT_PATH,
    TEMPLATE_PATH,
    TOKENIZE_PATH,
    Counting,
)
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.length import Length
from local_swarm.gateway.upstream import Upstream
from tests.gateway.posting import post
from tests.swarms import Shape, Swarm, fleet_of, message, swarm_of

CTX = 512
WAYS = [{}, {"model": "fake:solo"}, {"swarm": {"stream": "leader"}}, {"n": 2}, {"temperature": 0}]
OLD_SERVER = {"faults": [{"kind": "status", "status": 404, "path": COUNT_PATH}]}


async def longest(swarm: Swarm) -> int:
    """How many words fit: the prompt leaves one cell of the slot for the answer."""
    status, body = await swarm.chat("word " * CTX)
    assert status == 400
    marks: int = body["error"]["n_prompt_tokens"] - CTX
    return CTX - 1 - marks


async def asked(swarm: Swarm) -> int:
    return len((await swarm.fake())["requests"])


async def answer_of(swarm: Swarm, words: int, /, **body: Any) -> tuple[int, str, dict[str, Any]]:
    """(status, content type, JSON or nothing) of a chat with so many words."""
    text = "word " * words
    async with swarm.client.post(swarm.chat_url, json=message(text, **body)) as response:
        plain = response.content_type == "application/json"
        return response.status, response.content_type, await response.json() if plain else {}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS)
async def test_what_just_fits_is_asked_and_one_token_more_is_not(
    way: dict[str, Any], stream: bool
) -> None:
    async with swarm_of(Shape(ctx=CTX)) as swarm:
        fitting = await longest(swarm)
        status, kind, _ = await answer_of(swarm, fitting, stream=stream, **way)
        assert status == 200
        assert kind == ("text/event-stream" if stream else "application/json")
        before = await asked(swarm)
        assert before == 1
        status, kind, body = await answer_of(swarm, fitting + 1, stream=stream, **way)
        assert await asked(swarm) == before
    assert (status, kind) == (400, "application/json")
    assert body["error"] == {
        "message": f"request ({CTX} tokens) exceeds the available context size ({CTX} tokens), "
        "try increasing it",
        "type": "exceed_context_size_error",
        "code": "exceed_context_size_error",
        "param": "messages",
        "n_prompt_tokens": CTX,
        "n_ctx": CTX,
    }


async def test_tools_count_too() -> None:
    function = {"name": "ls", "description": "word " * CTX}
    tools = [{"type": "function", "function": function}]
    async with swarm_of(Shape(ctx=CTX)) as swarm:
        status, body = await swarm.chat("x", tools=tools)
        assert await asked(swarm) == 0
    assert status == 400
    assert body["error"]["n_prompt_tokens"] > CTX


async def test_most_requests_are_short_enough_for_nobody_to_be_asked() -> None:
    async with swarm_of(Shape(ctx=8192)) as swarm:
        await swarm.chat("word " * 1000)
        await swarm.stream("word " * 1000)
        counts = (await swarm.fake())["counts"]
        assert COUNT_PATH not in counts
        await swarm.chat("word " * 2000)
        counts = (await swarm.fake())["counts"]
    assert counts[COUNT_PATH] == 1


async def test_the_next_turns_of_a_conversation_are_not_counted_again() -> None:
    opening = message("word " * 600)["messages"]
    turn = [{"role": "assistant", "content": "yes"}, {"role": "user", "content": "go on"}]
    changed = [{"role": "user", "content": "word " * 601}, *turn]
    long = [*opening, *turn, {"role": "user", "content": "word " * 1000}]
    async with swarm_of(Shape(ctx=4096)) as swarm:
        counted = []
        for messages in (opening, opening + turn, opening + turn * 2, changed, long):
            status, _ = await swarm.chat("", messages=messages)
            assert status == 200
            counted.append((await swarm.fake())["counts"][COUNT_PATH])
    assert counted == [1, 1, 1, 2, 3]


def test_what_was_counted_says_nothing_of_another_prompt() -> None:
    counts = Counts()
    first = message("word " * 10)
    counts.remember("a", first, 20)
    grown = {**first, "messages": [*first["messages"], *message("x" * 100)["messages"]]}
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}
    most = counts.most_tokens("a", grown)
    assert most is not None
    assert 20 + 100 < most < 20 + 500
    assert counts.most_tokens("b", grown) is None
    assert counts.most_tokens("a", {**grown, "tools": [{}]}) is None
    assert counts.most_tokens("a", {**first, "messages": []}) is None
    assert counts.most_tokens("a", message("word " * 11)) is None
    assert counts.most_tokens("a", {**first, "messages": [*first["messages"], picture]}) is None


async def test_a_server_that_cannot_count_chats_is_asked_for_template_and_tokens() -> None:
    async with swarm_of(Shape(ctx=CTX, script=OLD_SERVER)) as swarm:
        fitting = await longest(swarm)
        assert (await swarm.chat("word " * fitting))[0] == 200
        assert (await swarm.chat("word " * (fitting + 1)))[0] == 400
        state = await swarm.fake()
    assert len(state["requests"]) == 1
    assert state["counts"][TEMPLATE_PATH] == state["counts"][TOKENIZE_PATH] == 3


@pytest.mark.parametrize(
    "faults",
    [
        [{"kind": "status", "path": COUNT_PATH}],
        [{"kind": "cut", "path": COUNT_PATH}],
        [{"kind": "hang", "path": COUNT_PATH}],
        [{"kind": "content_type", "path": COUNT_PATH}],
        [
            {"kind": "status", "status": 404, "path": COUNT_PATH},
            {"kind": "status", "status": 404, "path": TEMPLATE_PATH},
        ],
    ],
)
async def test_where_nobody_can_count_the_request_goes_on(faults: list[dict[str, Any]]) -> None:
    shape = Shape(ctx=CTX, script={"faults": faults})
    async with swarm_of(shape, chat={"length_s": 0.2}) as swarm:
        status, _ = await swarm.chat("hello")
        too_long, body = await swarm.chat("word " * CTX)
        assert await asked(swarm) == 2
    assert status == 200
    assert too_long == 400
    assert body["error"]["type"] == "exceed_context_size_error"


async def test_counting_needs_no_slot() -> None:
    script = {"faults": [{"kind": "hold", "at_token": 2, "when": "first"}]}
    async with swarm_of(Shape(ctx=CTX, slots=1, lanes=0, voters=1, script=script)) as swarm:
        body = message("first", stream=True)
        async with swarm.client.post(swarm.chat_url, json=body) as held:
            await swarm.fake_until(lambda state: state["busy"] == 1)
            status, _, _ = await answer_of(swarm, CTX, stream=True)
            await swarm.release()
            await held.text()
    assert status == 400


@pytest.mark.parametrize("text", ["word " * 50, "é€😀" * 50, "\n\t\"'<>&" * 50, "x"])
def test_a_request_has_fewer_tokens_than_bytes_and_what_a_template_adds(text: str) -> None:
    most = most_tokens(message(text))
    assert most is not None
    assert len(text.encode()) + TEMPLATE_TOKENS < most


def test_the_size_of_an_image_says_nothing() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    content = [{"type": "text", "text": "what is this"}]
    assert most_tokens({"messages": [{"role": "user", "content": content}]}) is not None
    assert most_tokens({"messages": [{"role": "user", "content": [*content, image]}]}) is None


async def test_what_no_vocabulary_could_make_short_enough_is_refused_uncounted() -> None:
    async with swarm_of(Shape(ctx=CTX, token_bytes=16)) as swarm:
        status, body = await swarm.chat("word " * 2 * CTX * 16)
        counts = (await swarm.fake())["counts"]
    assert status == 400
    assert body["error"]["code"] == "exceed_context_size_error"
    assert body["error"]["n_prompt_tokens"] == (10 * CTX * 16 - 1) // 16  # at least so many
    assert counts.keys() <= {"/health"}


@pytest.mark.parametrize(
    ("message", "least"),
    [
        ({"role": "user", "content": "x" * 100}, 10),
        ({"role": "tool", "content": [{"type": "text", "text": "x" * 100}]}, 10),
        ({"role": "user", "content": " " * 100}, 0),
        ({"role": "assistant", "content": "x" * 100}, 0),
        ({"role": "user", "content": None}, 0),
    ],
)
def test_only_what_every_template_writes_counts_as_the_least(
    message: dict[str, Any], least: int
) -> None:
    assert least_tokens({"messages": [message]}, 10) == least
    assert least_tokens({"messages": [message]}, 0) == 0


async def test_a_large_prompt_that_nobody_counts_in_time_is_refused() -> None:
    script = {"faults": [{"kind": "hang", "path": COUNT_PATH}]}
    async with swarm_of(Shape(ctx=CTX, script=script), chat={"length_s": 0.1}) as swarm:
        status, body = await swarm.chat("word " * CTX * 2)
        assert await asked(swarm) == 0
    assert status == 400
    assert "too many to be counted" in body["error"]["message"]
    assert "n_prompt_tokens" not in body["error"]  # nobody knows


async def test_a_count_keeps_its_place_until_the_worker_has_ended_it() -> None:
    script = {"faults": [{"kind": "hold", "path": COUNT_PATH}]}
    async with swarm_of(Shape(ctx=CTX, script=script), chat={"length_s": 0.1}) as swarm:
        for _ in range(ASKED_AT_ONCE + 2):
            assert (await swarm.chat("hello"))[0] == 200
        assert (await swarm.fake())["counts"][COUNT_PATH] == ASKED_AT_ONCE
        await swarm.script({})
        await swarm.release()
        await swarm.fake_until(lambda state: state["busy"] == 0)
        status, body = await swarm.chat("word " * CTX)
        assert status == 400
        assert body["error"]["n_prompt_tokens"] > CTX


async def test_counts_of_all_apis_share_the_places() -> None:
    script = {"faults": [{"kind": "hold", "path": COUNT_PATH}]}
    async with swarm_of(Shape(ctx=CTX, script=script), chat={"length_s": 0.1}) as swarm:
        counts = [
            asyncio.ensure_future(post(swarm, "/v1/messages/count_tokens", message("hello")))
            for _ in range(ASKED_AT_ONCE)
        ]
        await swarm.fake_until(lambda state: state["counts"].get(COUNT_PATH) == ASKED_AT_ONCE)
        assert (await swarm.chat("hello"))[0] == 200
        assert (await swarm.fake())["counts"][COUNT_PATH] == ASKED_AT_ONCE
        await swarm.release()
        assert [status for status, _ in await asyncio.gather(*counts)] == [200] * ASKED_AT_ONCE


async def test_an_engine_that_cannot_count_says_itself_what_is_too_long() -> None:
    async with swarm_of(Shape(ctx=CTX, capabilities=Capabilities(tokens=False))) as swarm:
        assert (await swarm.chat("hello"))[0] == 200
        status, body = await swarm.chat("word " * CTX)
        state = await swarm.fake()
    assert (status, body["error"]["type"]) == (400, "exceed_context_size_error")
    assert not {COUNT_PATH, TEMPLATE_PATH, TOKENIZE_PATH} & state["counts"].keys()
    assert len(state["requests"]) == 2


@asynccontextmanager
async def length_of(shape: Shape) -> AsyncIterator[Length]:
    async with fleet_of(shape) as fleet:
        ledger = Ledger()
        ledger.sync(fleet.endpoints(), fleet.expected())
        yield Length("fake", fleet, Counting(fleet, ledger, Upstream()))


@pytest.mark.parametrize(
    ("prompt", "most"),
    [
        ("word " * 10, 52),
        ([1, 2, 3], 3),
        (["word " * 3, "word " * 10, [1]], 52),
        ([1, "word ", 2], 9),
        (None, None),
        ([{"prompt_string": "x", "multimodal_data": []}], None),
    ],
)
async def test_a_plain_prompt_is_bounded_by_its_bytes(prompt: object, most: int | None) -> None:
    async with length_of(Shape(ctx=CTX)) as length:
        assert await length.check_prompt(prompt, within_s=5) == most


@pytest.mark.parametrize("prompt", ["word " * CTX, ["x", "word " * CTX], [7] * CTX])
async def test_a_plain_prompt_that_is_too_long_is_refused(prompt: object) -> None:
    async with length_of(Shape(ctx=CTX)) as length:
        with pytest.raises(ContextExceeded) as caught:
            await length.check_prompt(prompt, within_s=5)
    assert caught.value.extra["n_prompt_tokens"] >= CTX
    assert caught.value.param == "prompt"


async def test_where_slots_share_a_pool_every_prompt_is_counted() -> None:
    body = message("word " * 10)
    async with length_of(Shape(ctx=8192)) as split, length_of(Shape(ctx=8192, pool=9000)) as pooled:
        bound = await split.check_chat(body, "a", within_s=5)
        counted = await pooled.check_chat(body, "a", within_s=5)
        assert await pooled.check_prompt("word " * 10, within_s=5) == 11
    assert bound is not None
    assert counted is not None
    assert bound > TEMPLATE_TOKENS > counted > 10
