"""What is missing from a program is put back, and nothing else."""

from __future__ import annotations

import pytest

from local_swarm.consensus.parsing.syntax import binds, defines
from local_swarm.consensus.reading.extract import Answer, Kind, extract
from local_swarm.consensus.reading.repair import find_header
from local_swarm.domain.candidate import Candidate

ADD = "def add(a, b):\n    return a + b"
PROMPT = 'Please complete:\n\ndef add(a: int, b: int) -> int:\n    """Sum of both."""\n'
HEADER = "def add(a: int, b: int) -> int:"


def answer(text: str, prompt: str = PROMPT) -> Answer:
    return extract(Candidate(text), find_header(prompt))


@pytest.mark.parametrize(
    "text",
    [
        "def add(a, b):\nreturn a + b",
        "add(a, b):\n    return a + b",
        "add(a, b):\n\n    return a + b",
        f'"""\n{ADD}\n"""',
        f"'''{ADD}'''",
        f"`{ADD}`",
        f'{{\n  "path": "add.py",\n  "body": """\n{ADD}\n"""\n}}',
        ">>> def add(a, b):\n...     return a + b",
        "```python\n>>> def add(a, b):\n...     return a + b\n```",
        "1 def add(a, b):\n2     return a + b",
        "1: def add(a, b):\n2:     return a + b",
        " 9 | def add(a, b):\n10 |     return a + b",
        "1\tdef add(a, b):\n2\t    return a + b",
        f"python\n{ADD}",
        f"```\nPython:\n{ADD}\n```",
        f"{ADD}\n\n\ndef test_add():\n    assert add(1,",
        f"{ADD}\n\nprint(add(1, 2)",
    ],
)
def test_a_program_is_taken_out_of_what_spoilt_it_and_marked_so(text: str) -> None:
    found = answer(text)
    assert found.kind is Kind.CODE
    assert found.sound
    assert found.mended
    assert [line for line in found.text.split("\n") if line.strip()] == ADD.split("\n")


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("def add(a, b):\nc = a\nfor x in [b]:\n    c += x\nreturn c", "    c = a\n"),
        ("def add(a, b):\n\tc = a\n        return c + b", "        c = a\n"),
        ("def add(a, b):\nc = a\n    return c + b", "    c = a\n    return c + b"),
        (
            "    def add(a, b):\n        return one(a) + b\n\ndef one(x):\n    return x",
            "\ndef one(",
        ),
        ('"return a + b"', f"{HEADER}\n    return a + b"),
        ("`return a + b`", f"{HEADER}\n    return a + b"),
    ],
)
def test_a_lost_layout_is_guessed(text: str, program: str) -> None:
    found = answer(text)
    assert (found.kind, found.sound, found.mended) == (Kind.CODE, True, True)
    assert program in found.text


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("    return one(a) + b\n\ndef one(x):\n    return x", "\n\n\ndef one(x):\n    return x"),
        ("    c = a\n\n    return c + b\n\n\nADD = 1", "\n\n\nADD = 1"),
    ],
)
def test_helpers_behind_a_body_stay_outside_of_the_function(text: str, rest: str) -> None:
    found = answer(text)
    assert found.sound
    assert found.text.startswith(HEADER)
    assert found.text.endswith(rest)


@pytest.mark.parametrize(
    "text",
    [
        "def add(a, b):\n    return (a +",
        "def one(a):\n    return a\n\ndef add(a, b):\n    return (a",
        "def add(a, b):\n    for x in (a, b):\n        total += x\n    retur total",
    ],
)
def test_an_unfinished_function_is_broken(text: str) -> None:
    assert not answer(text).sound


@pytest.mark.parametrize(
    "text", ["if a:\nreturn b\nreturn a", "total = a\nfor x in b:\ntotal += x\nreturn total"]
)
def test_a_body_that_does_not_compile_is_broken_code(text: str) -> None:
    assert (answer(text).kind, answer(text).sound) == (Kind.CODE, False)


def test_without_a_function_to_look_for_nothing_is_cut_off() -> None:
    assert not answer(f"{ADD}\n\n\ndef test_add():\n    assert add(1,", "").sound


@pytest.mark.parametrize(
    "text",
    [
        "Here it is:\n\n    def add(a, b):\n        return a + b\n\nIt adds.",
        "The body:\n\n    return a + b",
        "The body is\n    return a + b\nas you see.",
    ],
)
def test_code_that_is_only_indented_is_found_in_talk(text: str) -> None:
    found = answer(text)
    assert (found.kind, found.sound, found.mended) == (Kind.CODE, True, False)
    assert found.text in (ADD, f"{HEADER}\n    return a + b")


@pytest.mark.parametrize("text", ["sum((a, b))", "`sum((a, b))`", "a if a else b"])
def test_one_expression_of_what_is_given_is_code_that_returns_nothing(text: str) -> None:
    found = answer(text)
    assert (found.kind, found.sound) == (Kind.CODE, True)
    assert found.text == f"{HEADER}\n    {text.strip('`')}"


@pytest.mark.parametrize("text", ["a", "a b", "Paris", "f(x)", "None of both."])
def test_a_word_is_no_expression_of_what_is_given(text: str) -> None:
    assert answer(text).kind is not Kind.CODE or "(x)" in text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def add(a): pass", True),
        ("async def add(a): pass", True),
        ("add = lambda a: a", True),
        ("add: F = lambda a: a", True),
        ("'''\ndef add(a): pass\n'''", False),
        ("'''Doc.'''\ndef add(a): pass", True),
        ("class C:\n    def add(a): pass", False),
        ("def adder(a): pass", False),
        ("add = sum", True),
        ("add = None or 1", False),
        ("add == 1", False),
    ],
)
def test_what_a_source_defines(source: str, expected: bool) -> None:
    assert defines(source, "add") is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import add", True),
        ("from m import one, add", True),
        ("add = 1", True),
        ("class add: pass", True),
        ("    add = 1", False),
        ("added = 1", False),
    ],
)
def test_what_a_source_binds(source: str, expected: bool) -> None:
    assert binds(source, "add") is expected
