"""Answers that break the request's own rules abstain, through a real gateway over fakes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_swarm.gateway import ballots
from local_swarm.gateway.stream import Pace
from tests.swarms import Shape, Swarm, message, swarm_of

PARAMETERS = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS}}
    for name in ("ls", "cat")
]
NAMED = {"type": "function", "function": {"name": "ls"}}


def call(name: str, arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments, "id": "call-1"}]}


TALK = "I would list the files."
LS = call("ls", {"path": "."})
CAT = call("cat", {"path": "."})
BAD_JSON = call("ls", '{"path": ')
NO_PATH = call("ls", {"where": "."})
UNKNOWN = call("rm", {"path": "."})
TWICE = {"tool_calls": [*LS["tool_calls"], *CAT["tool_calls"]]}


def scripted(*answers: Any) -> Shape:
    """The first three are the voters', the fourth is that of one more try (with seed=0)."""
    return Shape(script={"answers": list(answers), "answers_by": "seed"})


async def streamed(over: Swarm, **body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the delta with all of the answer put together, the swarm's facts)."""
    events = await over.stream("list", **body)
    whole: dict[str, Any] = {"content": "", "tool_calls": []}
    for event in events:
        for choice in event["choices"]:
            whole["content"] += choice["delta"].get("content") or ""
            whole["tool_calls"] += choice["delta"].get("tool_calls") or []
    return whole, events[-1]["swarm"]


async def requests(swarm: Swarm) -> list[dict[str, Any]]:
    return [r["body"] for r in (await swarm.fake())["requests"]]


@pytest.mark.parametrize(
    ("loser", "choice"),
    [
        (TALK, "required"),
        (UNKNOWN, "required"),
        (BAD_JSON, "required"),
        (NO_PATH, "required"),
        (TALK, NAMED),
        (CAT, NAMED),
        (UNKNOWN, "auto"),
        (BAD_JSON, "auto"),
        (NO_PATH, "auto"),
    ],
)
async def test_the_one_good_call_wins_against_two_that_break_the_rules(
    loser: Any, choice: Any
) -> None:
    async with swarm_of(scripted(loser, LS, loser)) as swarm:
        body = {"tools": TOOLS, "tool_choice": choice, "seed": 0}
        status, plain = await swarm.chat("list", **body)
        whole, facts = await streamed(swarm, **body)
        assert len(await requests(swarm)) == 2  # nothing was asked again
    assert status == 200
    (made,) = plain["choices"][0]["message"]["tool_calls"]
    assert made["function"]["name"] == "ls"
    assert json.loads(made["function"]["arguments"]) == {"path": "."}
    assert whole["tool_calls"][0]["function"] == made["function"]
    for told in (plain["swarm"], facts):
        assert (told["abstained"], told["answered"], told["voters"]) == (2, 3, 3)
        assert told["agreement"] == pytest.approx(1 / 3, abs=0.01)
        assert any("2 of 3 answers abstained" in reason for reason in told["reasons"])


async def test_mixed_answers_leave_the_right_calls_to_vote() -> None:
    async with swarm_of(
        Shape(slots=6, voters=5, script={"answers": [TALK, CAT, BAD_JSON, LS, LS]})
    ) as swarm:
        options = {"include_candidates": True}
        _, body = await swarm.chat("list", tools=TOOLS, tool_choice=NAMED, swarm=options)
    facts = body["swarm"]
    assert (facts["abstained"], facts["agreement"]) == (3, 1.0)
    rows = facts["candidates"]
    assert rows[facts["winner"]]["tool_calls"][0]["name"] == "ls"
    assert {row.get("breaks"): row["cluster"] for row in rows} == {
        "no_tool_call": None,
        "other_function": None,
        "arguments_not_an_object": None,
        None: 0,
    }


async def test_calls_abstain_where_none_are_wanted() -> None:
    async with swarm_of(scripted(LS, LS, TALK)) as swarm:
        _, body = await swarm.chat("list", tools=TOOLS, tool_choice="none", seed=0)
    assert body["choices"][0]["message"]["content"] == TALK


async def test_several_calls_abstain_where_one_is_wanted() -> None:
    async with swarm_of(scripted(TWICE, TWICE, CAT)) as swarm:
        _, one = await swarm.chat("list", tools=TOOLS, parallel_tool_calls=False, seed=0)
        _, both = await swarm.chat("list", tools=TOOLS, seed=0)
    assert len(one["choices"][0]["message"]["tool_calls"]) == 1
    assert len(both["choices"][0]["message"]["tool_calls"]) == 2


async def test_text_that_is_not_the_json_asked_for_abstains() -> None:
    good, wrong = '{"path": "."}', '{"where": "."}'
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": PARAMETERS}}
    async with swarm_of(scripted("Sure: {}", wrong, good)) as swarm:
        _, body = await swarm.chat("list", response_format=schema, seed=0)
        whole, _ = await streamed(swarm, response_format=schema, seed=0)
    assert body["choices"][0]["message"]["content"] == good
    assert whole["content"] == good
    assert body["swarm"]["abstained"] == 2


async def test_one_more_try_repairs_where_all_break_the_rules() -> None:
    async with swarm_of(scripted(TALK, CAT, BAD_JSON, LS)) as swarm:
        body = {"tools": TOOLS, "tool_choice": NAMED, "seed": 0}
        _, plain = await swarm.chat("list", **body)
        whole, facts = await streamed(swarm, **body)
        asked = await requests(swarm)
    assert plain["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "ls"
    assert whole["tool_calls"][0]["function"]["name"] == "ls"
    for told in (plain["swarm"], facts):
        assert (told["voters"], told["answered"], told["abstained"]) == (4, 4, 3)
    assert [(b.get("n", 1), b["seed"]) for b in asked] == [(3, 0), (1, 3)] * 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_cannot_keep_the_rules_is_a_422_after_one_more_try(
    stream: bool,
) -> None:
    async with swarm_of(Shape(script={"answers": [TALK]})) as swarm:
        body = message("list", tools=TOOLS, tool_choice="required", stream=stream)
        async with swarm.client.post(swarm.chat_url, json=body) as response:
            error = (await response.json())["error"]
        assert response.status == 422
        assert (error["code"], error["type"]) == ("no_valid_answer", "invalid_request_error")
        assert "no tool call" in error["message"]
        assert response.headers["X-Swarm-Error-Source"] == "worker"
        assert len(await requests(swarm)) == 2
        await swarm.fake_until(lambda state: state["busy"] == 0)


async def test_a_stream_whose_200_is_out_ends_in_an_answer_and_not_in_an_error() -> None:
    pace = {"pace": Pace(first_byte_s=0.001, keepalive_s=5.0)}
    async with swarm_of(Shape(script={"answers": [TALK]}), chat=pace) as swarm:
        whole, facts = await streamed(swarm, tools=TOOLS, tool_choice="required")
    assert whole["content"] == TALK
    assert "No answer keeps the request's rules." in facts["reasons"]


async def test_a_wrong_call_that_was_only_offered_goes_to_the_client_after_one_more_try() -> None:
    async with swarm_of(Shape(script={"answers": [UNKNOWN]})) as swarm:
        status, body = await swarm.chat("list", tools=TOOLS)
        assert len(await requests(swarm)) == 2
    assert status == 200
    assert body["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "rm"
    assert "No answer keeps the request's rules." in body["swarm"]["reasons"]


async def test_json_that_the_clients_limit_cut_off_is_given_as_it_is() -> None:
    text = '{"path": "a b c d e f"}'
    async with swarm_of(Shape(script={"answers": [text]})) as swarm:
        form = {"type": "json_object"}
        status, body = await swarm.chat("list", response_format=form, max_tokens=4)
        assert len(await requests(swarm)) == 1
    assert status == 200
    assert body["choices"][0]["finish_reason"] == "length"


async def test_at_temperature_0_nothing_is_asked_again() -> None:
    async with swarm_of(Shape(script={"answers": [TALK]})) as swarm:
        status, _ = await swarm.chat("list", tools=TOOLS, tool_choice="required", temperature=0)
        assert len(await requests(swarm)) == 1
    assert status == 422


@pytest.mark.parametrize("how", [{"model": "fake:solo"}, {"swarm": {"strategy": "off"}}])
async def test_one_workers_own_words_are_left_as_they_are(how: dict[str, Any]) -> None:
    async with swarm_of(Shape(script={"answers": [TALK]})) as swarm:
        body = {"tools": TOOLS, "tool_choice": "required", **how}
        status, plain = await swarm.chat("list", **body)
        whole, _ = await streamed(swarm, **body)
    assert status == 200
    assert plain["choices"][0]["message"]["content"] == TALK
    assert whole["content"] == TALK


async def test_of_several_choices_those_that_break_the_rules_come_last() -> None:
    async with swarm_of(scripted(TALK, LS, LS)) as swarm:
        _, body = await swarm.chat("list", tools=TOOLS, tool_choice="required", n=3, seed=0)
    assert [bool(c["message"].get("tool_calls")) for c in body["choices"]] == [True, True, False]


async def test_a_named_function_that_is_not_in_tools_is_refused_before_anything_is_asked() -> None:
    choice = {"type": "function", "function": {"name": "rm"}}
    async with swarm_of(Shape()) as swarm:
        status, body = await swarm.chat("list", tools=TOOLS, tool_choice=choice)
        assert await requests(swarm) == []
    assert (status, body["error"]["param"]) == (400, "tool_choice")


@pytest.mark.parametrize(
    "property_schema", [{"maximum": 10**40}, {"type": "string", "pattern": "^(a+)+$"}]
)
async def test_a_schema_that_cannot_be_sent_or_takes_for_ever_fails_no_request(
    property_schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ballots, "LONGEST_VOTE_S", 1.0)
    schema = {"type": "json_object", "schema": {"properties": {"a": property_schema}}}
    answer = json.dumps({"a": "a" * 40 + "!"})
    async with swarm_of(Shape(script={"answers": [answer]})) as swarm:
        status, _ = await swarm.chat("list", response_format=schema)
        again, body = await swarm.chat("list")
    assert (status, again) == (200, 200)
    assert body["swarm"]["agreement"] == 1.0
