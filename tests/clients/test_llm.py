"""The `llm` command, which knows the gateway from its extra-openai-models.yaml."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.clients.running import HELLO, PERSON, SHAPE, WEATHER, Program, client_python
from tests.swarms import swarm_of

Llm = Callable[..., Awaitable[str]]


@pytest.fixture
async def llm(tmp_path: Path) -> AsyncIterator[Llm]:
    """`await llm("a question", ...)` gives what the command prints."""
    python = client_python("llm")
    async with swarm_of(SHAPE) as swarm:
        url = f"{swarm.gateway.url}/v1"
        settings = f"- {{model_id: swarm, model_name: fake, api_base: '{url}', "
        settings += "supports_tools: true, supports_schema: true}\n"
        (tmp_path / "extra-openai-models.yaml").write_text(settings)

        async def run(*args: str) -> str:
            command = (python, "-m", "llm", "prompt", "--no-log", "-m", "swarm", *args)
            program = await Program.start(*command, LLM_USER_PATH=str(tmp_path))
            assert program.process.stdin is not None
            program.process.stdin.close()  # it reads its question from there too
            return (await program.text()).strip()

        yield run


async def test_a_question_streamed_and_not(llm: Llm) -> None:
    assert await llm("hi") == HELLO
    assert await llm("hi", "--no-stream") == HELLO


async def test_a_tool_is_called_and_its_result_is_used(llm: Llm) -> None:
    function = "def get_weather(city: str) -> str:\n    return '22 degrees in ' + city"
    assert (await llm("weather-please", "--functions", function)).endswith(WEATHER)


async def test_a_schema(llm: Llm) -> None:
    assert json.loads(await llm("person-please", "--schema", "name, age int")) == PERSON
