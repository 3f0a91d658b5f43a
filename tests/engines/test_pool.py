"""A pool of cells on the real engines: what shares it, how it ends, and that its ledger prevents
that."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local_swarm.budget import observe
from local_swarm.budget.groups import CPU_GROUP
from local_swarm.budget.pricing import Pricer
from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.plan import WorkerPlan
from local_swarm.engines import printed_sizes
from local_swarm.gateway.cells import answer_tokens, limited
from local_swarm.gateway.counting import COUNT_PATH
from local_swarm.gateway.ledger import Ledger, Need
from local_swarm.models import read_facts
from tests.engines.conftest import DEMO, Child, Start
from tests.engines.small_models import windowed_model

REAL = [pytest.param(name, marks=pytest.mark.engine) for name in ("xllamacpp", "llama-server")]
CHAT = "/v1/chat/completions"
POOL = {"kv_unified": True, "kv_cells": 768, "ctx": 512}
PROMPT = "a b c d e " * 20


def ask(n: int, most: int, slot: int, text: str = PROMPT) -> dict[str, Any]:
    """A request that goes on to its limit."""
    return {
        "messages": [{"role": "user", "content": text}],
        "n": n,
        "max_tokens": most,
        "id_slot": slot,
        "stream": True,
        "ignore_eos": True,
    }


async def ends(child: Child, body: dict[str, Any]) -> list[str]:
    """How each choice of a streamed request ended; an error's message where it did."""
    async with child.session.post(child.url + CHAT, json=body) as response:
        lines = (await response.text()).split("\n")
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    errors = [event["error"]["message"] for event in events if "error" in event]
    choices = (choice for event in events for choice in event.get("choices", ()))
    return errors or [c["finish_reason"] for c in choices if c.get("finish_reason")]


async def prompt_tokens(child: Child, text: str) -> int:
    _, body = await child.post(COUNT_PATH, {"messages": [{"role": "user", "content": text}]})
    counted: int = body["input_tokens"]
    return counted


@pytest.mark.parametrize("engine", REAL, indirect=True)
async def test_the_choices_of_a_request_share_its_prompt(start: Start) -> None:
    child = await (await start(**POOL)).ready()
    text = "a b c d e " * 60
    prompt = await prompt_tokens(child, text)
    assert 4 * prompt > 768 > prompt + 4 * 50  # it only fits once
    assert await ends(child, ask(4, 50, 3, text)) == ["length"] * 4


@pytest.mark.parametrize("engine", REAL, indirect=True)
async def test_what_idle_slots_keep_gives_way(start: Start) -> None:
    child = await (await start(**POOL)).ready()
    for slot, word in enumerate(("a b c d e ", "f g h i j ", "k l m n o ", "p q r s t ")):
        text = word * 60
        assert await prompt_tokens(child, text) > 768 / 4
        assert await ends(child, ask(1, 40, slot, text)) == ["length"]


@pytest.mark.parametrize("engine", REAL, indirect=True)
async def test_an_overflow_ends_every_answer_in_the_pool(start: Start) -> None:
    """What the ledger is for: should the engine learn to do better, it is not needed any more."""
    child = await (await start(**POOL)).ready()
    both = await asyncio.gather(*(ends(child, body) for body in UNBOUNDED))
    assert any("exceeded" in why for one in both for why in one)


UNBOUNDED = (ask(3, 600, 2), ask(1, 600, 3))


@pytest.mark.parametrize("engine", REAL, indirect=True)
@pytest.mark.parametrize("most", [600, 150])
async def test_with_the_ledger_a_vote_and_another_stream_both_end_well(
    start: Start, most: int
) -> None:
    child = await (await start(**POOL)).ready()
    endpoint = Endpoint("w0", child.url, "", slots=4, lanes=1, ctx=512, generation=1, pool=768)
    book = Ledger()
    book.sync([endpoint], [endpoint])
    prompt = await prompt_tokens(child, PROMPT)

    async def admitted(body: dict[str, Any]) -> list[str]:
        solo = body["n"] == 1
        need = Need(body["n"], solo=solo, prompt_tokens=prompt, answer_tokens=answer_tokens(body))
        leases = await book.acquire(need, within_s=60)
        (lease,) = leases
        try:
            return await ends(child, limited({**body, "id_slot": lease.slots[0]}, lease))
        finally:
            book.release(leases)

    bodies = [{**body, "max_tokens": most} for body in UNBOUNDED * 2]
    for why, body in zip(await asyncio.gather(*map(admitted, bodies)), bodies, strict=True):
        assert why == ["length"] * body["n"]


@pytest.mark.parametrize("engine", REAL, indirect=True)
@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("kind", ["f16", "q8_0"])
async def test_a_pool_takes_what_was_planned(
    start: Start, worker: WorkerPlan, tmp_path: Path, kind: str, windowed: bool
) -> None:
    path = DEMO
    if windowed:
        path = tmp_path / "windowed.gguf"
        path.write_bytes(windowed_model().encode())
    changes = {"kv_unified": True, "kv_cells": 2048 + 3 * 512, "ctx": 2048, "slots": 4}
    changes |= {"cache_type_k": kind, "cache_type_v": kind, "model_path": str(path)}
    child = await (await start(**changes)).ready()
    planned = replace(worker, **changes)  # type: ignore[arg-type]
    parts = Pricer(read_facts(path)).parts(planned, CPU_GROUP)
    observed = observe(parts, printed_sizes(child.log.read_text().splitlines()))
    assert observed is not None
    assert observed.drift == ()
