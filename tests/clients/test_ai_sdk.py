"""`ai` with `@ai-sdk/openai-compatible`, on node, with a gateway over fakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.clients.running import (
    HELLO,
    PERSON,
    SHAPE,
    WEATHER,
    Program,
    idle,
    node_program,
    seen_by,
)
from tests.swarms import swarm_of

seen = seen_by(lambda: node_program("ai_sdk.mjs"))
Seen = dict[str, Any]


def test_generate_text(seen: Seen) -> None:
    assert (seen["generated"]["text"], seen["generated"]["finishReason"]) == (HELLO, "stop")
    assert seen["generated"]["tokens"] > 0


def test_stream_text_gives_the_same(seen: Seen) -> None:
    assert seen["streamed"] == seen["generated"]


@pytest.mark.parametrize("how", ["tools", "streamedTools"])
def test_a_tool_is_called_and_its_result_is_used(seen: Seen, how: str) -> None:
    assert seen[how] == {"text": WEATHER, "inputs": [{"city": "Paris"}]}


def test_structured_output(seen: Seen) -> None:
    assert seen["structured"] == PERSON


def test_a_prompt_that_is_too_long_is_not_sent_again(seen: Seen) -> None:
    assert (seen["tooLong"]["status"], seen["tooLong"]["retryable"]) == (400, False)
    assert "exceeds the available context size" in seen["tooLong"]["message"]


@pytest.mark.parametrize("how", ["generate", "stream"])
@pytest.mark.parametrize(("model", "voters"), [("fake", 3), ("fake:solo", 1)])
async def test_an_abort_frees_every_slot(how: str, model: str, voters: int) -> None:
    held = {**SHAPE.script, "faults": [{"kind": "hold", "at_token": voters}]}
    async with swarm_of(replace(SHAPE, script=held)) as swarm:
        url = f"{swarm.gateway.url}/v1"
        program = await Program.start(*node_program("ai_sdk_abort.mjs"), url, model, how)
        await swarm.fake_until(lambda state: state["busy"] == voters)
        await program.tell("abort")
        assert (await program.facts())["ended"] in ("abort", "AbortError")
        await idle(swarm)
        assert (await swarm.fake())["cancelled"] == 1
