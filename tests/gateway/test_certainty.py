"""Log-probabilities that voters tell the vote, and not the client."""

from __future__ import annotations

import math
from typing import Any

import pytest

from local_swarm.domain.launch import Capabilities
from local_swarm.gateway.fanout import FanoutSettings
from local_swarm.wire.answer import Assembly
from local_swarm.wire.certainty import LEAST, WINDOW, logprobs_in, mean_and_lowest
from tests.swarms import Shape, Swarm, swarm_of

TELLING = FanoutSettings(logprobs=True)
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}]}
TOOLS = [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}]


async def bodies(swarm: Swarm) -> list[dict[str, Any]]:
    return [request["body"] for request in (await swarm.fake())["requests"]]


@pytest.mark.parametrize("stream", [False, True])
async def test_voters_are_asked_for_them_and_the_client_sees_none(stream: bool) -> None:
    async with swarm_of(Shape(script={"answers": ["yes it is"]}), fanout=TELLING) as swarm:
        if stream:
            events = await swarm.stream("x")
            choices = [choice for event in events for choice in event["choices"]]
        else:
            _, body = await swarm.chat("x")
            choices = body["choices"]
        (asked,) = await bodies(swarm)
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 1)
    assert not any("logprobs" in choice for choice in choices)


async def test_a_client_that_asks_for_them_gets_them() -> None:
    async with swarm_of(Shape(script={"answers": ["yes it is"]}), fanout=TELLING) as swarm:
        _, body = await swarm.chat("x", logprobs=True, top_logprobs=2)
        (asked,) = await bodies(swarm)
    assert asked["top_logprobs"] == 2
    assert "post_sampling_probs" not in asked  # the form that it knows
    assert len(body["choices"][0]["logprobs"]["content"]) == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body", "asks"),
    [
        ("/v1/chat/completions", {**CHAT, "n": 2}, True),
        ("/v1/chat/completions", {**CHAT, "logprobs": False}, True),
        ("/v1/messages", {**CHAT, "max_tokens": 8}, True),
        ("/v1/responses", {"input": "x"}, True),
        ("/v1/completions", {"prompt": "x"}, False),
    ],
)
async def test_no_client_of_any_api_sees_what_it_did_not_ask_for(
    path: str, body: dict[str, Any], asks: bool, stream: bool
) -> None:
    async with swarm_of(Shape(script={"answers": ["yes it is"]}), fanout=TELLING) as swarm:
        url = swarm.gateway.url + path
        async with swarm.client.post(url, json={"model": "fake", "stream": stream, **body}) as sent:
            assert sent.status == 200
            told = await sent.text()
        asked = await bodies(swarm)
    assert "yes" in told
    assert [one.get("logprobs") for one in asked] == [True if asks else None]
    for word in ('"token"', '"prob"', '"logprob"', '"bytes"'):
        assert word not in told


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ({"tools": TOOLS}, Shape()),
        ({"model": "fake:solo"}, Shape()),
        ({"temperature": 0}, Shape()),
        ({}, Shape(capabilities=Capabilities(logprobs=False))),
    ],
)
async def test_they_are_not_asked_for_where_they_help_nobody_or_are_refused(
    body: dict[str, Any], shape: Shape
) -> None:
    async with swarm_of(shape, fanout=TELLING) as swarm:
        await swarm.chat("x", **body)
        assert not any("logprobs" in asked for asked in await bodies(swarm))


def test_a_candidate_has_their_mean_and_that_of_its_least_certain_passage() -> None:
    assembly = Assembly("w0", 1, model="m", hides_logprobs=True)
    told = [-0.1] * 40 + [-2.0] * WINDOW + [-0.1] * 40
    for value in told:
        token = {"content": [{"token": "x", "logprob": value}]}
        assembly.take({"choices": [{"index": 0, "delta": {}, "logprobs": token}]}, 0.1)
    candidate = assembly.answers[0].candidate()
    assert assembly.answers[0].logprobs == {}
    assert candidate.model == "m"
    assert candidate.mean_logprob == pytest.approx(sum(told) / len(told))
    assert candidate.lowest_logprob == pytest.approx(-2.0)


def test_without_any_nothing_is_known() -> None:
    assert mean_and_lowest([]) is None
    assert Assembly("w0", 1).answers[0].candidate().mean_logprob is None


def test_what_is_impossible_is_bounded_and_what_is_no_number_left_out() -> None:
    told = {"content": [{"logprob": -1e30}, {"logprob": None}, {}, 3, {"logprob": 0.5}]}
    assert list(logprobs_in(told)) == [LEAST]
    chances = {"content": [{"prob": 1.0}, {"prob": 0.5}, {"prob": 0}, {"prob": "x"}, {"prob": 2}]}
    assert list(logprobs_in(chances)) == pytest.approx([0.0, math.log(0.5), LEAST])
    assert list(logprobs_in({"content": "x"})) == []
