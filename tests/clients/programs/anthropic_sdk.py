"""anthropic-python against /v1/messages."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
from cases import base_url, report

ROOT = base_url().removesuffix("/v1")  # this client adds /v1 itself
CLIENT = anthropic.Anthropic(base_url=ROOT, api_key="none", max_retries=0)
TOOL = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def asked(text: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "fake", "max_tokens": 200, "messages": messages, **more}


def plain() -> Any:
    return CLIENT.messages.create(**asked("hi", system="Be brief.")).to_dict()


def streamed() -> Any:
    with CLIENT.messages.stream(**asked("hi")) as stream:
        kinds = [event.type for event in stream]
        return {"kinds": kinds, "message": stream.get_final_message().to_dict()}


def streamed_by_one() -> Any:
    with CLIENT.messages.stream(**{**asked("hi"), "model": "fake:solo"}) as stream:
        return {"text": "".join(stream.text_stream), "all": stream.get_final_text()}


def tool_use() -> Any:
    body = asked("weather-please", tools=[TOOL])
    first = CLIENT.messages.create(**body)
    call = next(block for block in first.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "22 degrees"}
    body["messages"] += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    last = CLIENT.messages.create(**body)
    return {
        "stop": first.stop_reason,
        "name": call.name,
        "input": call.input,
        "then": last.content[0].text,
        "end": last.stop_reason,
    }


def streamed_tool_use() -> Any:
    with CLIENT.messages.stream(**asked("weather-please", tools=[TOOL])) as stream:
        message = stream.get_final_message()
    call = message.content[-1]
    return {"stop": message.stop_reason, "name": call.name, "input": call.input}


def count_tokens() -> Any:
    body = asked("hi")
    del body["max_tokens"]
    few = CLIENT.messages.count_tokens(**body).input_tokens
    return {"few": few, "more": CLIENT.messages.count_tokens(**body, tools=[TOOL]).input_tokens}


def cut_off() -> Any:
    return CLIENT.messages.create(**{**asked("hi"), "max_tokens": 1}).stop_reason


def too_long() -> Any:
    try:
        CLIENT.messages.create(**asked("word " * 5000))
    except anthropic.BadRequestError as error:
        return {"status": error.status_code, "body": error.body}
    return None


def with_asyncio() -> Any:
    async def ask() -> Any:
        async with anthropic.AsyncAnthropic(base_url=ROOT, api_key="none", max_retries=0) as client:
            answers = await asyncio.gather(*(client.messages.create(**asked("hi")) for _ in "123"))
        return [answer.content[0].text for answer in answers]

    return asyncio.run(ask())


report(
    plain,
    streamed,
    streamed_by_one,
    tool_use,
    streamed_tool_use,
    count_tokens,
    cut_off,
    too_long,
    with_asyncio,
)
