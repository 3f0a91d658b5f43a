"""Children are killed at random under load: no request may notice.

LSWARM_CHAOS_REQUESTS and LSWARM_CHAOS_KILLS make it longer (the figures in the README were taken
with 200 and 10).
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable

import openai
import psutil
import pytest

from tests.e2e.conftest import Up

pytestmark = pytest.mark.engine
REQUESTS = int(os.environ.get("LSWARM_CHAOS_REQUESTS", "40"))
KILLS = int(os.environ.get("LSWARM_CHAOS_KILLS", "3"))
AT_ONCE = 8


async def load(swarm: Up, pause_s: float) -> tuple[int, int]:
    """Sends requests, AT_ONCE at a time, until REQUESTS were sent and KILLS children killed.

    Returns how many were answered and how many children were killed; an error propagates.
    """
    rng = random.Random(1)
    kills = answered = sent = 0

    async def killer() -> None:
        nonlocal kills
        while True:
            await asyncio.sleep(pause_s)
            workers = swarm.workers()
            if workers:
                rng.choice(workers).kill()
                kills += 1

    async def ask(client: openai.AsyncOpenAI) -> None:
        nonlocal answered, sent
        while sent < REQUESTS or kills < KILLS:
            sent += 1
            question = f"Write a Python function `f{sent}(x)` that adds {sent} to x."
            messages = [{"role": "user", "content": question}]
            if sent % 2:
                done = await client.chat.completions.create(model="swarm", messages=messages)
                assert done.choices[0].finish_reason
            else:
                stream = await client.chat.completions.create(
                    model="swarm", messages=messages, stream=True
                )
                chunks = [chunk async for chunk in stream]
                assert chunks[-1].choices[0].finish_reason
            answered += 1

    url = f"{swarm.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client:
        killing = asyncio.create_task(killer())
        try:
            await asyncio.gather(*(ask(client) for _ in range(AT_ONCE)))
        finally:
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
    return answered, kills


@pytest.mark.parametrize(
    ("layout", "pause_s"),
    [(("--workers", "2", "--slots", "2"), 2.0), (("--workers", "1"), 5.0)],
    ids=["two-workers", "one-worker"],
)
def test_no_request_notices_that_children_are_killed(
    up: Callable[..., Up], layout: tuple[str, ...], pause_s: float
) -> None:
    swarm = up("--ctx", "1024", *layout)
    answered, kills = asyncio.run(load(swarm, pause_s))
    print(f"{answered} answered, {kills} children killed")
    assert answered >= REQUESTS
    assert kills >= KILLS
    children = psutil.Process(swarm.process.pid).children(recursive=True)
    assert swarm.terminate() == 0
    assert not [child for child in children if child.is_running()]
