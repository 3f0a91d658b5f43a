from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.consensus.ballot import Standing, prepare
from local_swarm.consensus.parsing.syntax import compile_source
from local_swarm.consensus.reading.extract import Answer, Kind, drop_reasoning, extract, fences
from local_swarm.consensus.reading.repair import find_header
from local_swarm.domain.candidate import Candidate, ToolCall

ADD = "def add(a, b):\n    return a + b"
PROMPT = 'Please complete:\n\ndef add(a: int, b: int) -> int:\n    """Sum of both."""\n'


def answer(text: str, prompt: str = ""):
    return extract(Candidate(text), find_header(prompt))


@pytest.mark.parametrize(
    "text",
    [
        ADD,
        f"```python\n{ADD}\n```",
        f"```\n{ADD}\n```",
        f"```Python3\n{ADD}\n```",
        f"```python:add.py\n{ADD}\n```",
        f"```py\r\n{ADD}\r\n```",
        f"<think>\nno\n</THINK>\n{ADD}",
        f"no\n</THINK>\n{ADD}",
        f'<think effort="low">\ndef no(): pass\n</think>\n{ADD}',
        f"~~~py\n{ADD}\n~~~",
        f"\ufeff{ADD}",
        f"\ufeff```python\n{ADD}\n```",
        f"Sure!\n\n```python\n{ADD}\n```\nIt adds.",
        f"```python\n{ADD}",
        f"<think>\ndef no(): pass\n</think>\n{ADD}",
        f"I think so.\n</think>\n\n```python\n{ADD}\n```",
        f"Here is the function:\n\n{ADD}\n\nThis function adds two numbers.",
        "\n".join("    " + line for line in ADD.splitlines()),
    ],
)
def test_the_same_program_comes_out_of_every_wrapping(text: str) -> None:
    found = answer(text)
    assert (found.kind, found.text, found.sound) == (Kind.CODE, ADD, True)


def test_of_several_fences_the_one_that_defines_what_was_asked_counts() -> None:
    helper = "def helper(x):\n    return x\n\n\nprint(helper(1), helper(2), helper(3))"
    text = f"```bash\npip install x\n```\n```python\n{helper}\n```\n```python\n{ADD}\n```"
    assert answer(text, PROMPT).text == ADD
    assert answer(text).text == helper


@pytest.mark.parametrize(
    "body",
    [
        "return a + b",
        "    return a + b",
        "```python\nreturn a + b\n```",
        "total = a\n    total += b\n    return total",
        "if a:\n    return a + b\nreturn b",
    ],
)
def test_a_body_alone_gets_the_header_of_the_prompt(body: str) -> None:
    found = answer(body, PROMPT)
    assert found.sound
    assert found.text.startswith("def add(a: int, b: int) -> int:\n    ")


def test_a_header_over_several_lines_is_found() -> None:
    header = find_header("def f(\n    a,\n    b=(1, {2: 3}),\n) -> int:\n    pass\n")
    assert header is not None
    assert header.name == "f"


@pytest.mark.parametrize("prompt", ["", "define (x", "def f(", "def f(a b):\n", "def f(\n" * 5000])
def test_a_prompt_without_a_whole_header_has_none(prompt: str) -> None:
    assert find_header(prompt) is None


@pytest.mark.parametrize(
    "code", ["for i in range(3)\n    print(i)", "def f(x):\n    return x\n\nif f(1)\n    f(2)"]
)
def test_a_line_that_lost_its_colon_is_no_talk(code: str) -> None:
    found = answer(f"```python\n{code}\n```")
    assert (found.kind, found.text, found.sound) == (Kind.CODE, code, False)


def test_broken_code_is_not_cut_until_it_compiles() -> None:
    found = answer("def f(x):\n    y = 1\n    z = = 2\n    return y")
    assert (found.kind, found.sound) == (Kind.CODE, False)


@pytest.mark.parametrize("text", ["Yes", "Paris", "42"])
def test_a_word_is_a_short_answer_even_where_it_would_compile(text: str) -> None:
    assert answer(text).kind is answer(text, PROMPT).kind is Kind.SHORT


@pytest.mark.parametrize("text", ["It returns x. For example, f(1) is 2.", "I do not know that."])
def test_prose_is_text(text: str) -> None:
    assert answer(text).kind is answer(text, PROMPT).kind is Kind.TEXT


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('Here is the JSON:\n\n{"b": 1.0, "a": [1]}\n\nAnything else?', '{"a":[1],"b":1}'),
        ('{\n  "a": [\n    1\n  ]\n}\nThat is all.', '{"a":[1]}'),
        ("The list:\n[1,\n 2]", "[1,2]"),
        ('The result is {"a": 1}.', '{"a":1}'),
        ('Here is the JSON: {\n  "a": 1\n}', '{"a":1}'),
    ],
)
def test_data_in_talk_is_data(text: str, data: str) -> None:
    assert answer(text) == Answer(Kind.JSON, data)


@pytest.mark.parametrize(
    "text",
    [
        'You can pass {"a": 1} to it, which returns the sum of all the values that it holds.',
        "[1] A reference.\n[2] Another one.",
        '{"a": 1}\n{"a": 2}',
        'Old:\n{"a": 1}\nNew:\n{\n  "a": 2\n}',
        "services:\n  ports: [80]",
        "[1]\n[2]",
        '{"a": 1}\n' + "This is a long story about what the object above could mean. " * 9,
    ],
)
def test_data_that_is_only_mentioned_is_text(text: str) -> None:
    assert answer(text).kind is Kind.TEXT


@pytest.mark.parametrize("text", ['{"b": 1.0, "a": [1]}', '```json\n{"a": [1], "b": 1}\n```'])
def test_json_comes_out_canonical(text: str) -> None:
    found = answer(text)
    assert (found.kind, found.text) == (Kind.JSON, '{"a":[1],"b":1}')


@pytest.mark.parametrize("text", ["", " \n\t", "<think>never done", "<think>a</think>\n"])
def test_nothing_said_is_empty(text: str) -> None:
    assert answer(text).kind is Kind.EMPTY


def test_a_tag_inside_of_an_answer_is_not_reasoning() -> None:
    text = "Models write <think>like this</think> first."
    assert drop_reasoning(text) == text


def test_a_fence_inside_of_a_longer_fence_is_part_of_it() -> None:
    (block,) = fences("````md\n```python\nx\n```\n````")
    assert block.body == "```python\nx\n```"


def test_tool_calls_come_before_text_and_are_broken_without_json_arguments() -> None:
    good = extract(Candidate("hm", (ToolCall("1", "ls", '{"path": "."}'),)))
    bad = extract(Candidate("", (ToolCall("1", "ls", '{"path": '),)))
    assert (good.kind, good.sound) == (Kind.TOOL_CALLS, True)
    assert (bad.kind, bad.sound) == (Kind.TOOL_CALLS, False)


@pytest.mark.parametrize("tag", ["javascript", "js", "go", "bash", "c++", "{.rust}"])
def test_code_of_another_language_is_whole_and_left_alone(tag: str) -> None:
    found = answer(f"```{tag}\nreturn a + b;\n```", PROMPT)
    assert (found.kind, found.text, found.sound) == (Kind.CODE, "return a + b;", True)
    assert found.language


def test_the_names_of_a_language_are_one() -> None:
    assert answer("```js\nf()\n```") == answer("```JavaScript\nf()\n```")


@pytest.mark.parametrize(
    "text", ['{"a": 1, "b": [1, 2', '[{"a": 1}, {"b"', '{"a": 1,}', '{"a": None}']
)
def test_data_that_does_not_parse_is_broken_data(text: str) -> None:
    assert answer(text) == Answer(Kind.JSON, text, sound=False)


def test_a_json_block_that_does_not_parse_is_broken_json() -> None:
    found = answer('```json\n{"a": \n```')
    assert (found.kind, found.sound) == (Kind.JSON, False)


def test_mostly_talk_with_a_command_is_text() -> None:
    talk = "You need the package first, which pip installs for you in the usual way."
    assert answer(f"{talk}\n```bash\npip install x\n```\nThen start again.").kind is Kind.TEXT
    assert answer("Run:\n```bash\npip install x\n```").kind is Kind.CODE


def test_the_other_blocks_come_along() -> None:
    found = answer(f"```bash\nls\n```\n```python\n{ADD}\n```\n```text\n3\n```", PROMPT)
    assert found.text == ADD
    assert [(block.language, block.text) for block in found.rest] == [("bash", "ls")]


def test_a_fence_in_a_docstring_does_not_end_the_block() -> None:
    code = 'def f():\n    """Like\n\n    ```\n    f()\n    ```\n    """\n    return 1'
    assert answer(f"```python\n{code}\n```").text == code


@pytest.mark.parametrize("char", ["\x0c", "\u2028", "\x85"])
@pytest.mark.parametrize("wrapping", ["{}", "```python\n{}\n```", "Sure:\n\n{}\n\nThis is it."])
def test_only_newlines_end_lines(char: str, wrapping: str) -> None:
    code = f"def f():\n    return 'a{char}b'"
    assert answer(wrapping.format(code)).text == code
    body = answer(f"return 'a{char}b'", "def f():\n")
    assert body.text == code


PIECES = [
    *(
        "```",
        "```python",
        "~~~",
        "def add(a, b):",
        "    return a + b",
        "return a",
        '"""',
        "add(a):",
    ),
    *(">>> x", "1: x", "{", '{"a": 1}', "[", "Some talk.", "**7**", "<think>", "</think>", "</s>"),
    *("<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE", "@@ -1 +1 @@", "--- a", "+++ b", "+x", "-y"),
    *(
        "*** Begin Patch",
        "*** Update File: f",
        "function f() {",
        "}",
        "SELECT a FROM b",
        "",
        "\t`",
        "\0",
    ),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=9)), max_size=14))
def test_any_text_has_an_answer_and_a_form(lines: list[str]) -> None:
    text = "\n".join(lines)
    for prompt in ("", PROMPT):
        (entry,) = prepare(prompt, [text]).entries
        assert entry.answer == answer(text, prompt)
        assert (entry.answer.kind is Kind.EMPTY) == (entry.standing is Standing.EMPTY)
        if entry.answer.kind is Kind.CODE and entry.answer.sound and not entry.answer.language:
            assert compile_source(entry.answer.text).ok
