"""openai-python: sync and async, streams, tools, structured outputs, responses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.clients.running import HELLO, PERSON, SHAPE, WEATHER, idle
from tests.swarms import Swarm, swarm_of

ASKED: dict[str, Any] = {"model": "fake", "messages": [{"role": "user", "content": "hi"}]}
FUNCTION = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
TOOLS: list[Any] = [{"type": "function", "function": FUNCTION}]


class Person(BaseModel):
    name: str
    age: int


def saying(text: str) -> dict[str, Any]:
    return {**ASKED, "messages": [{"role": "user", "content": text}]}


@pytest.fixture
async def swarm() -> AsyncIterator[Swarm]:
    async with swarm_of(SHAPE) as swarm:
        yield swarm
        await idle(swarm)


@pytest.fixture
async def client(swarm: Swarm) -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"{swarm.gateway.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


async def test_the_sync_client_asks_and_streams(swarm: Swarm) -> None:
    def ask() -> tuple[str | None, str]:
        url = f"{swarm.gateway.url}/v1"
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            plain = client.chat.completions.create(**ASKED)
            with client.chat.completions.stream(**ASKED) as stream:
                texts = [event.delta for event in stream if event.type == "content.delta"]
            return plain.choices[0].message.content, "".join(texts)

    assert await asyncio.to_thread(ask) == (HELLO, HELLO)


async def test_many_at_once(client: openai.AsyncOpenAI) -> None:
    asked = [client.chat.completions.create(**ASKED) for _ in range(5)]
    assert [a.choices[0].message.content for a in await asyncio.gather(*asked)] == [HELLO] * 5


@pytest.mark.parametrize("model", ["fake", "fake:solo", "swarm"])
async def test_a_stream_has_one_id_one_choice_and_usage_at_the_end(
    client: openai.AsyncOpenAI, model: str
) -> None:
    stream = await client.chat.completions.create(
        **{**ASKED, "model": model}, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert len({chunk.id for chunk in chunks}) == 1
    assert {choice.index for choice in choices} == {0}
    assert choices[0].delta.role == "assistant"
    assert [c.finish_reason for c in choices if c.finish_reason] == ["stop"]
    assert "".join(choice.delta.content or "" for choice in choices) == HELLO
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


async def test_a_tool_is_called_and_its_result_is_used(client: openai.AsyncOpenAI) -> None:
    body = saying("weather-please")
    first = (await client.chat.completions.create(**body, tools=TOOLS)).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.tool_calls is not None
    (call,) = first.message.tool_calls
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    body["messages"] += [
        first.message.to_dict(),  # its content is null
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": [{"type": "text", "text": "22 degrees"}],
        },
    ]
    last = await client.chat.completions.create(**body, tools=TOOLS)
    assert last.choices[0].message.content == WEATHER


@pytest.mark.parametrize("model", ["fake", "fake:solo"])
async def test_a_streamed_tool_call_is_accumulated(client: openai.AsyncOpenAI, model: str) -> None:
    body = {**saying("weather-please"), "model": model}
    async with client.chat.completions.stream(**body, tools=TOOLS) as stream:
        kinds = {event.type async for event in stream}
        choice = (await stream.get_final_completion()).choices[0]
    assert "tool_calls.function.arguments.done" in kinds
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].function.parsed_arguments == {"city": "Paris"}


async def test_structured_outputs_are_parsed(client: openai.AsyncOpenAI) -> None:
    body = saying("person-please")
    done = await client.chat.completions.parse(**body, response_format=Person)
    assert done.choices[0].message.parsed == Person(**PERSON)
    async with client.chat.completions.stream(**body, response_format=Person) as stream:
        streamed = await stream.get_final_completion()
    assert streamed.choices[0].message.parsed == Person(**PERSON)


async def test_what_newer_clients_send_is_understood(client: openai.AsyncOpenAI) -> None:
    done = await client.chat.completions.create(
        model="fake",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        ],
        max_completion_tokens=2,
        store=False,
        metadata={"a": "b"},
    )
    assert done.choices[0].finish_reason == "length"


async def test_a_mistake_is_a_bad_request_with_a_message(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**saying("word " * 5000))
    assert caught.value.code == "exceed_context_size_error"
    assert "exceeds the available context size" in caught.value.message


@pytest.mark.parametrize("model", ["fake", "fake:solo"])
async def test_closing_a_stream_frees_the_slots(
    swarm: Swarm, client: openai.AsyncOpenAI, model: str
) -> None:
    await swarm.script({**SHAPE.script, "faults": [{"kind": "hold", "at_token": 1, "times": 1}]})
    asked = asyncio.ensure_future(_drained(client, {**ASKED, "model": model}))
    await swarm.fake_until(lambda state: state["busy"] > 0)
    asked.cancel()
    await swarm.fake_until(lambda state: state["cancelled"] == 1)


async def _drained(client: openai.AsyncOpenAI, body: dict[str, Any]) -> None:
    async for _ in await client.chat.completions.create(**body, stream=True):
        pass


async def test_completions(client: openai.AsyncOpenAI) -> None:
    done = await client.completions.create(model="fake", prompt="hi")
    assert (done.choices[0].text, done.choices[0].finish_reason) == (HELLO, "stop")
    stream = await client.completions.create(model="fake", prompt="hi", stream=True)
    texts = [choice.text async for chunk in stream for choice in chunk.choices]
    assert "".join(texts) == HELLO


async def test_responses(client: openai.AsyncOpenAI) -> None:
    done = await client.responses.create(model="fake", input="hi", instructions="Be brief.")
    assert (done.output_text, done.status) == (HELLO, "completed")
    assert done.usage is not None
    assert done.usage.output_tokens > 0
    async with client.responses.stream(model="fake", input="hi") as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert final.output_text == HELLO
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert "response.output_text.delta" in kinds


async def test_responses_call_tools(client: openai.AsyncOpenAI) -> None:
    tools: list[Any] = [{"type": "function", **FUNCTION}]
    history: list[Any] = [{"role": "user", "content": "weather-please"}]
    first = await client.responses.create(model="fake", input=history, tools=tools)
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "22 degrees"}
    history += [*(item.to_dict() for item in first.output), result]
    last = await client.responses.create(model="fake", input=history, tools=tools)
    assert last.output_text == WEATHER
    async with client.responses.stream(model="fake", input="weather-please", tools=tools) as stream:
        final = await stream.get_final_response()
    assert [i.arguments for i in final.output if i.type == "function_call"] == [call.arguments]


async def test_responses_are_parsed(client: openai.AsyncOpenAI) -> None:
    done = await client.responses.parse(model="fake", input="person-please", text_format=Person)
    assert done.output_parsed == Person(**PERSON)
