"""Requests to workers that answer oddly, or stop in the middle."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from local_swarm.domain.endpoint import Endpoint
from local_swarm.gateway.upstream import Lost, Refused, TooLate, Upstream
from tests.gateway.raw_worker import STREAM, Answer, chunk, worker

PATIENCE_S = 10.0
LATE_S = 0.1
LARGE_BYTES = 32 * 1024 * 1024  # more than the system buffers of a connection


def bytes_of(*parts: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return answer


async def nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def begun(writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM + chunk(b"data: {}\n\n"))
    await asyncio.Event().wait()


def endpoint(url: str) -> Endpoint:
    return Endpoint("w0", url, "key", slots=1, lanes=0, ctx=1, generation=1)


async def read(answer: Answer, within_s: float = PATIENCE_S) -> list[bytes]:
    async with worker(answer) as url:
        stream = Upstream().stream(endpoint(url), "/x", {"a": 1}, within_s=within_s)
        async with stream as events:
            return [data async for data in events]


@pytest.mark.parametrize(
    "said",
    [
        STREAM + chunk(b"data: 1\n\ndata: [DONE]\n\n") + b"0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndata: 1\n\n",
        b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n",  # until the connection is closed
    ],
)
async def test_an_answer_is_read_however_it_is_framed(said: bytes) -> None:
    assert await read(bytes_of(said)) == [b"1"]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
        STREAM + b"5\r\ndata:",
        STREAM + chunk(b"data: 1\n\n"),
        STREAM + b"zz\r\n",
    ],
)
async def test_what_breaks_off_or_is_no_answer_is_a_lost_worker(said: bytes) -> None:
    with pytest.raises(Lost):
        await read(bytes_of(said))


@pytest.mark.parametrize("answer", [nothing, begun])
async def test_the_time_is_for_all_of_the_answer(answer: Answer) -> None:
    with pytest.raises(TooLate):
        await read(answer, within_s=LATE_S)


async def test_time_that_is_up_before_there_is_a_connection_ends_the_request() -> None:
    with pytest.raises(TooLate):
        await asyncio.wait_for(read(nothing, within_s=0.0), PATIENCE_S)


async def test_the_rest_of_a_request_that_nobody_waits_for_is_not_sent() -> None:
    body, given_up = {"a": "x" * LARGE_BYTES}, asyncio.Event()
    read_bytes: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await given_up.wait()
        count = 0
        try:
            while piece := await reader.read(LARGE_BYTES):
                count += len(piece)
        except ConnectionError:
            pass
        writer.close()
        read_bytes.set_result(count)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        with pytest.raises(TooLate):
            await Upstream().post(endpoint(url), "/x", body, within_s=LATE_S)
        given_up.set()
        assert await asyncio.wait_for(read_bytes, PATIENCE_S) < LARGE_BYTES


async def test_nobody_there_is_a_lost_worker() -> None:
    async with worker(nothing) as url:
        pass
    with pytest.raises(Lost):
        await Upstream().post(endpoint(url), "/x", {}, within_s=PATIENCE_S)


async def test_a_refusal_in_pieces_is_read_whole() -> None:
    body = b'{"error": {"message": "too long", "n_ctx": 5}}'
    head = b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = bytes_of(head, *(chunk(body[i : i + 1]) for i in range(len(body))), b"0\r\n\r\n")
    with pytest.raises(Refused) as refused:
        await read(said)
    assert (refused.value.status, refused.value.error["n_ctx"]) == (400, 5)


async def test_a_key_cannot_smuggle_in_a_header() -> None:
    async with worker(nothing) as url:
        there = replace(endpoint(url), api_key="a\r\nX: y")
        with pytest.raises(ValueError, match="line end"):
            await Upstream().post(there, "/x", {}, within_s=PATIENCE_S)


async def test_leaving_closes_the_connection_at_once() -> None:
    gone = asyncio.Event()

    async def until_gone(writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + chunk(b"data: {}\n\n"))
        await writer.drain()
        while not writer.transport.is_closing():
            writer.write(chunk(b": ping\n\n"))
            await asyncio.sleep(0)
        gone.set()

    async with worker(until_gone) as url:
        async with Upstream().stream(endpoint(url), "/x", {}, within_s=PATIENCE_S) as events:
            async for _ in events:
                break
        await asyncio.wait_for(gone.wait(), PATIENCE_S)
