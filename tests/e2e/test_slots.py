"""The slots of a real worker: given back by clients that leave, kept for conversations, and shared
between votes and small requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.e2e.conftest import PATIENCE_S, Up

pytestmark = pytest.mark.engine
CHAT, COMPLETION = "/v1/chat/completions", "/completion"
ENDLESS = {"max_tokens": 15_000, "ignore_eos": True}
LEAVERS = {
    "voted stream": (CHAT, {"model": "swarm", "stream": True, **ENDLESS}, 3),
    "voted plain": (CHAT, {"model": "swarm", **ENDLESS}, 3),
    "solo stream": (CHAT, {"model": "swarm:solo", "stream": True, **ENDLESS}, 1),
    "solo plain": (CHAT, {"model": "swarm:solo", **ENDLESS}, 1),
    "completion stream": (COMPLETION, {"prompt": "def", "stream": True, **ENDLESS}, 1),
    "completion plain": (COMPLETION, {"prompt": "def", **ENDLESS}, 1),
}
# As long as an agent's, which is the same for all its conversations.
INSTRUCTIONS = " ".join(f"Rule {n}: word{n % 7} before word{n % 11}." for n in range(60))


@dataclass
class Client:
    """Talks to a swarm; `said` are the conversations so far."""

    swarm: Up
    session: aiohttp.ClientSession
    said: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @asynccontextmanager
    async def asking(self, path: str, body: dict[str, Any]) -> AsyncIterator[None]:
        """A request in flight; leaving closes its connection."""
        if path == CHAT:
            body = {"messages": [{"role": "user", "content": "hi"}], **body}
        sent = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(sent)}\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", int(self.swarm.port))
        try:
            writer.write(head.encode() + sent)
            await writer.drain()
            yield
        finally:
            writer.close()

    async def busy(self) -> int:
        async with self.session.get(f"{self.swarm.url}/slots") as response:
            return sum(slot["is_processing"] for slot in await response.json())

    async def until_busy(self, count: int) -> None:
        """Another process: there is no event to wait for, but each answer takes its time."""

        async def wait() -> None:
            while await self.busy() != count:
                pass

        await asyncio.wait_for(wait(), PATIENCE_S)

    async def chat(self, body: dict[str, Any], session: str = "") -> dict[str, Any]:
        headers = {"X-Session-Affinity": session, "X-Session-Id": session} if session else {}
        url = self.swarm.url + CHAT
        async with self.session.post(url, json=body, headers=headers) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, answer
            return answer

    async def turn(self, name: str, instructions: str, session: str) -> dict[str, Any]:
        """The next turn of a conversation, voted on; its usage."""
        said = self.said.setdefault(name, [{"role": "system", "content": instructions}])
        said.append({"role": "user", "content": f"{name} asks for step {len(said)}."})
        body = {"model": "swarm", "messages": said, "max_tokens": 40, "ignore_eos": True}
        answer = await self.chat(body, session)
        assert answer["swarm"]["voters"] == 3
        said.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})
        usage: dict[str, Any] = answer["usage"]
        return usage

    async def title(self, name: str, session: str) -> None:
        messages = [{"role": "user", "content": f"A title of three words for: {name}."}]
        body = {"model": "swarm:solo", "messages": messages, "max_tokens": 10}
        await self.chat(body, session)


@asynccontextmanager
async def client_of(swarm: Up) -> AsyncIterator[Client]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Client(swarm, session)


async def test_a_client_that_leaves_frees_every_slot_it_had(up: Callable[..., Up]) -> None:
    async with client_of(up()) as client:
        for path, body, slots in LEAVERS.values():
            async with client.asking(path, body):
                await client.until_busy(slots)
            await client.until_busy(0)


@pytest.mark.parametrize("leaver", LEAVERS)
async def test_slots_are_freed_while_another_stream_goes_on(
    up: Callable[..., Up], leaver: str
) -> None:
    path, body, slots = LEAVERS[leaver]
    async with client_of(up()) as client:
        async with client.asking(COMPLETION, LEAVERS["completion stream"][1]):
            await client.until_busy(1)
            async with client.asking(path, body):
                await client.until_busy(1 + slots)
            await client.until_busy(1)
        await client.until_busy(0)


@pytest.mark.parametrize("headers", [True, False], ids=["session headers", "no headers"])
@pytest.mark.parametrize("shared", [True, False], ids=["same instructions", "own instructions"])
async def test_conversations_that_vote_in_turn_find_their_prompts_cached(
    up: Callable[..., Up], headers: bool, shared: bool
) -> None:
    """At least nine tenths of the prompt of the turn before, with titles in between."""
    async with client_of(up("--ctx", "4096")) as client:
        before: dict[str, int] = {}
        for _ in range(4):
            for name in ("alpha", "beta"):
                session = f"ses_{name}" if headers else ""
                mine = INSTRUCTIONS if shared else f"{name}: {INSTRUCTIONS}"
                usage = await client.turn(name, mine, session)
                cached = usage["prompt_tokens_details"]["cached_tokens"]
                assert cached >= 0.9 * before.get(name, 0), (name, usage, before)
                before[name] = usage["prompt_tokens"]
                await client.title(name, session)


async def test_a_vote_starts_within_two_turns_of_the_small_requests_before_it(
    up: Callable[..., Up],
) -> None:
    turns = dict.fromkeys(range(4), 0)
    small = {"model": "swarm:solo", "max_tokens": 150, "ignore_eos": True}
    vote = {"model": "swarm", "max_tokens": 1}

    async def loop(client: Client, number: int) -> None:
        messages = [{"role": "user", "content": f"client {number}"}]
        while True:
            await client.chat({**small, "messages": messages})
            turns[number] += 1

    async with client_of(up()) as client:
        loops = [asyncio.create_task(loop(client, number)) for number in turns]
        try:
            for _ in range(3):
                await client.until_busy(4)
                before = dict(turns)
                messages = [{"role": "user", "content": "vote"}]
                answer = await client.chat({**vote, "messages": messages})
                assert answer["swarm"]["voters"] == 3
                assert all(turns[n] - before[n] <= 2 for n in turns), (before, turns)
        finally:
            for task in loops:
                task.cancel()
            ended = await asyncio.gather(*loops, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended
