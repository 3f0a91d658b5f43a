"""langchain-openai's ChatOpenAI, with a gateway over fakes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.running import HELLO, PERSON, WEATHER, python_program, seen_by

seen = seen_by(lambda: python_program("langchain_sdk.py", "langchain_openai"))
Seen = dict[str, Any]


def test_invoke(seen: Seen) -> None:
    assert seen["invoke"]["text"] == HELLO
    assert seen["invoke"]["usage"] > 0


def test_stream_with_usage(seen: Seen) -> None:
    usage = seen["invoke"]["usage"]
    assert seen["stream"] == {"text": HELLO, "finish": "stop", "tokens": usage}


def test_bound_tools_are_called_and_their_results_used(seen: Seen) -> None:
    told = {"name": "get_weather", "args": {"city": "Paris"}, "then": WEATHER}
    assert seen["bind_tools"] == told


def test_streamed_tool_calls(seen: Seen) -> None:
    assert seen["streamed_tools"] == [["get_weather", {"city": "Paris"}]]


@pytest.mark.parametrize(
    "how", ["structured_by_schema", "structured_by_call", "structured_by_mode"]
)
def test_structured_output(seen: Seen, how: str) -> None:
    assert seen[how] == PERSON


def test_the_responses_api(seen: Seen) -> None:
    assert seen["by_responses"] == {"whole": HELLO, "streamed": HELLO}


def test_a_batch_with_asyncio(seen: Seen) -> None:
    assert seen["batch_with_asyncio"] == [HELLO] * 3
