from __future__ import annotations

import pytest

from local_swarm.consensus.forms.canonical import canonical_calls, canonical_json
from local_swarm.consensus.forms.normalise import normalise
from local_swarm.consensus.parsing.tree import tree_tokens
from local_swarm.consensus.reading.extract import Answer, Kind
from local_swarm.domain.candidate import ToolCall


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(a):\n    return a", "def f(value: int) -> int:\n  # same\n  return (value)"),
        ('def f():\n    "doc"\n    return 1', "def f():\n    pass\n    return 1"),
        ("def f():\n    pass", "def f():\n    ..."),
        ("from typing import List\ndef f(x: List): return x", "def f(y): return y"),
        ("def f(xs):\n    return [x for x in xs]", "def f(l):\n    return [e for e in l]"),
        ("def f(x):\n    return [x for x in x]", "def f(y):\n    return [z for z in y]"),
        ("def f(a):\n    t: int = a\n    return t", "def f(b):\n    u = b\n    return u"),
        ("f = lambda q: q + g", "f = lambda r: r + g"),
        (
            "def f(a):\n    def g(b): return a + b\n    return g",
            "def f(x):\n    def h(y): return x + y\n    return h",
        ),
        (
            "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n = 1",
            "def f():\n    m = 0\n    def k():\n        nonlocal m\n        m = 1",
        ),
        (
            "def f():\n    try: g()\n    except E as e: print(e)",
            "def f():\n    try: g()\n    except E as err: print(err)",
        ),
        ("def f():\n    import m\n    return m.x", "def f():\n    import m as n\n    return n.x"),
        (
            "def f(p):\n    match p:\n        case [a, *b]: return a",
            "def f(q):\n    match q:\n        case [c, *d]: return c",
        ),
        ("def f(l):\n    return any((y := x) for x in l) and y",) * 2,
        ("x = 0x10", "x = 16"),
        ("import typing\ndef f(x: typing.Any): return x", "def f(y): return y"),
        ("from __future__ import annotations\ndef f(x: Q): return x", "def f(y): return y"),
        ("def f():\n    x: int\n    return 1", "def f():\n    return 1"),
        (
            "def f(n):\n    def g(): return n\n    return g",
            "def f(m):\n    def g(): return m\n    return g",
        ),
    ],
)
def test_how_it_is_written_does_not_count(one: str, other: str) -> None:
    assert tree_tokens(one) == tree_tokens(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(a): return a", "def g(a): return a"),
        ("def f(a, b): return a - b", "def f(a, b): return b - a"),
        ("def f(a): return a.x", "def f(a): return a.y"),
        ("def f(a): return x", "def f(a): return y"),
        ("def f(*, key): return key", "def f(*, name): return name"),
        ("def f(a): return g(k=a)", "def f(a): return g(j=a)"),
        ("def f(a): return a\nf(a=1)", "def f(b): return b\nf(b=1)"),
        ("class C:\n    x: int", "class C:\n    y: int"),
        ("class C:\n    def m(self): return x", "class C:\n    def m(self): return y"),
        ("def f():\n    global n\n    n = 1", "def f():\n    global m\n    m = 1"),
        ("def f():\n    n = 1", "def f():\n    global n\n    n = 1"),
        ("def f(a): return 1", "def f(a): return 1.0"),
        ("def f(a): return True", "def f(a): return 1"),
        ("def f(a, /): return a", "def f(a): return a"),
        ("def f(*a): return a", "def f(**a): return a"),
        ("def f(a, b=1): return a", "def f(a=1, b=2): return a"),
        ("x = 1", "y = 1"),
        ("class P:\n    x: int = 0", "class P:\n    x = 0"),
        ("class P:\n    x: int", "class P:\n    x: str"),
        ("class P:\n    global x\n    x = 1", "class P:\n    x = 1"),
        ("import os.path as p\np.join", "import os.path\nos.join"),
        (
            "def f():\n    import os.path as p\n    p.join",
            "def f():\n    import os.path\n    os.join",
        ),
        ("from typing import List\ndef f(x: List): return x", "def f(x: List): return x"),
        ("import typing\ndef f() -> typing.Any: pass", "def f() -> typing.Any: pass"),
        ("from typing import NamedTuple\nclass P(NamedTuple): pass", "class P(NamedTuple): pass"),
        ("from typing import List\nx: List = []", "x: List = []"),
        ("from typing import cast\ny = cast(int, x)", "y = cast(int, x)"),
        ("def f():\n    x: int\n    return x", "def f():\n    return x"),
        (
            "def f(n):\n    def g():\n        global n\n        return n\n    return g\nf(n=1)",
            "def f(n):\n    def g():\n        return n\n    return g\nf(n=1)",
        ),
        (
            "def f(*, n):\n    def g():\n        global n\n        return n\n    return g",
            "def f(*, n):\n    def g():\n        return n\n    return g",
        ),
        ("def f():\n  if a:\n    b()\n  c()", "def f():\n  if a:\n    b()\n    c()"),
    ],
)
def test_what_is_said_counts(one: str, other: str) -> None:
    assert tree_tokens(one) != tree_tokens(other)


def test_a_name_of_the_prompt_needs_no_import() -> None:
    whole = tree_tokens("from typing import List\ndef f(x: List): return x")
    assert tree_tokens("def f(x: List): return x", {"List"}) == whole


def test_code_of_another_language_is_compared_by_its_words() -> None:
    def key(text: str, language: str = "go") -> str:
        return normalise(Answer(Kind.CODE, text, language=language)).key

    assert key("if a  {\n\tb()\n\n}") == key("if a {\n    b()\n}\n")
    assert key("f()") != key("F()")
    assert key("f()") != key("f()", "c")
    assert key("a:\n  b: 1", "yaml") != key("a:\nb: 1", "yaml")


@pytest.mark.parametrize("language", ["kotlin", "yaml", "toml", "ruby", "bash"])
def test_space_between_quotation_marks_counts(language: str) -> None:
    forms = {
        normalise(Answer(Kind.CODE, f"a = {text}", language=language)).key
        for text in ("'x y'", "'x  y'", '"x y"', '"x  y"')
    }
    assert len(forms) == 4


def test_space_between_the_words_of_a_selector_counts() -> None:
    one, other = (
        normalise(Answer(Kind.CODE, text, language="css"))
        for text in (".a .b {\n  color: red;\n}", ".a.b {\n  color: red;\n}")
    )
    assert one.key != other.key


def test_all_blocks_of_an_answer_count() -> None:
    def key(*blocks: str) -> str:
        first, *rest = [Answer(Kind.CODE, block) for block in blocks]
        return normalise(Answer(Kind.CODE, first.text, rest=tuple(rest))).key

    assert key("x = 1", "y = 1") == key("x=1", "y=1")
    assert len({key("x = 1"), key("x = 1", "y = 1"), key("x = 1", "y = 2")}) == 3


def test_an_infinite_number_is_not_a_string() -> None:
    assert canonical_json("[1e999]") != canonical_json('["1e999"]')


def test_a_tree_too_deep_for_recursion_is_compared_as_source() -> None:
    source = "x = " + "-" * 500 + "1"
    assert tree_tokens(source) is None
    assert normalise(Answer(Kind.CODE, source)).key == f"source:{source}"


def test_a_number_of_many_digits_has_a_form() -> None:
    assert tree_tokens("x = 0x" + "f" * 9000) is not None


def test_text_is_compared_by_its_words() -> None:
    one = normalise(Answer(Kind.TEXT, "Yes,\n  it is."))
    assert one == normalise(Answer(Kind.TEXT, "yes, IT is. "))


def test_broken_code_keeps_its_case_and_indentation() -> None:
    forms = {normalise(Answer(Kind.CODE, text, sound=False)).key for text in ("A(", "a(", " a(")}
    assert len(forms) == 3


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('{ "b": 2, "a": 1.0 }', '{"a":1,"b":2}'),
        ("[1e2, -0.5, true, null]", "[100,-0.5,true,null]"),
        ('"\\u00e9"', '"\\u00e9"'),
        ("[1e999, -1e999]", "[Infinity,-Infinity]"),
        ("NaN", None),
        ("{'a': 1}", None),
        ("[" * 5000 + "]" * 5000, None),
        ("[" * 5000, None),
        ('["' + "[" * 5000 + '"]', '["' + "[" * 5000 + '"]'),
        ("9" * 5000 + "x", None),
        ("[" + "1," * 200_000 + "1]", None),
    ],
)
def test_equal_json_has_one_spelling(text: str, canonical: str | None) -> None:
    assert canonical_json(text) == canonical


def test_calls_are_equal_by_name_and_arguments_in_order() -> None:
    def calls(*pairs: tuple[str, str]) -> str:
        return canonical_calls([ToolCall(str(id(p)), *p) for p in pairs]).text

    assert calls(("ls", '{"a": 1, "b": 2.0}')) == calls(("ls", '{"b":2,"a":1}'))
    assert calls(("ls", "")) == calls(("ls", "{}"))
    assert calls(("ls", "{}"), ("cat", "{}")) != calls(("cat", "{}"), ("ls", "{}"))
    assert calls(("ls", "{}")) != calls(("ls", '{"a": 1}'))
