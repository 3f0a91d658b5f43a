"""langchain-openai's ChatOpenAI."""

from __future__ import annotations

import asyncio
from typing import Any

from cases import base_url, report
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

CHAT = ChatOpenAI(model="fake", base_url=base_url(), api_key="none", max_retries=0)


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"22 degrees in {city}"


def invoke() -> Any:
    answer = CHAT.invoke("hi")
    return {"text": answer.content, "usage": answer.usage_metadata["output_tokens"]}


def stream() -> Any:
    chunks = list(CHAT.stream("hi", stream_usage=True))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return {
        "text": whole.content,
        "finish": whole.response_metadata["finish_reason"],
        "tokens": whole.usage_metadata["output_tokens"],
    }


def bind_tools() -> Any:
    bound = CHAT.bind_tools([get_weather])
    said: list[Any] = [HumanMessage("weather-please")]
    said.append(bound.invoke(said))
    calls = said[-1].tool_calls
    said += [ToolMessage(get_weather.invoke(c["args"]), tool_call_id=c["id"]) for c in calls]
    return {"name": calls[0]["name"], "args": calls[0]["args"], "then": bound.invoke(said).content}


def streamed_tools() -> Any:
    chunks = list(CHAT.bind_tools([get_weather]).stream("weather-please"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return [(call["name"], call["args"]) for call in whole.tool_calls]


def structured_by_schema() -> Any:
    asks = CHAT.with_structured_output(Person, method="json_schema")
    return asks.invoke("person-please").model_dump()


def structured_by_call() -> Any:
    asks = CHAT.with_structured_output(Person, method="function_calling")
    return asks.invoke("person-call-please").model_dump()


def structured_by_mode() -> Any:
    asks = CHAT.with_structured_output(Person, method="json_mode")
    return asks.invoke("person-please, in JSON").model_dump()


def by_responses() -> Any:
    chat = ChatOpenAI(
        model="fake", base_url=base_url(), api_key="none", max_retries=0, use_responses_api=True
    )
    return {
        "whole": chat.invoke("hi").text,
        "streamed": "".join(chunk.text for chunk in chat.stream("hi")),
    }


def batch_with_asyncio() -> Any:
    answers = asyncio.run(CHAT.abatch(["hi", "hello", "hey"]))
    return [answer.content for answer in answers]


report(
    invoke,
    stream,
    bind_tools,
    streamed_tools,
    structured_by_schema,
    structured_by_call,
    structured_by_mode,
    by_responses,
    batch_with_asyncio,
)
