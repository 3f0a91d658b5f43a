"""Votes on tool calls and on JSON: what is the same, and which of several wins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.consensus import deliberate, settled, vote
from local_swarm.consensus.ballot import prepare
from local_swarm.consensus.forms import schema
from local_swarm.consensus.rules import breaks
from local_swarm.consensus.scoring.agreement import agreement, known_fields
from local_swarm.domain.candidate import Candidate, ToolCall
from local_swarm.domain.evidence import Evidence
from local_swarm.domain.rules import Calls, Rules
from local_swarm.domain.verdict import Verdict

READ: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "limit": {"type": "integer", "default": 100},
        "deep": {"type": "boolean"},
        "mode": {"enum": ["text", "binary"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "at": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "range": {"$ref": "#/$defs/range"},
    },
    "required": ["path"],
    "additionalProperties": False,
    "$defs": {
        "range": {
            "type": "object",
            "properties": {"from": {"type": "integer", "default": 0}, "to": {"type": "number"}},
        }
    },
}
WRITE: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
    "required": ["path", "content"],
}
RULES = Rules(functions={"read": READ, "write": WRITE, "run": None})


def call(name: str, arguments: Any, id_: str = "1") -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(id_, name, text)


def said(*calls: ToolCall) -> Candidate:
    return Candidate("", calls)


def read(**arguments: Any) -> Candidate:
    return said(call("read", arguments))


def write(content: str, path: str = "a.py") -> Candidate:
    return said(call("write", {"path": path, "content": content}))


def key(candidate: Candidate | str, rules: Rules = RULES) -> str:
    return prepare("", [candidate], rules).entries[0].form.key


def decided(
    candidates: Sequence[str | Candidate],
    rules: Rules | None = RULES,
    strategy: str = "auto",
) -> Verdict:
    verdict = deliberate("", candidates, strategy=strategy, rules=rules)
    assert isinstance(verdict, Verdict)
    return verdict


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"path": "a", "limit": 5}, '{"limit":5.0,"path":"a"}'),
        ({"path": "a", "limit": 5}, {"path": "a", "limit": "5"}),
        ({"path": "a", "limit": 5}, {"path": "a", "limit": " 5 "}),
        ({"path": "a"}, {"path": "a", "limit": 100}),
        ({"path": "a"}, {"path": "a", "limit": None}),
        ({"path": "a"}, {"path": "a", "deep": None}),
        ({"path": "a"}, {"path": "a", "at": None}),
        ({"path": "a", "deep": True}, {"path": "a", "deep": "true"}),
        ({"path": "a", "deep": False}, {"path": "a", "deep": "False"}),
        ({"path": "a", "at": 7}, {"path": "a", "at": "7"}),
        ({"path": "5"}, {"path": 5}),
        ({"path": "a"}, {"path": "./a"}),
        ({"path": "src/a"}, {"path": "./src//a/"}),
        ({"path": "a"}, {"path": " a\n"}),
        ({"path": "caf\u00e9"}, {"path": "cafe\u0301"}),
        ({"path": "a", "tags": ["1"]}, {"path": "a", "tags": [1]}),
        ({"path": "a", "tags": ["x"]}, {"path": "a", "tags": '["x"]'}),
        ({"path": "a", "range": {"from": 0, "to": 2}}, {"path": "a", "range": {"to": 2.0}}),
        ({"path": "a", "range": {"to": 2}}, {"path": "a", "range": '{"to": "2"}'}),
    ],
)
def test_arguments_that_mean_the_same_are_the_same(one: Any, other: Any) -> None:
    assert key(said(call("read", one))) == key(said(call("read", other, "2")))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"path": "a"}, {"path": "b"}),
        ({"path": "a"}, {"path": "A"}),
        ({"path": "a"}, {"path": "../a"}),
        ({"path": "/a"}, {"path": "a"}),
        ({"path": "http://a//b"}, {"path": "http://a/b"}),
        ({"path": "a", "limit": 1}, {"path": "a", "limit": True}),
        ({"path": "a", "limit": 5}, {"path": "a", "limit": "5a"}),
        ({"path": "a", "deep": True}, {"path": "a", "deep": False}),
        ({"path": "a", "deep": True}, {"path": "a"}),
        ({"path": "a", "at": 0}, {"path": "a"}),
        ({"path": "a", "tags": ["x", "y"]}, {"path": "a", "tags": ["y", "x"]}),
        ({"path": "a", "tags": []}, {"path": "a"}),
        ({"path": "a", "limit": 9007199254740993}, {"path": "a", "limit": 9007199254740992}),
        ({"path": "a"}, '{"path": "a"'),
    ],
)
def test_arguments_that_mean_something_else_are_not(one: Any, other: Any) -> None:
    assert key(said(call("read", one))) != key(said(call("read", other)))


def test_without_a_schema_types_and_nulls_stay_apart() -> None:
    def run(value: Any) -> str:
        return key(said(call("run", value)))

    assert run({"n": 5}) != run({"n": "5"})
    assert run({"n": None}) != run({})
    assert run({"n": 5.0}) == run({"n": 5})
    assert run("") == run({})


def test_programs_are_compared_by_what_they_do() -> None:
    body = "def f(a, b):\n    return a + b\n"
    same = 'def f(x, y):\n    """Sum."""\n    return (x + y)'
    assert key(write(body)) == key(write(same))
    assert key(write(body)) != key(write(body.replace("+", "-")))
    assert key(write(body)) != key(write("    " + body.replace("\n", "\n    ")))
    assert key(write('{"a": 1,\n "b": 2}')) == key(write('{"b":2.0,"a":1}'))
    assert key(write("x = 1  \n\n")) == key(write("x = 1"))


def test_what_the_client_looks_for_is_compared_to_the_letter() -> None:
    def edit(old: str) -> str:
        return key(said(call("run", {"old_string": old, "new_string": "y"})))

    assert edit("x = f( a )\ny = 2") != edit("x = f(a)\ny = 2")
    assert edit("  x") != edit("x")


def test_parallel_calls_are_a_set_without_order_that_counts_doubles() -> None:
    a, b = call("read", {"path": "a"}), call("read", {"path": "b"}, "2")
    assert key(said(a, b)) == key(said(b, a))
    assert key(said(a, b)) != key(said(a))
    assert key(said(a, a)) != key(said(a))
    assert key(said(a, a, b)) != key(said(a, b, b))


def test_json_is_read_by_its_own_schema() -> None:
    rules = Rules(json=True, schema=READ)
    assert key('{"path": "a"}', rules) == key('{"limit": "100", "path": "./a"}', rules)
    assert key('{"path": "a"}', Rules()) != key('{"limit": 100, "path": "a"}', Rules())


def test_without_a_majority_the_call_wins_whose_every_argument_has_most_support() -> None:
    calls = [
        read(path="a", limit=1),
        read(path="a", limit=1),
        read(path="b", limit=2),
        read(path="b", limit=3),
        read(path="b", limit=1),
    ]
    verdict = decided(calls)
    assert verdict.index == 4
    assert verdict.agreement == pytest.approx(1 / 5)
    assert verdict.clusters[0] == (0, 1)


def test_the_functions_are_decided_before_the_arguments() -> None:
    calls = [
        said(call("run", {"command": "ls"})),
        said(call("run", {"command": "ls"})),
        read(path="a", limit=1),
        read(path="b", limit=2),
        read(path="c", limit=2),
    ]
    assert decided(calls).index in (3, 4)


def test_of_long_texts_the_one_most_like_the_others_wins() -> None:
    base = "the quick brown fox jumps over the lazy dog near the old river bank today"
    words = base.split()
    others = [" ".join([*words[:i], "WRONG", *words[i + 1 :]]) for i in (1, 5, 9, 13)]
    candidates = [said(call("run", {"message": text})) for text in (*others, base)]
    assert decided(candidates).index == 4


def test_texts_that_only_share_a_language_hardly_agree() -> None:
    texts = (
        "Please restart the server and tell me when it is up again.",
        "The invoice from March was never paid by this customer.",
    )
    one, two = (prepare("", [said(call("run", {"message": t}))]).entries[0] for t in texts)
    fields = known_fields([one.form.parts, two.form.parts])
    assert agreement(one.form.parts, two.form.parts, fields) < 0.25


@pytest.mark.parametrize("strategy", ["auto", "tools"])
def test_the_word_of_a_better_model_counts_more(strategy: str) -> None:
    paths = [("a", "large"), ("b", "small"), ("b", "small"), ("c", "small")]
    candidates = [
        Candidate("", (call("read", {"path": path}),), model=model) for path, model in paths
    ]
    assert decided(candidates, strategy=strategy).index in (1, 2)
    skills = Evidence(skills={"large": 2.5, "small": 0.5})
    skilled = deliberate("", candidates, strategy=strategy, rules=RULES, evidence=skills)
    assert isinstance(skilled, Verdict)
    assert skilled.index == 0


def test_short_texts_and_names_are_equal_or_not() -> None:
    candidates = [read(path=f"src/very/long/package/module_{i}.py", limit=i % 2) for i in range(5)]
    (one, *_), (two, *_) = [prepare("", [c]).entries[0].form.parts for c in candidates[:2]]
    assert agreement([one], [two], known_fields([[one], [two]])) == 0.0


def test_a_majority_that_breaks_its_schema_has_no_say() -> None:
    wrong = read(where="a")
    verdict = decided([wrong, wrong, wrong, read(path="a")])
    assert verdict.index == 3
    assert verdict.agreement == pytest.approx(1 / 4)
    assert decided([wrong, wrong]).index in (0, 1)


@pytest.mark.parametrize("strategy", ["auto", "tools"])
def test_where_a_call_is_demanded_text_has_no_say(strategy: str) -> None:
    rules = Rules(functions=RULES.functions, calls=Calls.REQUIRED)
    assert decided(["Done."] * 5 + [read(path="a")], rules, strategy).index == 5
    rules = Rules(functions=RULES.functions, calls=Calls.NONE)
    assert decided([read(path="a")] * 5 + ["Done."], rules, strategy).index == 5


def test_auto_counts_every_class_apart_and_tools_calls_against_all_others() -> None:
    code = "```python\ndef f(a):\n    return a\n```"
    answers: list[str | Candidate] = [
        read(path="a"),
        read(path="a"),
        read(path="b"),
        "It is done.",
        "Fine.",
        code,
        code,
    ]
    assert decided(answers, strategy="auto").index in (0, 1)
    assert decided(answers, strategy="tools").index > 2
    assert decided(["Done.", read(path="a")], strategy="tools").index == 1
    assert decided(["Done.", "Done."], strategy="tools").strategy == "tools"


def test_ids_do_not_tell_spellings_apart() -> None:
    often = [said(call("read", '{"path":"a"}', str(i))) for i in range(3)]
    rare = said(call("read", {"path": "./a"}, "0"))
    assert decided([rare, *often]).index > 0


def test_a_lead_in_calls_is_settled_only_where_no_argument_can_turn_it() -> None:
    one = [read(path="a", limit=1)] * 3
    others = [read(path="b", limit=2), read(path="b", limit=3)]
    texts = ["No.", "Never."]
    assert settled("", [*one, *others], 0, strategy="auto", rules=RULES)
    assert not settled("", [*one, *others, read(path="b", limit=4)], 1, strategy="auto")
    assert settled("", [*one, read(path="b"), *texts], 1, strategy="auto", rules=RULES)
    by_type = [read(path="a"), read(path="./a", limit=100.0), read(path="a", limit=100)]
    assert settled("", by_type, 2, strategy="auto", rules=RULES)
    assert not settled("", by_type, 2, strategy="auto")


def test_what_breaks_the_rules_settles_nothing() -> None:
    wrong = [read(where="a")] * 4
    assert not settled("", wrong, 1, strategy="auto", rules=RULES)
    assert settled("", wrong, 1, strategy="auto")
    assert settled("", [*wrong, *[read(path="a")] * 3], 2, strategy="auto", rules=RULES)


paths = st.sampled_from(["a", "./a", "b", "src/c", "", 5, None])
limits = st.sampled_from([1, "1", 1.0, 2, None, "x", True, 100])
texts = st.sampled_from(
    [
        "def f(a):\n    return a\n",
        "def f(b):\n    return b",
        "def f(a):\n    return a + 1\n",
        "a long enough text with several words in it",
        "a long enough text with other words in it",
        "{",
        '{"a": 1}',
    ]
)
arguments = st.one_of(
    st.fixed_dictionaries({"path": paths}, optional={"limit": limits, "deep": limits}),
    st.fixed_dictionaries({"path": paths, "content": texts}),
    st.fixed_dictionaries({}, optional={"x": texts, "range": st.just({"to": "3"})}),
).map(json.dumps) | st.sampled_from(["", "{", "[1]", "null"])
call_lists = st.lists(
    st.builds(ToolCall, st.text("xyz", max_size=2), st.sampled_from(["read", "write"]), arguments),
    min_size=1,
    max_size=3,
).map(tuple)
documents = arguments.map(Candidate)
answers = st.one_of(
    st.builds(
        Candidate, st.just(""), call_lists, finish_reason=st.sampled_from(["stop", "length"])
    ),
    documents,
    st.sampled_from([Candidate("Done."), Candidate("It is done."), Candidate("")]),
)
ballots = st.lists(answers, min_size=1, max_size=7)
demands = st.sampled_from(
    [
        RULES,
        Rules(),
        Rules(functions=RULES.functions, calls=Calls.REQUIRED),
        Rules(functions=RULES.functions, one_call=True),
        Rules(json=True, schema=READ),
    ]
)


def content(candidate: Candidate) -> tuple[str, tuple[tuple[str, str], ...]]:
    return candidate.text, tuple((c.name, c.arguments) for c in candidate.tool_calls)


@pytest.mark.parametrize("strategy", ["auto", "tools"])
@settings(max_examples=150, deadline=None)
@given(st.data(), ballots, demands)
def test_the_order_of_arrival_does_not_matter(
    strategy: str, data: st.DataObject, candidates: list[Candidate], rules: Rules
) -> None:
    shuffled = data.draw(st.permutations(candidates))
    one, other = decided(candidates, rules, strategy), decided(shuffled, rules, strategy)
    assert content(candidates[one.index]) == content(shuffled[other.index])
    assert (one.agreement, one.confidence) == (other.agreement, other.confidence)
    assert one == decided(candidates, rules, strategy)


@pytest.mark.parametrize("strategy", ["auto", "tools"])
@settings(max_examples=150, deadline=None)
@given(st.data(), ballots, demands)
def test_a_copy_of_the_winner_never_unseats_it(
    strategy: str, data: st.DataObject, candidates: list[Candidate], rules: Rules
) -> None:
    winner = candidates[decided(candidates, rules, strategy).index]
    place = data.draw(st.integers(0, len(candidates)))
    more = [*candidates[:place], winner, *candidates[place:]]
    assert content(more[decided(more, rules, strategy).index]) == content(winner)


@settings(max_examples=150, deadline=None)
@given(ballots, demands)
def test_what_keeps_the_rules_wins_over_what_breaks_them(
    candidates: list[Candidate], rules: Rules
) -> None:
    kept = [c for c in candidates if breaks(rules, c) is None]
    if any(content(c) != ("", ()) for c in kept):
        assert breaks(rules, candidates[decided(candidates, rules).index]) is None


@settings(max_examples=200, deadline=None)
@given(call_lists, call_lists)
def test_agreement_is_symmetric_and_greatest_with_itself(
    one: tuple[ToolCall, ...], other: tuple[ToolCall, ...]
) -> None:
    first, second = [e.form.parts for e in prepare("", [said(*one), said(*other)], RULES).entries]
    fields = known_fields([first, second])
    assert agreement(first, first, fields) == 1.0
    assert agreement(first, second, fields) == agreement(second, first, fields)
    assert 0.0 <= agreement(first, second, fields) <= 1.0


@settings(max_examples=200, deadline=None)
@given(arguments, st.sampled_from([READ, WRITE]))
def test_what_is_quick_to_read_speaks_only_against_what_breaks_the_schema(
    text: str, asked: dict[str, Any]
) -> None:
    rules = Rules(json=True, schema=asked)
    try:
        value = json.loads(text)
    except ValueError:
        return
    if not schema.fits(value, asked):
        assert breaks(rules, Candidate(text)) is not None
    assert schema.meant(schema.meant(value, asked), asked) == schema.meant(value, asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"properties": {"path": {"$ref": "#/nowhere"}}},
        {"properties": {"path": {"$ref": "http://127.0.0.1:9/a.json"}}},
        {"type": 5, "properties": 7, "required": 3, "enum": "a", "anyOf": {}, "items": []},
        {"type": ["no such type"]},
        {"properties": {"path": True}, "additionalProperties": True, "items": False},
        {"$defs": {"a": {"oneOf": [{"$ref": "#/$defs/a"}] * 9}}, "$ref": "#/$defs/a"},
    ],
)
def test_no_schema_is_too_odd_to_be_read(asked: dict[str, Any]) -> None:
    rules = Rules(functions={"read": asked})
    assert decided([read(path="a"), read(path="b"), read(path="a")], rules).index in (0, 2)


def test_large_answers_are_compared_in_bounded_time() -> None:
    long = ["word " * 50_000 + str(i) for i in range(8)]
    many = [{f"k{i}": f"a text of some words {i} {n}" * 9 for i in range(500)} for n in range(8)]
    assert vote("", [write(text) for text in long]).index in range(8)
    assert vote("", [said(call("run", each)) for each in many]).index in range(8)
