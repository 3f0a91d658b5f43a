"""Which answers break the rules of their own request."""

from __future__ import annotations

from typing import Any

import pytest

from local_swarm.consensus.rules import breaks, is_bearable
from local_swarm.domain.candidate import Candidate, ToolCall
from local_swarm.domain.rules import Breach, Calls, Rules

PATH = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "depth": {"type": "integer"}},
    "required": ["path"],
}
FUNCTIONS = {"ls": PATH, "pwd": None}
REQUIRED = Rules(functions=FUNCTIONS, calls=Calls.REQUIRED)
NAMED = Rules(functions=FUNCTIONS, calls=Calls.REQUIRED, function="ls")
OFFERED = Rules(functions=FUNCTIONS)
NONE = Rules(functions=FUNCTIONS, calls=Calls.NONE)
ONE_CALL = Rules(functions=FUNCTIONS, one_call=True)
TALK = Candidate("I would list the files.")


def said(*calls: tuple[str, str]) -> Candidate:
    return Candidate("", tuple(ToolCall("id", name, arguments) for name, arguments in calls))


LS = ("ls", '{"path": "."}')
PWD = ("pwd", "{}")


@pytest.mark.parametrize(
    ("rules", "candidate", "breach"),
    [
        (REQUIRED, said(LS), None),
        (REQUIRED, said(LS, PWD), None),
        (REQUIRED, TALK, Breach.NO_CALL),
        (REQUIRED, said(("rm", "{}")), Breach.UNKNOWN_FUNCTION),
        (NAMED, said(LS), None),
        (NAMED, said(PWD), Breach.OTHER_FUNCTION),
        (NAMED, said(LS, PWD), Breach.OTHER_FUNCTION),
        (NAMED, TALK, Breach.NO_CALL),
        (NONE, TALK, None),
        (NONE, said(LS), Breach.FORBIDDEN_CALL),
        (OFFERED, TALK, None),
        (OFFERED, said(("rm", "{}")), Breach.UNKNOWN_FUNCTION),
        (ONE_CALL, said(LS), None),
        (ONE_CALL, said(LS, LS), Breach.SEVERAL_CALLS),
        (Rules(), said(("rm", "no JSON")), None),
    ],
)
def test_tool_choice(rules: Rules, candidate: Candidate, breach: Breach | None) -> None:
    assert breaks(rules, candidate) is breach


@pytest.mark.parametrize(
    ("call", "breach"),
    [
        (("pwd", ""), None),
        (("pwd", '{"any": 1}'), None),
        (("pwd", "{"), Breach.BAD_ARGUMENTS),
        (("pwd", "[1]"), Breach.BAD_ARGUMENTS),
        (("pwd", '"{}"'), Breach.BAD_ARGUMENTS),
        (("pwd", "{'a': 1}"), Breach.BAD_ARGUMENTS),
        (("pwd", "[" * 100_000), Breach.BAD_ARGUMENTS),
        (("ls", "{}"), Breach.WRONG_ARGUMENTS),
        (("ls", '{"path": 5}'), Breach.WRONG_ARGUMENTS),
        (("ls", '{"path": ".", "depth": 2.0}'), None),
        (("ls", '{"path": ".", "depth": "2"}'), Breach.WRONG_ARGUMENTS),
        (("ls", '{"path": "' + "x" * 300_000 + '"'), None),  # too long to be judged
    ],
)
def test_arguments(call: tuple[str, str], breach: Breach | None) -> None:
    assert breaks(OFFERED, said(call)) is breach


@pytest.mark.parametrize(
    ("text", "plain", "with_schema"),
    [
        ('{"path": "."}', None, None),
        (' {"path": "."}\n', None, None),
        ("{}", None, Breach.WRONG_JSON),
        ("[]", Breach.NOT_JSON, Breach.WRONG_JSON),
        ("", Breach.NOT_JSON, Breach.NOT_JSON),
        ("Here: {}", Breach.NOT_JSON, Breach.NOT_JSON),
        ("```json\n{}\n```", Breach.NOT_JSON, Breach.NOT_JSON),
        ('{"path": NaN}', Breach.NOT_JSON, Breach.NOT_JSON),
    ],
)
def test_response_format(text: str, plain: Breach | None, with_schema: Breach | None) -> None:
    assert breaks(Rules(json=True), Candidate(text)) is plain
    assert breaks(Rules(json=True, schema=PATH), Candidate(text)) is with_schema


def test_the_format_is_of_the_text_and_a_tool_call_needs_none() -> None:
    assert breaks(Rules(functions=FUNCTIONS, json=True), said(LS)) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"type": 5},
        {"$ref": "#"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"properties": {"a": {"pattern": "("}}},
        {"$schema": ["odd"]},
    ],
)
def test_a_schema_that_cannot_be_applied_breaks_nothing(schema: dict[str, Any]) -> None:
    assert breaks(Rules(json=True, schema=schema), Candidate('{"a": "b"}')) is None


def test_wrong_calls_are_bearable_where_they_were_only_offered() -> None:
    assert is_bearable(OFFERED, Breach.BAD_ARGUMENTS, said(("ls", "{")))
    assert not is_bearable(REQUIRED, Breach.BAD_ARGUMENTS, said(("ls", "{")))
    assert not is_bearable(NONE, Breach.FORBIDDEN_CALL, said(LS))
    assert not is_bearable(Rules(json=True), Breach.NOT_JSON, TALK)


def test_what_the_limit_cut_off_is_bearable() -> None:
    cut = Candidate('{"a": ', finish_reason="length")
    assert breaks(Rules(json=True), cut) is Breach.NOT_JSON
    assert is_bearable(Rules(json=True), Breach.NOT_JSON, cut)
