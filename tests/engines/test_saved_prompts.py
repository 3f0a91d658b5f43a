"""Conversations that take turns in one slot: kept by a prompt cache that holds them, else lost."""

from __future__ import annotations

from typing import Any

import pytest

from local_swarm.budget.beside import state_bytes_of
from local_swarm.budget.context import Setting
from local_swarm.domain.memory import MIB
from local_swarm.engines import Engine
from local_swarm.models.facts import read_facts
from tests.engines.conftest import DEMO, Child, Start

pytestmark = pytest.mark.engine
LENGTH, LIMIT_MIB = 4096, 2
RULES = " ".join(f"Rule {n}: word{n % 7} before word{n % 11}." for n in range(180))


async def turn(child: Child, prompt: str) -> tuple[str, int, int]:
    """The conversation after it, the tokens of its prompt, and how many of them were kept."""
    body: dict[str, Any] = {"prompt": prompt, "n_predict": 8, "ignore_eos": True, "id_slot": 0}
    status, answer = await child.post("/completion", body)
    assert status == 200, answer
    kept = answer["timings"]["cache_n"]
    return prompt + answer["content"], kept + answer["timings"]["prompt_n"], kept


async def kept_of_second_turns(child: Child) -> list[float]:
    """Two conversations in turn; the shares of their prompts that their second turns found."""
    said: dict[str, str] = {}
    shares = []
    for name in ("alpha", "beta", "alpha", "beta"):
        prompt = f"{said[name]} And then?" if name in said else f"{name} {RULES} {name}?"
        said[name], tokens, kept = await turn(child, prompt)
        shares.append(kept / tokens)
        assert state_bytes_of(read_facts(DEMO), Setting(LENGTH), tokens) > LIMIT_MIB * MIB
    return shares[2:]


@pytest.fixture
def saving(engine: Engine) -> Engine:
    if engine.name == "fake" or not engine.capabilities.prompt_cache:
        pytest.skip("it saves no prompts")
    return engine


async def test_a_cache_that_holds_both_gives_both_back(saving: Engine, start: Start) -> None:
    limit = {"cache_ram_mib": 4 * LIMIT_MIB}
    child = await (await start(slots=1, lanes=0, ctx=LENGTH, **limit)).ready()
    assert min(await kept_of_second_turns(child)) > 0.95


async def test_a_state_that_is_larger_than_the_cache_is_lost(saving: Engine, start: Start) -> None:
    limit = {"cache_ram_mib": LIMIT_MIB}
    child = await (await start(slots=1, lanes=0, ctx=LENGTH, **limit)).ready()
    assert max(await kept_of_second_turns(child)) < 0.05
