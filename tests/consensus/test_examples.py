"""Examples as people write them, found in prompts and hidden from them."""

from __future__ import annotations

from typing import Any

import pytest

from local_swarm.consensus.execution import asked, examples
from local_swarm.consensus.execution.examples import Example
from local_swarm.consensus.reading.repair import find_header

ONE = "def twice(n):\n"
TWO = "def gap(xs, limit):\n"


def found(prompt: str) -> tuple[Example, ...]:
    function = asked.find(prompt, find_header(prompt), ())
    assert function is not None
    return examples.find(prompt, function)


def said(prompt: str) -> list[tuple[str, Any]]:
    return [(one.call, one.expected) for one in found(prompt)]


@pytest.mark.parametrize(
    "line",
    [
        "twice(2) == 4",
        "twice(2) = 4",
        "twice(2) => 4",
        "twice(2) ==> 4",
        "twice(2) -> 4",
        "twice(2) --> 4",
        "twice(2) ➞ 4",
        "twice(2) → 4",
        "twice(2)   # => 4",
        "twice(2)  # returns 4",
        "twice(2) returns 4",
        "twice(2) should return 4.",
        "twice(2) gives 4, as it should",
        "twice(2) is equal to 4",
        "`twice(2)` -> `4`",
        "* `twice(2)` returns **4**",
        "twice(2) == 4  # two times two",
        "twice(2) -> 2 + 2 = 4",
        "For example, twice(2) will be 4 because 2 + 2 is.",
        "assert twice(2) == 4",
        "assert 4 == twice(2)",
        ">>> twice(2) == 4",
        ">>> twice(2) == 4\n    True",
        ">>> twice(2)\n    4",
        ">>> n = 2\n    >>> twice(n)\n    4",
        "Input: n = 2\n    Output: 4",
        "Input: 2\n    Output: 4",
        "**Input:** 2\n    **Output:** 4",
        "For n = 2 the output should be 4",
        "for n = 2, the result is 4.",
        "When n is 2 the function returns 4",
    ],
)
def test_every_common_spelling_is_read(line: str) -> None:
    prompt = f'{ONE}    """Two times n.\n\n    {line}\n    """\n'
    assert said(prompt) == [("twice(2)", 4)]
    assert found(prompt)[0].trusted


@pytest.mark.parametrize(
    ("line", "call", "expected"),
    [
        ("gap([1, 2,\n     3], 1) == [(1, 2),\n     (2, 3)]", None, [(1, 2), (2, 3)]),
        ("gap([1], 2) returns 1, 2", "gap([1], 2)", (1, 2)),
        ("gap([], 2) => true", "gap([], 2)", True),
        ("gap([null], 2) == None", "gap([None], 2)", None),
        ("gap([1.5], -2) -> -0.25", "gap([1.5], -2)", -0.25),
        ('gap(["a, b", "it\'s"], 0) == "x == y"', None, "x == y"),
        ("gap(xs=[1], limit=2) == 3", "gap(xs=[1], limit=2)", 3),
        ("round(gap([1], 2), 2)", None, None),
        (">>> round(gap([1], 2), 2)\n    0.33", "round(gap([1], 2), 2)", 0.33),
        (">>> gap([1], 2) # why\n    {'a': [1]}", "gap([1], 2)", {"a": [1]}),
        ("Input: xs = [1, 2], limit = 3\n    Output: [1]", "gap([1, 2], 3)", [1]),
        ("Input: xs = [1, 2]\n    limit = 3\n    Output: [1]", "gap([1, 2], 3)", [1]),
        ("Input:\n    [1, 2]\n    3\n    Output:\n    [1]", "gap([1, 2], 3)", [1]),
        ("For limit = 3 and xs = [1] the answer is 7", "gap([1], 3)", 7),
    ],
)
def test_values_of_all_kinds_are_read(line: str, call: str | None, expected: Any) -> None:
    results = said(f'{TWO}    """Something.\n    {line}\n    """\n')
    if expected is None and call is None:
        assert results == []
    else:
        assert [value for _, value in results] == [expected]
        assert call in (None, results[0][0])


def test_an_exception_can_be_what_comes_out() -> None:
    session = '>>> twice("x")\n    Traceback (most recent call last):\n    TypeError: no number'
    for line in (session, 'twice("x") raises TypeError', "`twice('x')` should raise a `TypeError`"):
        (one,) = found(f'{ONE}    """Two times n.\n    {line}\n    """\n')
        assert (one.call, one.raises) == ("twice('x')", "TypeError")


@pytest.mark.parametrize(
    "line",
    [
        "twice(n) == n + n",
        "twice(x) returns twice x",
        "twice(2) is fun",
        "twice(1, 2, 3) == 4",
        "other.twice(2) == 4",
        "twice() == 4",
        "twice(open('f')) == 4",
        "twice(2) == helper(4)",
        "if twice(2) then 4",
        "len(2) == 4",
    ],
)
def test_what_is_no_example_is_left_out(line: str) -> None:
    assert said(f'{ONE}    """Two times n.\n    {line}\n    """\n') == []


def test_another_name_is_trusted_only_where_the_right_one_is_never_used() -> None:
    (alone,) = found(f'{ONE}    """assert double(2) == 4"""\n')
    assert (alone.call, alone.trusted) == ("twice(2)", True)
    both = found(f'{ONE}    """assert double(2) == 4\n    twice(3) == 6"""\n')
    assert {one.call: one.trusted for one in both} == {"twice(2)": False, "twice(3)": True}


def test_what_reads_in_two_ways_is_not_trusted() -> None:
    (one,) = found(f'{ONE}    """twice(2) returns 4 if all is well."""\n')
    assert not one.trusted


def test_bare_words_stand_for_strings() -> None:
    (one,) = found('def same(word):\n    """same(abba) => True"""\n')
    assert (one.call, one.expected) == ("same('abba')", True)


def test_a_prompt_in_chat_form_has_examples_too() -> None:
    prompt = "Write a function `gap(xs, limit)`. For example gap([1], 2) returns 3."
    program = "def gap(xs, limit):\n    return 3"
    function = asked.find(prompt, None, (program, program))
    assert function is not None
    assert [one.call for one in examples.find(prompt, function)] == ["gap([1], 2)"]


PROSE = "Two times n, or n + n.\n    It is never odd."


@pytest.mark.parametrize(
    "shown",
    [
        "\n    Examples:\n    twice(2) == 4\n    twice(3) == 6\n",
        "\n    >>> twice(2)\n    4\n    >>> twice(3)\n    6\n",
        "\n    For example:\n\n    twice(2) => 4\n\n    twice(3) => 6\n",
        "\n    Example 1:\n        Input: n = 2\n        Output: 4\n",
        "\n    For n = 2 the output should be 4\n    For n = 3 the output should be 6\n",
        "\n    e.g. twice(2) -> 2 + 2 = 4\n",
    ],
)
def test_examples_are_hidden_and_nothing_else(shown: str) -> None:
    prompt = f'{ONE}    """{PROSE}{shown}    """\n'
    hidden = examples.hide(prompt)
    assert said(hidden) == []
    assert "".join(hidden.split()) == "".join(f'{ONE}    """{PROSE}"""'.split())


def test_hiding_leaves_a_prompt_without_examples_alone() -> None:
    for prompt in ("What is twice(2)?", f'{ONE}    """{PROSE}"""\n', ""):
        assert examples.hide(prompt) == prompt


@pytest.mark.parametrize(
    "text",
    ["(" * 3000, "twice(" * 400, ">>> twice(\n" * 300, "Input:" * 900, "n = [1, " * 400],
)
def test_any_prompt_will_do(text: str) -> None:
    assert said(f'{ONE}    """{text}"""\n') == []
