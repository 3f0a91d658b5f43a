"""Models made for vectors: what they answer, and what is refused before it takes a slot."""

from __future__ import annotations

import pytest

from tests.gateway.posting import post
from tests.swarms import Shape, swarm_of

VECTORS = Shape(script={"embeddings": True})
MESSAGES = [{"role": "user", "content": "hi"}]
ANSWERS = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "x"},
    "/v1/responses": {"input": "x"},
    "/completion": {"prompt": "x"},
    "/infill": {"input_prefix": "x", "input_suffix": "y"},
}
EMBEDDING, RANKING = "/v1/embeddings", "/v1/rerank"


@pytest.mark.parametrize(
    ("purpose", "offered", "told"),
    [("embedding", EMBEDDING, "POST /v1/embeddings"), ("rerank", RANKING, "POST /rerank")],
)
async def test_it_does_what_it_is_for_and_says_so_otherwise(
    purpose: str, offered: str, told: str
) -> None:
    async with swarm_of(VECTORS, served={"purpose": purpose}) as swarm:
        assert (await post(swarm, offered, {"input": "a", "query": "b"}))[0] == 200
        (other,) = {EMBEDDING, RANKING} - {offered}
        for path, body in {**ANSWERS, other: {"input": "a"}}.items():
            status, answer = await post(swarm, path, body)
            assert status == 400, (path, answer)
            assert told in answer["error"]["message"]
            assert answer["error"]["param"] == "model"
        counts = (await swarm.fake())["counts"]
    assert counts.keys().isdisjoint({*ANSWERS, "/rerank" if offered == EMBEDDING else EMBEDDING})


async def test_anthropic_s_clients_are_told_in_their_own_shape() -> None:
    body = {"model": "m", "max_tokens": 5, "messages": MESSAGES}
    async with swarm_of(VECTORS, served={"purpose": "embedding"}) as swarm:
        status, answer = await post(swarm, "/v1/messages", body)
    assert (status, answer["type"]) == (400, "error")
    assert "/v1/embeddings" in answer["error"]["message"]


async def test_a_text_that_is_too_long_for_a_batch_is_the_clients_mistake() -> None:
    message = "input (701 tokens) is too large to process. increase the physical batch size"
    refused = {"kind": "status", "status": 500, "message": message, "path": EMBEDDING}
    shape = Shape(script={"embeddings": True, "faults": [refused]})
    async with swarm_of(shape) as swarm:
        status, answer = await post(swarm, EMBEDDING, {"input": "long"})
        counts = (await swarm.fake())["counts"]
    assert (status, answer["error"]["param"]) == (400, "input")
    assert message in answer["error"]["message"]
    assert counts[EMBEDDING] == 1  # another try would end the same
