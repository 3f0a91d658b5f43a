"""Blocks are found however they are fenced, and the right one is the answer."""

from __future__ import annotations

import pytest

from local_swarm.consensus.reading.extract import Answer, Kind, extract
from local_swarm.consensus.reading.fences import fences
from local_swarm.consensus.reading.repair import find_header
from local_swarm.domain.candidate import Candidate

ADD = "def add(a, b):\n    return a + b"
WRONG = "def add(a, b):\n    return a - b"
PROMPT = "def add(a, b):\n"


def answer(text: str, prompt: str = PROMPT) -> Answer:
    return extract(Candidate(text), find_header(prompt))


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("Sure! ```python\nx\n```", [("python", "x")]),
        ("Code: ```\nx\n```", [("", "x")]),
        ("```\nx```", [("", "x")]),
        ("```x = 1```", [("", "x = 1")]),
        ("```python x = 1```", [("python", "x = 1")]),
        ("```\nx\n```\n```sh\ny", [("", "x"), ("sh", "y")]),
        ("~~~\n```\n~~~", [("", "```")]),
        ("````md\n```py\nx\n```\n````", [("md", "```py\nx\n```")]),
        ("```markdown\n```py\nx\n```\ntalk\n```", [("markdown", "```py\nx\n```\ntalk")]),
        ("Write ```x``` here.", []),
        ("no fence", []),
    ],
)
def test_what_is_a_block(text: str, blocks: list[tuple[str, str]]) -> None:
    assert [(block.tag, block.body) for block in fences(text)] == blocks


def test_a_block_in_a_block_of_markdown_is_the_answer() -> None:
    for marks in ("```", "````"):
        assert answer(f"{marks}markdown\nHere:\n```python\n{ADD}\n```\n{marks}").text == ADD


def test_a_fence_in_a_docstring_at_the_margin_does_not_end_the_program() -> None:
    code = 'def add(a, b):\n    """Adds.\n\n```\nadd(1, 2)\n```\n"""\n    return a + b'
    found = answer(f"```python\n{code}\n```\nDone.")
    assert (found.text, found.rest) == (code, ())


@pytest.mark.parametrize(
    "text",
    [
        f"A first try:\n```python\n{WRONG}\n```\nBetter:\n```python\n{ADD}\n```",
        f"```python\n{ADD}\n```\nAlternatively:\n```python\n{WRONG}\n```",
        f"```python\n{ADD}\n```\nThis would be wrong:\n```python\n{WRONG}\n```",
        f"```python\n{ADD}\n```\nor\n```python\ndef add(a, b):\n    return (a\n```",
    ],
)
def test_of_several_versions_the_last_whole_one_counts_unless_the_talk_says_no(text: str) -> None:
    found = answer(text)
    assert (found.text, found.rest) == (ADD, ())


def test_a_program_comes_with_the_blocks_that_define_what_it_uses() -> None:
    one = "def one(x):\n    return x"
    uses = "def add(a, b):\n    return one(a) + b"
    found = answer(f"```python\n{one}\n```\nThen:\n```python\n{uses}\n```\n```sh\nls\n```")
    assert found.text == f"{one}\n\n\n{uses}"
    assert [block.text for block in found.rest] == ["ls"]


@pytest.mark.parametrize(
    "text",
    [
        f"{ADD}\n```",
        f"{ADD}\n```\nIt adds both numbers.",
        f"{ADD}\n```\nTry it:\n```bash\npython add.py\n```",
        f"```python\n{ADD}```\nIt adds both numbers.",
        f"```python\n{ADD}```\nTry it:\n```bash\npython add.py\n```",
        f"```python\n{ADD}```\nOutput:\n```\n3\n```",
        f"{ADD}\n\nOutput:\n```\n3\n```",
        f"Like this:\n\n{ADD}\n\nOutput:\n```text\n3\n```\nIt adds.",
    ],
)
def test_marks_that_were_lost_or_moved_lose_no_answer(text: str) -> None:
    assert answer(text).text == ADD


def test_a_program_without_fences_may_hold_some() -> None:
    code = 'def f():\n    """Like\n\n    ```\n    f()\n    ```\n    """\n    return 1'
    assert answer(code).text == code


def test_a_fence_that_the_prompt_had_opened_may_hold_a_body() -> None:
    found = extract(Candidate("    return a + b\n```\nDone."), find_header("def add(a, b):\n"))
    assert found.text == ADD


def test_talk_before_the_only_mark_stays_talk() -> None:
    found = answer(f"This is how:\n```\n{ADD}")
    assert (found.text, found.sound) == (ADD, True)


@pytest.mark.parametrize(
    "printed",
    [
        'Traceback (most recent call last):\n  File "a.py", line 3\n    f(1)\nTypeError: no',
        "for each item:\n    total = total + price of item\nthen show the total",
    ],
)
def test_what_was_printed_or_sketched_is_no_broken_program(printed: str) -> None:
    talk = "This happens because the function takes nothing; give it a parameter, and it works."
    for prompt in ("", "def f(x):\n") if "Traceback" in printed else ("",):
        found = extract(Candidate(f"{talk}\n\n```\n{printed}\n```"), find_header(prompt))
        assert (found.kind, found.sound) == (Kind.TEXT, True)


def test_prose_in_a_block_of_code_is_text() -> None:
    text = "```python\nThis is a sentence, and no code at all.\n```"
    assert answer(text) == Answer(Kind.TEXT, text)


@pytest.mark.parametrize(
    "text",
    [
        f"{ADD}<|im_end|>\n<|im_start|>user\nThanks!",
        f"<|im_start|>assistant\n{ADD}<|im_end|>",
        f"<s> [/INST] {ADD}</s>",
        f"{ADD}\n<|endoftext|>def no(): pass",
        f"```python\n{ADD}\n```<|eot_id|>",
        f"<think>\nno\n</think>\n<|im_start|>assistant\n{ADD}",
        "<|channel|>analysis<|message|>So a + b.<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{ADD}<|return|>",
    ],
)
def test_the_marks_of_a_chat_template_are_no_part_of_an_answer(text: str) -> None:
    assert answer(text).text == ADD


def test_such_a_mark_in_a_string_is_part_of_the_program() -> None:
    code = 'def add(a, b):\n    return "<|im_end|>"'
    assert answer(f"```python\n{code}\n```").text == code
