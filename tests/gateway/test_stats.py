"""What `status` counts of each worker."""

from __future__ import annotations

from typing import Any

import pytest

from local_swarm.gateway.stats import Stats, tokens_told
from local_swarm.wire.answer import Answer
from tests.gateway.posting import post
from tests.swarms import Shape, swarm_of


@pytest.mark.parametrize("stream", [False, True])
async def test_passed_requests_and_their_tokens_count(stream: bool) -> None:
    body: dict[str, Any] = {"prompt": "x", "n_predict": 5, "stream": stream}
    async with swarm_of(Shape()) as swarm:
        url = f"{swarm.gateway.url}/completion"
        async with swarm.client.post(url, json=body) as response:
            assert response.status == 200
            await response.read()
        _, status = await swarm.get("/v1/swarm/status")
    (worker,) = status["workers"]
    assert worker["requests"] == 1
    assert worker["tokens_per_s"] > 0


async def test_what_has_no_tokens_counts_as_a_request_only() -> None:
    async with swarm_of(Shape(script={"embeddings": True})) as swarm:
        await post(swarm, "/v1/embeddings", {"input": "x"})
        _, status = await swarm.get("/v1/swarm/status")
    (worker,) = status["workers"]
    assert (worker["requests"], worker["tokens_per_s"]) == (1, None)


def test_copies_of_a_prompt_are_no_cached_prompt() -> None:
    stats = Stats()
    usages = [
        {"prompt_tokens": 120, "prompt_tokens_details": {"cached_tokens": cached}}
        for cached in (100, 120, 120)
    ]
    stats.finished("w0", [Answer(usage=usage) for usage in usages])
    assert (stats.of("w0").prompt_tokens, stats.of("w0").cached_tokens) == (120, 100)


def test_tokens_are_read_where_an_answer_ends_and_nowhere_else() -> None:
    assert tokens_told(b'data: {"stop":false,"tokens_predicted":3}\n\n') == 0
    assert tokens_told(b'data: {"stop":true,"tokens_predicted":4}\n\n') == 4
    assert tokens_told(b'[{"stop":true,"tokens_predicted":4},{"tokens_predicted":5}]') == 9
    assert tokens_told(rb'{"content":"\"stop\":true,\"tokens_predicted\":7"}') == 0
