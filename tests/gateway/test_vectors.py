"""Embeddings for votes: what a server may answer instead of vectors, and clients that leave."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from local_swarm.gateway.deciding import VoteSettings
from local_swarm.gateway.upstream import Upstream
from local_swarm.gateway.vectors import MAX_REPLY_BYTES, ServerEmbedder, vectors_of
from tests.gateway.raw_worker import STREAM, Answer, chunk, worker
from tests.swarms import PATIENCE_S, Shape, swarm_of

TEXTS = ("a", "b")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def answering(body: object) -> Answer:
    """A 200 with this body, as JSON where it is no bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD % len(raw) + raw)

    return answer


def rows(*vectors: Any, **fields: Any) -> dict[str, Any]:
    data = [{"index": i, "embedding": v, **fields} for i, v in enumerate(vectors)]
    return {"data": data}


async def vectors(answer: Answer, within_s: float = PATIENCE_S) -> Any:
    async with worker(answer) as url:
        return await vectors_of(ServerEmbedder(Upstream(), url, "e"), TEXTS, within_s)


async def test_vectors_come_in_any_order_and_of_any_numbers() -> None:
    said = {"data": rows([0, 1], [1.5, 0])["data"][::-1]}
    assert await vectors(answering(said)) == ((0.0, 1.0), (1.5, 0.0))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b'{"data": "\xff"}',
        b"[" * 100_000,
        b'{"data": [{"index": 0, "embedding": [NaN]}, {"index": 1, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": [1e999]}, {"index": 1, "embedding": [1]}]}',
        b'{"data": [{"embedding": [1%s]}, {"embedding": [1]}]}' % (b"0" * 400),
        [],
        {},
        {"data": None},
        {"data": [None, 3]},
        rows([1.0]),
        rows([1.0], [1.0], [1.0]),
        rows([1.0], [1.0, 2.0]),
        rows([], []),
        rows([1e308, 1e308], [1.0, 1.0]),
        rows(["1"], ["2"]),
        rows({"0": 1}, {"0": 1}),
        rows([1.0], [1.0], index=[0]),
        rows([1.0], [1.0], index=0),
        rows([1.0], [1.0], index="0"),
    ],
)
async def test_what_is_no_vector_for_every_text_is_none(body: object) -> None:
    assert await vectors(answering(body)) is None


@pytest.mark.parametrize(
    "status", [b"302 Found\r\nLocation: /embeddings", b"200", b"999 Odd", b"x"]
)
async def test_a_server_that_sends_elsewhere_or_nonsense_gives_none(status: bytes) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")

    assert await vectors(answer) is None


async def test_an_answer_without_end_is_read_no_further_than_vectors_are_long() -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(STREAM)
        while True:
            writer.write(chunk(b" " * 65536))
            sent += 65536
            await writer.drain()

    assert await asyncio.wait_for(vectors(endless), PATIENCE_S) is None
    assert sent < 4 * MAX_REPLY_BYTES


async def test_a_server_that_is_silent_is_not_waited_for_longer_than_there_is_time() -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    assert await asyncio.wait_for(vectors(silent, within_s=0.05), PATIENCE_S) is None


async def test_a_client_that_leaves_meanwhile_ends_the_asking() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()  # to the end: nobody is there any more
        left.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    votes = VoteSettings(embeddings_url=url, embeddings_model="e")
    answers = Shape(script={"answers": ["yes", "no", "never"]})
    async with server, swarm_of(answers, votes=votes) as swarm:
        chat = asyncio.ensure_future(swarm.chat("x", swarm={"strategy": "similarity"}))
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        chat.cancel()
        await asyncio.gather(chat, return_exceptions=True)
        await asyncio.wait_for(left.wait(), PATIENCE_S)
        assert await swarm.gateway.activity.drain(PATIENCE_S)
