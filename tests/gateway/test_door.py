"""Who is let in, how long a connection may keep the gateway waiting, and what is not HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from local_swarm.gateway.bodies import BodyLimits
from local_swarm.gateway.connections import ConnectionLimits
from local_swarm.gateway.door import host_name, origin_name
from local_swarm.wire.limits import Limits
from tests.gateway.posting import post
from tests.gateway.raw import answer_to, connected, said
from tests.swarms import Shape, message, swarm_of

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8000", "localhost"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::1]:8000", "::1"),
        ("", None),
        ("[::1", None),
        ("::1", None),
        ("[::1]x", None),
        ("localhost:", None),
        ("localhost:port", None),
        ("localhost:1:2", None),
        ("user@localhost", None),
        ("localhost/evil.example", None),
        ("local host", None),
    ],
)
def test_a_host_is_a_name_and_maybe_a_port(value: str, name: str | None) -> None:
    assert host_name(value) == name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("http://localhost:3000", "localhost"),
        ("https://[::1]:3", "::1"),
        ("tauri://localhost", "localhost"),
        ("null", None),
        ("localhost", None),
        ("", None),
        ("http://localhost/path", None),
        ("http://localhost@evil.example", None),
    ],
)
def test_an_origin_has_a_scheme(value: str, name: str | None) -> None:
    assert origin_name(value) == name


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n", 200),
        (b"GET /health HTTP/1.0\r\n", 200),
        (b"GET /health HTTP/1.1\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost:\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: [::1\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin:\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: 1\r\n" * 200, 400),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 20_000 + b"\r\n", 400),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n", 400),
        (b"nonsense\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n", 400),
    ],
)
async def test_a_request_has_one_sane_host_and_a_bounded_head(head: bytes, status: int) -> None:
    async with swarm_of(Shape()) as swarm:
        answer = await answer_to(swarm.gateway.url, head + b"Connection: close\r\n\r\n")
    first, _, rest = answer.partition(b"\r\n")
    assert first.split()[1] == str(status).encode()
    assert b"X-Request-Id: " in rest
    if status == 400:
        assert json.loads(rest.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_request"
        assert b"X-Swarm-Error-Source: client" in rest


@pytest.mark.parametrize("part", [b"", b"POST /v1/ch", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-S"])
async def test_a_head_that_does_not_come_ends_the_connection(part: bytes) -> None:
    limits = ConnectionLimits(idle_s=0.2)
    async with (
        swarm_of(Shape(), connections=limits) as swarm,
        connected(swarm.gateway.url) as (reader, writer),
    ):
        writer.write(part)
        assert await said(reader) == b""


async def test_a_head_that_drips_ends_the_connection_all_the_same() -> None:
    async with (
        swarm_of(Shape(), connections=ConnectionLimits(idle_s=0.2)) as swarm,
        connected(swarm.gateway.url) as (reader, writer),
    ):
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        closed = asyncio.ensure_future(said(reader))
        while not closed.done():
            writer.write(b"x")
            await asyncio.wait({closed}, timeout=0.05)
        assert await closed == b""


async def test_a_connection_is_closed_when_no_further_request_comes() -> None:
    async with (
        swarm_of(Shape(), connections=ConnectionLimits(idle_s=0.2)) as swarm,
        connected(swarm.gateway.url) as (reader, writer),
    ):
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea")
        assert (await said(reader)).count(b"HTTP/1.1 200 OK") == 1


async def test_a_request_that_takes_long_is_not_idle() -> None:
    script = {"faults": [{"kind": "hold", "at_token": 1}]}
    async with swarm_of(Shape(script=script), connections=ConnectionLimits(idle_s=0.1)) as swarm:
        answer = asyncio.ensure_future(swarm.chat("x", model="fake:solo"))
        await swarm.fake_until(lambda state: state["busy"] == 1)
        await asyncio.wait({answer}, timeout=0.4)  # longer than a connection may be idle
        await swarm.release()
        assert (await answer)[0] == 200


async def test_a_body_that_does_not_come_is_the_clients_mistake() -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{{"
    async with (
        swarm_of(Shape(), limits=BodyLimits(within_s=0.1)) as swarm,
        connected(swarm.gateway.url) as (reader, writer),
    ):
        writer.write(head.encode())
        status = await asyncio.wait_for(reader.readline(), 10)
    assert status.split()[1] == b"400"


async def test_a_body_is_measured_as_it_unpacks() -> None:
    async with swarm_of(Shape(), max_body_bytes=100_000) as swarm:
        packed = gzip.compress(b" " * 10_000_000)
        headers = {"Content-Encoding": "gzip"}
        assert len(packed) < 20_000
        async with swarm.client.post(swarm.chat_url, data=packed, headers=headers) as response:
            assert response.status == 413


async def test_one_connection_too_many_is_told_so() -> None:
    limits = ConnectionLimits(most=2)
    async with swarm_of(Shape(), connections=limits) as swarm:
        url = swarm.gateway.url
        async with connected(url) as (reader, writer), connected(url):
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.wait_for(reader.readline(), 10)
            async with connected(url) as (third, _):
                answer = await said(third)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: " in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "overloaded"


async def test_the_scheme_of_a_key_may_be_written_in_any_case() -> None:
    async with swarm_of(Shape(), keys=("secret",)) as swarm:
        url = f"{swarm.gateway.url}/v1/models"
        for value, status in (("bearer secret", 200), ("Basic secret", 401), ("secret", 401)):
            headers = {"Authorization": value}
            async with swarm.client.get(url, headers=headers) as response:
                assert response.status == status


@pytest.mark.parametrize("right", ["Authorization", "X-Api-Key"])
async def test_of_two_keys_one_right_one_is_enough(right: str) -> None:
    headers = {"Authorization": "Bearer wrong", "X-Api-Key": "wrong"}
    headers[right] = headers[right].replace("wrong", "secret")
    async with swarm_of(Shape(), keys=("secret",)) as swarm:
        url = f"{swarm.gateway.url}/v1/models"
        async with swarm.client.get(url, headers=headers) as response:
            assert response.status == 200


async def test_what_tells_nothing_needs_no_key_and_the_rest_does() -> None:
    async with swarm_of(Shape(), keys=("secret",)) as swarm:
        for path in ("/health", "/ready", "/openapi.json"):
            assert (await swarm.get(path))[0] == 200
        for path in ("/metrics", "/v1/swarm/status", "/v1/swarm/events", "/slots", "/nothing"):
            assert (await swarm.get(path))[0] == 401


@pytest.mark.parametrize("path", [CHAT, "/completion"])
async def test_a_request_may_not_ask_for_too_much(path: str) -> None:
    limits = BodyLimits(asked=Limits(tokens=100, schema_bytes=1024))
    body = {**message("x"), "prompt": "x"}
    async with swarm_of(Shape(), limits=limits) as swarm:
        for field, value in (("max_tokens", 101), ("n_predict", 10**30), ("grammar", "x" * 2000)):
            status, answer = await post(swarm, path, {**body, field: value})
            assert (status, answer["error"]["param"]) == (400, field)
        assert (await post(swarm, path, {**body, "n_predict": 8, "grammar": "x"}))[0] == 200


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-123.x:y/z=", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("two words", False),
        ("", False),
        ("ümlaut", False),
    ],
)
async def test_a_request_keeps_its_id_where_it_is_sane(given: str, kept: bool) -> None:
    async with swarm_of(Shape()) as swarm:
        for path, body in ((CHAT, message("x")), (CHAT, message("x", stream=True)), ("/no", {})):
            url, headers = swarm.gateway.url + path, {"X-Request-Id": given}
            async with swarm.client.post(url, json=body, headers=headers) as response:
                shown = response.headers.getall("X-Request-Id")
            assert len(shown) == 1
            assert (shown[0] == given) is kept
            assert 1 <= len(shown[0]) <= 128
