"""litellm, with a gateway over fakes as `openai/ID`."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.running import HELLO, WEATHER, python_program, seen_by

seen = seen_by(lambda: python_program("litellm_sdk.py", "litellm"))
Seen = dict[str, Any]


def test_a_plain_completion(seen: Seen) -> None:
    assert seen["plain"]["text"] == HELLO
    assert seen["plain"]["tokens"] > 0


def test_a_streamed_completion_is_put_together_with_its_usage(seen: Seen) -> None:
    assert (seen["streamed"]["text"], seen["streamed"]["finish"]) == (HELLO, "stop")
    assert seen["streamed"]["tokens"] == seen["plain"]["tokens"]


def test_a_tool_is_called_and_its_result_is_used(seen: Seen) -> None:
    told = seen["tool_use"]
    assert (told["finish"], told["name"], told["then"]) == ("tool_calls", "get_weather", WEATHER)
    assert json.loads(told["arguments"]) == {"city": "Paris"}


def test_a_streamed_tool_call_is_whole(seen: Seen) -> None:
    told = seen["streamed_tool_use"]
    assert (told["finish"], told["name"]) == ("tool_calls", "get_weather")
    assert json.loads(told["arguments"]) == {"city": "Paris"}


def test_a_prompt_that_is_too_long_is_a_bad_request(seen: Seen) -> None:
    assert "exceeds the available context size" in seen["too_long"]


def test_streamed_with_asyncio(seen: Seen) -> None:
    assert seen["with_asyncio"] == HELLO
