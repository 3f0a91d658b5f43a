"""What a streaming client gets when: first words, slow readers, comments."""

from __future__ import annotations

import asyncio
import json
import socket
from urllib.parse import urlsplit

from local_swarm.gateway.stream import Pace
from tests.gateway.raw_worker import DONE, FINISH, ROLE, chunk, event, gateway_to, saying, worker
from tests.swarms import PATIENCE_S, Shape, Swarm, swarm_of

TOKEN_BYTES = 64 * 1024
TOKENS = 1000
KERNEL_BYTES = 24 * 1024 * 1024  # at most what the system's buffers of two connections take
SAME_TIMES = 50  # so often asked without change, a number stands still


async def test_the_first_token_does_not_wait_for_the_second() -> None:
    go_on = asyncio.Event()
    said = saying(ROLE + event({"content": "one"}), go_on, event({"content": "two"}), FINISH, DONE)
    async with worker(said) as url, gateway_to(url) as client, client.post() as response:
        seen = b""
        while b'"one"' not in seen:
            seen += await asyncio.wait_for(response.content.readany(), PATIENCE_S)
        go_on.set()
        rest = await response.text()
    assert '"two"' in rest
    assert '"role"' in seen.decode()


async def test_a_worker_lost_after_the_role_alone_is_not_noticed() -> None:
    lost = saying(ROLE, end=chunk(b"data: {"))
    whole = saying(ROLE, event({"content": "one"}), FINISH, DONE)
    async with worker(lost, whole) as url, gateway_to(url) as client:
        events = await client.stream()
    deltas = [e["choices"][0]["delta"] for e in events[:-1]]
    assert deltas == [{"role": "assistant", "content": None}, {"content": "one"}, {}]
    assert events[-1] == "[DONE]"


async def test_an_answer_of_nothing_is_a_whole_answer() -> None:
    async with worker(saying(ROLE, FINISH, DONE)) as url, gateway_to(url) as client:
        events = await client.stream()
    assert [e["choices"][0]["finish_reason"] for e in events[:-1]] == [None, "stop"]


async def test_comments_come_between_words_too() -> None:
    go_on = asyncio.Event()
    said = saying(ROLE + event({"content": "one"}), go_on, FINISH, DONE)
    pace = Pace(first_byte_s=5.0, keepalive_s=0.02)
    async with worker(said) as url, gateway_to(url, pace) as client, client.post() as response:
        seen = b""
        while seen.count(b": ping\n\n") < 2:
            seen += await asyncio.wait_for(response.content.readany(), PATIENCE_S)
        go_on.set()
        seen += await response.read()
    assert seen.index(b'"one"') < seen.index(b": ping")
    assert seen.endswith(DONE)


async def test_a_client_that_reads_nothing_holds_up_its_worker_and_fills_no_memory() -> None:
    shape = Shape(ctx=2 * TOKENS, script={"answers": ["w" * TOKEN_BYTES]})
    async with swarm_of(shape) as swarm:
        with await asker_that_never_reads(swarm):
            written = await tokens_when_still(swarm)
            _, status = await swarm.get("/v1/swarm/status")
            assert status["queue"]["in_flight"] == 1
        await swarm.fake_until(lambda state: state["busy"] == 0)
    assert 0 < written * TOKEN_BYTES < KERNEL_BYTES


async def test_a_client_that_takes_nothing_for_long_is_cut_off_and_frees_its_slot() -> None:
    shape = Shape(ctx=2 * TOKENS, script={"answers": ["w" * TOKEN_BYTES]})
    pace = Pace(first_byte_s=5.0, keepalive_s=0.02, stalled_s=0.1)
    async with swarm_of(shape, chat={"pace": pace}) as swarm:
        with await asker_that_never_reads(swarm):
            await swarm.fake_until(lambda state: state["requests"] and state["busy"] == 0)
            _, status = await swarm.get("/v1/swarm/status")
    assert status["queue"]["in_flight"] == 0
    assert status["workers"][0]["slots_busy"] == 0


async def asker_that_never_reads(swarm: Swarm) -> socket.socket:
    """A socket that has asked for a stream much longer than the system's buffers."""
    body = json.dumps({
        "model": "fake:solo",
        "messages": [{"role": "user", "content": "x"}],
        "stream": True,
        "ignore_eos": True,
        "max_tokens": TOKENS,
    }).encode()  # fmt: skip
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", urlsplit(swarm.gateway.url).port))
    await loop.sock_sendall(client, head.encode() + b"\r\n\r\n" + body)
    return client


async def tokens_when_still(swarm: Swarm) -> int:
    """How many tokens the worker could write until it was held up, or had written all."""
    counts: list[int] = []

    def still(state: dict[str, object]) -> bool:
        requests = state["requests"]
        assert isinstance(requests, list)
        counts.append(requests[0]["tokens"] if requests else 0)
        last = counts[-SAME_TIMES:]
        return counts[-1] > 0 and last == [counts[-1]] * SAME_TIMES

    await swarm.fake_until(still)
    return counts[-1]
