"""What the fake adds to llama-server: its script. That it behaves like one is checked by
tests/engines/test_conformance.py."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

FAKE = Path(__file__).with_name("fake_llama_server.py")
CHAT = "/v1/chat/completions"
ASK = {"messages": [{"role": "user", "content": "hello there"}], "stream": True}


class Fake:
    """A started fake and a session to talk to it."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))

    async def script(self, **script: Any) -> None:
        await self.session.post(self.url + "/_fake/script", json=script)

    async def state(self) -> Any:
        async with self.session.get(self.url + "/_fake/state") as response:
            return await response.json()

    async def chat(self, **more: Any) -> list[Any]:
        async with self.session.post(self.url + CHAT, json={**ASK, **more}) as response:
            assert response.status == 200
            lines = (await response.text()).splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]

    async def until(self, check: Callable[[Any], bool], deadline_s: float = 10.0) -> Any:
        end = time.monotonic() + deadline_s
        while not check(state := await self.state()):
            assert time.monotonic() < end, state
            await asyncio.sleep(0.01)
        return state


Begin = Callable[..., Awaitable[Fake]]


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    """Starts a fake with a script and waits for its port."""
    fakes: list[Fake] = []

    async def start(*, flags: str = "-np 4 -c 4096", **script: Any) -> Fake:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(FAKE), "--port", str(port), *flags.split()),
            env={**os.environ, "FAKE_LLAMA_SCRIPT": json.dumps(script)},
            stderr=asyncio.subprocess.PIPE,
        )
        fakes.append(Fake(process, f"http://127.0.0.1:{port}"))
        assert process.stderr is not None
        await asyncio.wait_for(process.stderr.readline(), 10)
        return fakes[-1]

    yield start
    for fake in fakes:
        await fake.session.close()
        if fake.process.returncode is None:
            fake.process.kill()
        await fake.process.wait()


def texts(chunks: list[Any], key: str = "content") -> dict[int, str]:
    joined: dict[int, str] = {}
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        joined.setdefault(choice["index"], "")
        joined[choice["index"]] += choice["delta"].get(key) or ""
    return joined


async def test_answers_depend_on_prompt_seed_and_choice_alone(begin: Begin) -> None:
    one, other = await begin(), await begin()
    first = texts(await one.chat(n=3, seed=5))
    assert first == texts(await other.chat(n=3, seed=5))
    assert len(set(first.values())) == 3
    assert first != texts(await one.chat(n=3, seed=50))


async def test_scripted_answers_by_choice_and_by_prompt(begin: Begin) -> None:
    fake = await begin(answers={"hello": ["a", "b"], "": ["other"]})
    assert texts(await fake.chat(n=3)) == {0: "a", 1: "b", 2: "a"}
    elsewhere = [{"role": "user", "content": "bye"}]
    assert texts(await fake.chat(messages=elsewhere)) == {0: "other"}


async def test_tool_calls_come_as_fragments(begin: Begin) -> None:
    call = {"name": "read", "arguments": {"path": "a.py"}}
    fake = await begin(answers=[{"reasoning": "think", "tool_calls": [call]}])
    chunks = await fake.chat()
    calls = [
        part
        for chunk in chunks
        for choice in chunk["choices"]
        for part in choice["delta"].get("tool_calls", [])
    ]
    assert calls[0]["function"] == {"name": "read"}
    assert calls[0]["id"]
    arguments = "".join(part["function"].get("arguments", "") for part in calls)
    assert json.loads(arguments) == call["arguments"]
    assert len(calls) > 2
    assert texts(chunks, "reasoning_content") == {0: "think"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_choices_interleave_in_an_order_that_a_seed_repeats(begin: Begin) -> None:
    fake = await begin(order_seed=3)
    orders = []
    for _ in range(2):
        chunks = await fake.chat(n=3, seed=1)
        orders.append([choice["index"] for chunk in chunks for choice in chunk["choices"]])
    assert orders[0] == orders[1]
    assert orders[0] != sorted(orders[0])


@pytest.mark.parametrize("how", [{"exit": 3}, {"signal": int(signal.SIGSEGV)}])
async def test_crash_at_a_token(begin: Begin, how: dict[str, int]) -> None:
    fake = await begin(faults=[{"kind": "crash", "at_token": 2, **how}])
    with contextlib.suppress(aiohttp.ClientError):
        await fake.chat()
    assert await asyncio.wait_for(fake.process.wait(), 10) == how.get("exit", -signal.SIGSEGV)


async def test_start_fails_only_in_the_first_lives(begin: Begin, tmp_path: Path) -> None:
    script = {"start_exit": 4, "start_exit_times": 1, "counter_file": str(tmp_path / "lives")}
    assert await asyncio.wait_for((await begin(**script)).process.wait(), 10) == 4
    assert (await (await begin(**script)).state())["life"] == 2


async def test_cut_and_error_end_a_stream_without_a_finish(begin: Begin) -> None:
    faults = [{"kind": "cut", "at_token": 2, "times": 1}, {"kind": "error", "at_token": 2}]
    fake = await begin(faults=faults)
    with pytest.raises(aiohttp.ClientPayloadError):
        await fake.chat()
    chunks = [*await fake.chat()]
    assert chunks.pop()["error"]["code"] == 500
    assert not any(choice["finish_reason"] for c in chunks for choice in c["choices"])


async def test_a_fault_hits_only_what_it_names_and_as_often_as_told(begin: Begin) -> None:
    fake = await begin(faults=[{"kind": "status", "status": 503, "when": "hello", "times": 1}])
    statuses = []
    for words in ("bye", "hello", "hello"):
        messages = [{"role": "user", "content": words}]
        async with fake.session.post(fake.url + CHAT, json={"messages": messages}) as response:
            statuses.append(response.status)
    assert statuses == [200, 503, 200]


async def test_a_held_request_goes_on_when_released(begin: Begin) -> None:
    fake = await begin(faults=[{"kind": "hold", "at_token": 1}])
    asked = asyncio.ensure_future(fake.chat())
    await fake.until(lambda state: any(r.get("held") for r in state["requests"]))
    assert not asked.done()
    await fake.session.post(fake.url + "/_fake/release")
    assert texts(await asyncio.wait_for(asked, 10))[0]


async def test_a_hanging_request_is_cancelled_when_its_client_leaves(begin: Begin) -> None:
    fake = await begin(faults=[{"kind": "hang", "at_token": 1}])
    asked = asyncio.ensure_future(fake.chat(n=2))
    await fake.until(lambda state: state["busy"] == 2)
    asked.cancel()
    state = await fake.until(lambda state: state["cancelled"] == 1)
    assert state["busy"] == 0


async def test_it_can_ignore_sigterm(begin: Begin) -> None:
    fake = await begin(sigterm="ignore")
    fake.process.terminate()
    assert fake.process.stderr is not None
    assert b"ignoring" in await asyncio.wait_for(fake.process.stderr.readline(), 10)
    assert fake.process.returncode is None


async def test_a_wide_request_starves_behind_narrow_ones(begin: Begin) -> None:
    fake = await begin(flags="-np 2 -c 1024")
    narrow = {"messages": [{"role": "user", "content": "narrow"}]}
    await fake.script(faults=[{"kind": "hold", "when": "narrow", "at_token": 1}])
    first = asyncio.ensure_future(fake.chat(**narrow))
    await fake.until(lambda state: state["busy"] == 1)
    wide = asyncio.ensure_future(fake.chat(n=2))
    await fake.until(lambda state: state["deferred"] == 1)
    second = asyncio.ensure_future(fake.chat(**narrow))
    await fake.until(lambda state: state["busy"] == 2)
    await fake.session.post(fake.url + "/_fake/release")
    await asyncio.wait_for(asyncio.gather(first, second, wide), 10)


async def test_a_conversation_finds_its_prefix_in_its_slot(begin: Begin) -> None:
    fake = await begin()
    options = {"id_slot": 2, "stream_options": {"include_usage": True}}
    turn = [{"role": "user", "content": "word " * 200}]
    first = (await fake.chat(messages=turn, **options))[-1]["usage"]
    again = (await fake.chat(messages=turn, **options))[-1]["usage"]
    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    assert again["prompt_tokens_details"]["cached_tokens"] == first["prompt_tokens"] - 1


async def test_loading_answers_503(begin: Begin) -> None:
    fake = await begin(load_s=60)
    async with fake.session.get(fake.url + "/health") as response:
        assert response.status == 503
        assert (await response.json())["error"]["message"] == "Loading model"
