"""What once made the gateway fail (500), found by the fuzz: the client's mistake, or harmless."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest

from local_swarm.gateway.bounds import least_tokens
from tests.gateway.posting import post
from tests.gateway.raw import connected
from tests.swarms import Shape, message, swarm_of

USER = [{"role": "user", "content": "x"}]
NO_HASH: tuple[Any, ...] = ([None], {"a": None})


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/chat/completions", message("x", temperature=10**400))]
    + [
        (path, body)
        for odd in NO_HASH
        for path, body in (
            (
                "/v1/chat/completions",
                {"messages": [{"role": "user", "content": [{"type": odd, "text": "x"}]}]},
            ),
            ("/v1/chat/completions", {"messages": [{"role": odd, "content": "x"}]}),
            ("/v1/messages", {"messages": USER, "tool_choice": {"type": odd}}),
            ("/v1/messages", {"messages": [{"role": "assistant", "content": [{"type": odd}]}]}),
            ("/v1/responses", {"input": [{"type": odd, "role": "user", "content": "x"}]}),
            ("/v1/responses", {"input": [{"role": "user", "content": [{"type": odd}]}]}),
            (
                "/v1/responses",
                {"input": "x", "tool_choice": {"type": "allowed_tools", "tools": [{"name": odd}]}},
            ),
        )
    ],
)
async def test_no_value_makes_the_gateway_fail(path: str, body: Any) -> None:
    async with swarm_of(Shape()) as swarm:
        status, answer = await post(swarm, path, body)
    assert status in (200, 400), answer


def test_a_role_of_any_type_can_be_measured() -> None:
    for odd in NO_HASH:
        assert least_tokens({"messages": [{"role": odd, "content": "x" * 100}]}, 4) == 0


async def test_a_client_that_resets_while_it_sends_is_not_a_failure_of_ours() -> None:
    async with swarm_of(Shape()) as swarm:
        async with connected(swarm.gateway.url) as (_, writer):
            writer.write(
                b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
            )
            await writer.drain()
            await swarm.get("/health")  # by now the gateway waits for the rest
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        async with swarm.client.get(f"{swarm.gateway.url}/metrics") as response:
            counted = await response.text()
    assert 'status="500"' not in counted
