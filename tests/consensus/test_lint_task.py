from __future__ import annotations

import ast

import pytest

from local_swarm.consensus.lint import Findings, lint
from local_swarm.consensus.lint.kinds import ANY, BOOL, FLOAT, INT, NONE, STR, of, tuple_of
from local_swarm.consensus.lint.task import Task, read_task
from local_swarm.consensus.reading.repair import find_header

DOCTEST = '''def f(xs, n):
    """Which of them are left?

    >>> f([1, 2], 'a')
    (True, 'b')
    >>> f([], 'b')
    (False, 'a')
    """
'''


def read(prompt: str) -> Task:
    return read_task(prompt, find_header(prompt))


def findings(source: str, prompt: str) -> Findings:
    return lint(ast.parse(source), find_header(prompt), prompt)


def test_examples_tell_what_goes_in_and_comes_out() -> None:
    task = read(DOCTEST)
    assert (task.name, task.parameters) == ("f", 2)
    assert task.arguments == (of("list", INT), STR)
    assert task.returns == tuple_of((BOOL, STR))
    assert task.outputs == ((True, "b"), (False, "a"))


def test_annotations_tell_it_without_examples() -> None:
    task = read("def f(xs: list[float], k) -> bool:\n")
    assert task.arguments == (of("list", INT | FLOAT), ANY)
    assert task.returns == BOOL


def test_a_bare_container_is_told_more_by_the_examples() -> None:
    task = read('def f(xs: list):\n    """\n    >>> f(["a"])\n    1.5\n    """\n')
    assert task.arguments == (of("list", STR),)
    assert task.returns == FLOAT


def test_a_prompt_that_speaks_of_none_may_mean_it() -> None:
    task = read('def f(x: int) -> str:\n    """Return None for a negative number."""\n')
    assert task.returns == STR | NONE


def test_what_is_made_of_a_result_is_not_the_result() -> None:
    task = read('def f(x):\n    """\n    >>> round(f(1), 2)\n    1.25\n    """\n')
    assert (task.outputs, task.returns) == ((), ANY)


def test_a_prompt_without_a_header_tells_nothing() -> None:
    task = read("Write a function that sorts words by length.")
    assert (task.name, task.parameters, task.returns) == (None, None, ANY)
    assert len(task.demands) == 2


def test_a_hostile_prompt_is_read() -> None:
    for prompt in ("", "def f(", "def f(x):\n" + "(" * 9000, ">>> f(" * 2000, "\0" * 70000):
        assert isinstance(read(prompt), Task)


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ("return bool(xs), n", ()),
        ("return (len(xs) > 1, n.lower())", ()),
        ("a = all(xs)\n    return a, str(n)", ()),
        ("if xs: return True, 'b'\n    return False, 'a'", ()),
        ("return [True, n]", ("wrong_returns", "only_wrong_returns", "missed_outputs")),
        ("return len(xs)", ("wrong_returns", "only_wrong_returns", "missed_outputs")),
        ("return True, n, xs", ("wrong_returns", "only_wrong_returns", "missed_outputs")),
        ("if not xs: return None\n    return True, n", ("wrong_returns",)),
        ("yield True\n    yield n", ("wrong_returns", "only_wrong_returns", "missed_outputs")),
        ("return True, 'c'", ("missed_outputs",)),
        ("return (True, 'b') if xs else (True, 'a')", ("missed_outputs",)),
        ("print(True, n)", ("missed_outputs",)),
    ],
)
def test_returns_are_held_against_what_is_asked_for(body: str, faults: tuple[str, ...]) -> None:
    found = findings(f"def f(xs, n):\n    {body}", DOCTEST)
    names = ("wrong_returns", "only_wrong_returns", "missed_outputs")
    assert tuple(name for name in names if getattr(found, name)) == faults


def test_every_output_that_cannot_come_out_is_counted() -> None:
    assert findings("def f(xs, n):\n    return True, 'c'", DOCTEST).missed_outputs == 2
    assert findings("def f(xs, n):\n    return False, 'a'", DOCTEST).missed_outputs == 1


def test_a_number_of_another_type_may_be_equal() -> None:
    prompt = 'def f(n):\n    """\n    >>> f(4)\n    2\n    """\n'
    found = findings("def f(n):\n    return n / 2", prompt)
    assert (found.wrong_returns, found.missed_outputs) == (0, 0)


def test_a_coroutine_is_not_judged_by_what_it_returns() -> None:
    assert findings("async def f(xs, n):\n    return 1", DOCTEST).wrong_returns == 0


@pytest.mark.parametrize(
    ("prose", "met", "unmet"),
    [
        ("Sort the words.", "return sorted(x)", "return list(x)"),
        ("Sort the words by length.", "return sorted(x, key=len)", "return sorted(x)"),
        ("In descending order.", "return sorted(x, reverse=True)", "return sorted(x)"),
        ("Reverse it.", "return x[::-1]", "return x"),
        ("Count the even ones.", "return sum(i % 2 == 0 for i in x)", "return sum(x)"),
        ("The sum of the digits.", "return sum(map(int, str(x)))", "return sum(x)"),
        ("The average.", "return sum(x) / 2", "return sum(x)"),
        ("None for nothing.", "return x or None", "return x"),
        ("The median of them.", "return median(x)", "return max(x)"),
        ("Return it if it is small.", "return x if x < 9 else 0", "return x"),
    ],
)
def test_what_the_prose_demands_shows_in_the_code(prose: str, met: str, unmet: str) -> None:
    prompt = f'def f(x):\n    """{prose}"""\n'
    assert findings(f"def f(x):\n    {met}", prompt).unmet == 0
    assert findings(f"def f(x):\n    {unmet}", prompt).unmet > 0


def test_examples_and_code_demand_nothing() -> None:
    prompt = 'def sort_if(x):\n    """Do it.\n    >>> sort_if("sort")\n    "None"\n    """\n'
    assert read(prompt).demands == ()
