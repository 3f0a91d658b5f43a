"""Votes on calls and JSON through a real gateway, each with its right winner known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from local_swarm.gateway.gathering import Ended
from tests.gateway.families import CHAT, MESSAGES, RESPONSES, Api, told
from tests.gateway.tool_cases import PARAMETERS, TOOLS, Case, call, calls, cases
from tests.swarms import Shape, Swarm, swarm_of

ALL = cases()
WIDE = Shape(slots=9, voters=8, ctx=8192)
LONG = "b " * 4000

Said = tuple[str, list[tuple[str, str]]]
"""The text, and the calls by name and arguments."""


def canonical(arguments: str) -> str:
    """One spelling, so that an API which gives arguments as an object compares with the others."""
    try:
        return json.dumps(json.loads(arguments.strip() or "{}"), sort_keys=True)
    except ValueError:
        return arguments


def scripted(answer: Any) -> Said:
    """What a scripted answer says."""
    if isinstance(answer, str):
        return answer, []
    made = answer.get("tool_calls", [])
    return answer.get("content", ""), [_pair(c["name"], c["arguments"]) for c in made]


def _pair(name: str, arguments: Any) -> tuple[str, str]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return name, canonical(text)


def _chat(message: dict[str, Any]) -> Said:
    made = message.get("tool_calls") or []
    assert len({c["id"] for c in made}) == len(made)
    assert all(c["id"] and c["type"] == "function" for c in made)
    functions = [c["function"] for c in made]
    return message.get("content") or "", [_pair(f["name"], f["arguments"]) for f in functions]


def _chat_streamed(events: list[dict[str, Any]]) -> Said:
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    made = [c for delta in deltas for c in delta.get("tool_calls") or ()]
    assert [c["index"] for c in made] == [*range(len(made))]
    text = "".join(delta.get("content") or "" for delta in deltas)
    return _chat({"content": text, "tool_calls": made})


def _blocks(blocks: Sequence[dict[str, Any]]) -> Said:
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    used = [block for block in blocks if block["type"] == "tool_use"]
    assert len({block["id"] for block in used}) == len(used)
    return text, [_pair(block["name"], block["input"]) for block in used]


def _messages_streamed(events: list[dict[str, Any]]) -> Said:
    blocks = [dict(e["content_block"]) for e in events if e["type"] == "content_block_start"]
    for event in (e for e in events if e["type"] == "content_block_delta"):
        block, delta = blocks[event["index"]], event["delta"]
        if delta["type"] == "input_json_delta":
            block["input"] = (block["input"] or "") + delta["partial_json"]
        elif delta["type"] == "text_delta":
            block["text"] += delta["text"]
    return _blocks(blocks)


def _items(response: dict[str, Any]) -> Said:
    items = response["output"]
    text = "".join(i["content"][0]["text"] for i in items if i["type"] == "message")
    made = [i for i in items if i["type"] == "function_call"]
    return text, [_pair(i["name"], i["arguments"]) for i in made]


@dataclass(frozen=True)
class Way:
    """One API, asked plainly or for a stream."""

    api: Api
    tools: Callable[[dict[str, Any]], dict[str, Any]]
    plain: Callable[[dict[str, Any]], Said]
    streamed: Callable[[list[dict[str, Any]]], Said]

    async def ask(self, over: Swarm, text: str, /, *, stream: bool, **more: Any) -> Any:
        """(what was said, the vote's facts)."""
        body = {**more, **self.tools(more)}
        if stream:
            events = await self.api.stream(over, text, **body)
            return self.streamed(events), told(self.api, events)
        status, answer = await self.api.post(over, text, **body)
        assert status == 200, answer
        return self.plain(answer), answer["swarm"]


def _messages_tools(body: dict[str, Any]) -> dict[str, Any]:
    choice = body.get("tool_choice", "auto")
    kinds: dict[str, Any] = {"auto": "auto", "required": "any", "none": "none"}
    if isinstance(choice, dict):
        chosen = {"type": "tool", "name": choice["function"]["name"]}
    else:
        chosen = {"type": kinds[choice]}
    if body.get("parallel_tool_calls") is False:
        chosen["disable_parallel_tool_use"] = True
    tools = [{"name": name, "input_schema": schema} for name, schema in PARAMETERS.items()]
    return {"tools": tools, "tool_choice": chosen, "max_tokens": 4000}


def _responses_tools(body: dict[str, Any]) -> dict[str, Any]:
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        choice = {"type": "function", "name": choice["function"]["name"]}
    tools = [{"type": "function", "name": n, "parameters": p} for n, p in PARAMETERS.items()]
    return {"tools": tools, "tool_choice": choice}


OVER_CHAT = Way(
    CHAT, lambda _: {}, lambda body: _chat(body["choices"][0]["message"]), _chat_streamed
)
WAYS = [
    OVER_CHAT,
    OVER_CHAT,
    Way(MESSAGES, _messages_tools, lambda body: _blocks(body["content"]), _messages_streamed),
    Way(RESPONSES, _responses_tools, _items, lambda events: _items(events[-1]["response"])),
]


def script(all_cases: Sequence[Case]) -> dict[str, Any]:
    answers = {f"case {number}.": list(case.answers) for number, case in enumerate(all_cases)}
    return {"answers": answers, "answers_by": "seed"}


async def wrong_with(swarm: Swarm, number: int, case: Case) -> str:
    """What is wrong with how a case went; nothing where it went right."""
    way = OVER_CHAT if case.for_chat else WAYS[number % len(WAYS)]
    more = {"seed": 0, "swarm": {"samples": len(case.answers)}, "tools": TOOLS, **case.demands}
    if "response_format" in more:
        del more["tools"]
    if case.status != 200:
        status, _ = await CHAT.post(swarm, f"case {number}.", **more)
        return "" if status == case.status else f"status {status}"
    said, facts = await way.ask(swarm, f"case {number}.", stream=number % 8 >= 4, **more)
    right = [scripted(case.answers[i]) for i in case.right]
    if said not in right:
        return f"{said} won: {facts['reasons']}"
    voted = facts["answered"] - facts["abstained"]
    agreeing = facts["agreement"] * (voted if voted > 1 else facts["voters"])
    if case.agree is not None and round(agreeing, 1) != case.agree:
        return f"{agreeing} agree: {facts['reasons']}"
    return ""


@pytest.mark.parametrize("strategy", ["auto", "tools"])
async def test_the_right_answer_wins_in_every_case(strategy: str) -> None:
    assert len(ALL) >= 200
    async with swarm_of(WIDE, served={"strategy": strategy}) as swarm:
        await swarm.script(script(ALL))
        found = [(case.name, await wrong_with(swarm, i, case)) for i, case in enumerate(ALL)]
    assert [f"{name}: {wrong}" for name, wrong in found if wrong] == []


def test_no_case_is_won_by_what_is_wrong_too() -> None:
    for case in ALL:
        said = [scripted(answer) for answer in case.answers]
        wrong = [one for at, one in enumerate(said) if at not in case.right]
        assert all(said[at] not in wrong for at in case.right), case.name


async def test_calls_that_mean_the_same_end_a_vote_early() -> None:
    """By their schema: as plain JSON they differ."""
    answers = [
        calls(call("read", {"path": "./a", "offset": 1})),
        calls(call("read", {"offset": 1.0, "path": "a", "limit": 2000})),
        LONG,
    ]
    shape = Shape(script={"answers": answers, "token_s": 0.01}, ctx=8192)
    async with swarm_of(shape) as swarm:
        _, body = await swarm.chat("x", tools=TOOLS)
        await swarm.fake_until(lambda state: state["busy"] == 0)
    assert body["swarm"]["early"]["why"] == Ended.SETTLED.value
    assert body["swarm"]["agreement"] == 1.0
