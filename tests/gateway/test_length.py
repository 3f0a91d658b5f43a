"""A prompt that is too long is refused before a voter hears of it."""

from __future__ import annotations

from typing import Any

import pytest

from local_swarm.gateway.length import (
    COUNT_PATH,
    TEMPLATE_PATH,
    TEMPLATE_TOKENS,
    TOKENIZE_PATH,
    Counts,
    most_tokens,
)
from tests.swarms import Shape, Swarm, message, swarm_of

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
