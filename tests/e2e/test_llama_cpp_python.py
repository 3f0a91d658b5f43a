"""A swarm of workers with one slot each, with the engine llama-cpp-python."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from local_swarm.engines import ENGINES
from tests.e2e.conftest import Up

pytestmark = pytest.mark.engine
ENGINE = "llama-cpp-python"
PATIENCE_S = 30.0
CHAT = "/v1/chat/completions"
ASK = {"messages": [{"role": "user", "content": "Write a function that adds two numbers."}]}
LONG = {**ASK, "ignore_eos": True, "max_tokens": 400}


@dataclass
class Swarm:
    """A running swarm, and a session with it."""

    up: Up
    session: aiohttp.ClientSession

    async def chat(self, body: dict[str, Any]) -> tuple[int, Any]:
        return await self.post(CHAT, body)

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        async with self.session.post(self.up.url + path, json=body) as response:
            return response.status, await response.json()

    async def workers(self) -> list[dict[str, Any]]:
        async with self.session.get(self.up.url + "/v1/swarm/status") as response:
            rows: list[dict[str, Any]] = (await response.json())["workers"]
            return rows

    async def until(self, check: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The workers' rows once `check` holds for them."""
        end = time.monotonic() + PATIENCE_S
        while not check(rows := await self.workers()):
            assert time.monotonic() < end, rows
            await asyncio.sleep(0.01)
        return rows


def busy(rows: list[dict[str, Any]]) -> int:
    return sum(row["slots_busy"] for row in rows)


@pytest.fixture
async def swarm(up: Callable[..., Up]) -> AsyncIterator[Swarm]:
    if why := ENGINES[ENGINE]("").available().reason:
        pytest.skip(why)
    running = up("--engine", ENGINE, "--voters", "3")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Swarm(running, session)


async def test_every_voter_is_a_worker_and_all_is_as_planned(swarm: Swarm) -> None:
    assert swarm.up.ready_line.endswith("workers=3 slots=3")
    rows = await swarm.workers()
    assert [row["drift"] for row in rows] == [[]] * 3
    status, answer = await swarm.chat({**ASK, "max_tokens": 60})
    assert status == 200
    assert answer["swarm"]["answered"] == 3
    assert answer["usage"]["completion_tokens"] > 0


async def test_a_vote_on_a_plain_prompt_is_of_answers_that_differ(swarm: Swarm) -> None:
    body = {"prompt": "def ", "max_tokens": 60, "ignore_eos": True, "stop": None}
    body["swarm"] = {"include_candidates": True}
    status, answer = await swarm.post("/v1/completions", body)
    assert status == 200, answer
    assert len({c["text"] for c in answer["swarm"]["candidates"]}) > 1
    assert answer["usage"]["completion_tokens"] == 60
    assert answer["swarm"]["completion_tokens"] == 180


async def test_a_worker_killed_under_a_vote_comes_back_and_the_vote_is_answered(
    swarm: Swarm,
) -> None:
    vote = asyncio.create_task(swarm.chat(LONG))
    await swarm.until(lambda rows: busy(rows) == 3)
    swarm.up.workers()[0].kill()
    status, answer = await vote
    assert status == 200, answer
    assert answer["swarm"]["answered"] >= 2
    rows = await swarm.until(lambda rows: all(row["state"] == "ready" for row in rows))
    assert sum(row["restarts"] for row in rows) == 1


async def test_a_client_that_leaves_a_stream_frees_its_slot(swarm: Swarm) -> None:
    body = {**LONG, "model": "swarm:solo", "max_tokens": 12000, "stream": True}
    async with swarm.session.post(swarm.up.url + CHAT, json=body) as response:
        assert response.status == 200
        await response.content.readline()
        assert busy(await swarm.workers()) == 1
    await swarm.until(lambda rows: not busy(rows))
    status, answer = await swarm.chat({**ASK, "max_tokens": 4})
    told = answer["swarm"]
    assert (status, told["voters"], told["abstained"]) == (200, 3, 0), told


async def test_n_choices_are_n_workers(swarm: Swarm) -> None:
    status, answer = await swarm.chat({**ASK, "n": 3, "max_tokens": 4})
    assert status == 200
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    status, answer = await swarm.chat({**ASK, "n": 4, "max_tokens": 4})
    assert status == 400


@pytest.mark.parametrize("stream", [False, True])
async def test_too_long_a_prompt_is_a_400_with_its_figures(swarm: Swarm, stream: bool) -> None:
    messages = [{"role": "user", "content": "many words " * 9000}]
    status, answer = await swarm.chat({"messages": messages, "stream": stream})
    assert status == 400
    assert answer["error"]["type"] == "exceed_context_size_error"
    assert answer["error"]["n_prompt_tokens"] > answer["error"]["n_ctx"] == 16384


async def test_what_it_has_not_is_refused_and_not_left_out(swarm: Swarm) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    for more in ({"tools": [tool]}, {"logprobs": True, "top_logprobs": 1}, {"grammar": "no ::="}):
        status, answer = await swarm.chat({**ASK, **more})
        assert status == 400, answer
    async with swarm.session.post(f"{swarm.up.url}/tokenize", json={"content": "x"}) as response:
        assert response.status == 501
