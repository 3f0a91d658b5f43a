"""Calls that are tried: of the right shapes, different, the same every time."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from local_swarm.consensus.execution import asked, examples, inputs, values
from local_swarm.consensus.reading.repair import find_header


def calls(prompt: str, *programs: str, limit: int = inputs.MAX_CALLS) -> list[tuple[Any, ...]]:
    """The arguments of every call."""
    function = asked.find(prompt, find_header(prompt), programs)
    assert function is not None
    found = examples.find(prompt, function)
    prose = examples.hide(prompt, function)
    made = inputs.calls(function, prose, found, programs, limit)
    nodes = [ast.parse(call, mode="eval").body for call in made]
    return [tuple(map(ast.literal_eval, node.args)) for node in nodes]  # type: ignore[attr-defined]


def kinds(prompt: str, *programs: str, place: int = 0) -> set[str]:
    return {type(arguments[place]).__name__ for arguments in calls(prompt, *programs)}


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("int", "int"),
        ("'str'", "str"),
        ("float", "float"),
        ("bool", "bool"),
        ("List[int]", "list"),
        ("list[str] | None", "list"),
        ("Tuple[int, str]", "tuple"),
        ("typing.Dict[str, int]", "dict"),
        ("set[int]", "set"),
    ],
)
def test_annotations_say_what_is_given(annotation: str, kind: str) -> None:
    given = kinds(f"def f(q: {annotation}):\n")
    assert kind in given
    assert given <= {kind, "NoneType"}


def test_what_is_optional_is_left_out_at_times() -> None:
    assert kinds("def f(q: Optional[int]):\n") == {"int", "NoneType"}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Given a list of strings q, join them.", "list"),
        ("You get a string q and reverse it.", "str"),
        ("Takes a dictionary and counts its keys.", "dict"),
        ("q is a positive integer.", "int"),
        ("Accepts a matrix of numbers.", "list"),
        ("Given an array of integers.", "list"),
    ],
)
def test_the_words_of_the_prompt_say_what_is_given(words: str, kind: str) -> None:
    assert kind in kinds(f'def f(q):\n    """{words}"""\n')


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("return q.upper() + q.strip()", "str"),
        ("return sum(x * 2 for x in q)", "list"),
        ("return [x.lower() for x in q if len(x) > 2] + q.copy()", "list"),
        ("return q % 7 + abs(q)", "int"),
        ("return {k: v for k, v in q.items()}", "dict"),
        ("return all(c in 'aeiou' for c in q)", "str"),
    ],
)
def test_the_programs_say_what_is_given(body: str, kind: str) -> None:
    assert kind in kinds("def f(q):\n", f"def f(q):\n    {body}")


def test_calls_are_made_near_the_examples() -> None:
    prompt = 'def f(q, w):\n    """f([7, 8, 9], "mno") == 1"""\n'
    given = calls(prompt)
    assert ([7, 8, 9], "mno") not in given  # the example itself is run anyway
    assert ([9, 8, 7], "mno") in given or ([7, 8], "mno") in given
    assert any(q == [7, 8, 9] and sorted(w) == list("mno") for q, w in given)


def test_what_the_prompt_excludes_is_not_given() -> None:
    words = "q is a non-empty sorted list of positive integers, without duplicates."
    prompt = f'def f(q: List[int]):\n    """{words}"""\n'
    for (q,) in calls(prompt):
        assert q
        assert min(q) > 0
        assert len(set(q)) == len(q)


def test_texts_that_the_prompt_quotes_are_tried() -> None:
    prompt = 'def f(q: str):\n    """q has \'(\' and \')\' only."""\n'
    given = [q for (q,) in calls(prompt)]
    assert "(()())" in given
    assert any(set(q) <= set("()") for q in given)


def test_a_format_in_the_prompt_is_filled_with_digits() -> None:
    prompt = 'def f(q: str):\n    """A date such as dd/mm/yyyy."""\n'
    assert any(q.count("/") == 2 and q.replace("/", "").isdigit() for (q,) in calls(prompt))


def test_calls_are_different_bounded_and_always_the_same() -> None:
    prompt = "def f(q: List[int], w: str):\n"
    programs = ("def f(q, w):\n    return q[3:]", "def f(q, w):\n    return w * 12")
    first = calls(prompt, *programs)
    assert calls(prompt, *programs[::-1]) == first
    assert len(set(map(repr, first))) == len(first) <= inputs.MAX_CALLS
    assert len(first) >= 20
    assert max(len(repr(one)) for one in first) < 1_000


def test_whole_numbers_stay_small() -> None:
    given = calls("def f(n: int):\n", "def f(n):\n    return n % 1000000007")
    assert max(abs(n) for (n,) in given) <= 1_001


def test_arguments_of_one_call_have_to_do_with_each_other() -> None:
    assert any(w and w in q for q, w in calls("def f(q: str, w: str):\n"))
    assert any(q and 0 < w <= len(q) for q, w in calls("def f(q: List[int], w: int):\n"))
    assert any(
        q and sorted(map(repr, q)) == sorted(map(repr, w))
        for q, w in calls("def f(q: list, w: list):\n")
    )
    assert any(z == x + y for x, y, z in calls("def f(x: int, y: int, z: int):\n"))


@pytest.mark.parametrize(
    "value",
    [1, -0.5, "it's", None, True, [1, [2]], (1,), (), {"a": {1}}, {3, 1, 2}, set(), {(1, 2): []}],
)
def test_values_are_spelled_so_that_they_are_read_again(value: Any) -> None:
    assert values.read(values.spelled(value)) == value


def test_a_value_has_one_spelling() -> None:
    assert values.spelled({"b", "a", "c"}) == "{'a', 'b', 'c'}"
    assert values.read(values.spelled(float("-inf"))) == float("-inf")


def test_shapes_nested_too_deep_are_not_made() -> None:
    deep = "List[" * 60 + "int" + "]" * 60
    assert {type(q) for (q,) in calls(f"def f(q: {deep}):\n")} <= {int, str, list}


@pytest.mark.parametrize(
    "value", ["[1, 'a', None, [2]]", "{'a': [1], 2: ()}", "[[]]", "((1, 'a'),)"]
)
def test_any_example_can_be_varied(value: str) -> None:
    prompt = f'def f(q, w, e):\n    """f({value}, "ab", {value}) == 1\n    f([], "", 0.5) == 2"""\n'
    assert len(calls(prompt)) > 10
