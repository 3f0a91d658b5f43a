"""litellm, which takes the gateway as any OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it downloads its price list
os.environ["LITELLM_TELEMETRY"] = "False"

import litellm
from cases import base_url, report

litellm.suppress_debug_info = True
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {
        "model": "openai/fake",
        "api_base": base_url(),
        "api_key": "none",
        "messages": [{"role": "user", "content": text}],
        "num_retries": 0,
        **more,
    }


def plain() -> Any:
    answer = litellm.completion(**asked("hi"))
    return {"text": answer.choices[0].message.content, "tokens": answer.usage.completion_tokens}


def streamed() -> Any:
    options = {"include_usage": True}
    chunks = list(litellm.completion(**asked("hi", stream=True, stream_options=options)))
    whole = litellm.stream_chunk_builder(chunks)
    return {
        "text": whole.choices[0].message.content,
        "finish": whole.choices[0].finish_reason,
        "tokens": whole.usage.completion_tokens,
    }


def tool_use() -> Any:
    body = asked("weather-please", tools=[TOOL])
    first = litellm.completion(**body).choices[0]
    call = first.message.tool_calls[0]
    body["messages"] += [
        first.message.model_dump(),
        {"role": "tool", "tool_call_id": call.id, "content": "22 degrees"},
    ]
    last = litellm.completion(**body)
    return {
        "finish": first.finish_reason,
        "name": call.function.name,
        "arguments": call.function.arguments,
        "then": last.choices[0].message.content,
    }


def streamed_tool_use() -> Any:
    chunks = list(litellm.completion(**asked("weather-please", tools=[TOOL], stream=True)))
    whole = litellm.stream_chunk_builder(chunks).choices[0]
    call = whole.message.tool_calls[0].function
    return {"finish": whole.finish_reason, "name": call.name, "arguments": call.arguments}


def too_long() -> Any:
    try:
        litellm.completion(**asked("word " * 5000))
    except litellm.BadRequestError as error:  # it does not know llama-server's wording better
        return error.message
    return None


def with_asyncio() -> Any:
    async def ask() -> Any:
        stream = await litellm.acompletion(**asked("hi", stream=True))
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    return asyncio.run(ask())


report(plain, streamed, tool_use, streamed_tool_use, too_long, with_asyncio)
