from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.consensus.lint import FATAL, Findings, lint
from local_swarm.consensus.reading.repair import find_header

PROMPT = "def f(items, n):\n"


def findings(source: str, prompt: str = PROMPT) -> Findings:
    return lint(ast.parse(source), find_header(prompt), prompt)


def body(*lines: str) -> str:
    return "\n    ".join(["def f(items, n):", *lines])


@pytest.mark.parametrize(
    ("finding", "source"),
    [
        ("undefined", body("return is_prime(n) + len(items)")),
        ("undefined", body("for i in items: pass", "return index + n")),
        ("undefined", body("return [y for x in items] + n")),
        ("undefined", "class A:\n    k = 1\n    def g(self): return k\n" + body("return n, items")),
        ("undefined", body("def g():", "    here = n", "return g() + here + items")),
        ("undefined", body("del_ = n", "return math.sqrt(del_) + items")),
        ("unbound", body("for i in items:", "    total += i", "return total + n")),
        ("unbound", body("top = max(g(i) for i in items)", "def g(x): return x", "return top + n")),
        ("unbound", body("print(best)", "best = n", "return best + items")),
        ("unused_parameters", body("return sorted(items)")),
        ("unused_locals", body("seen = set(items)", "return n")),
        ("unused_locals", body("total = 0", "for i in items: total += i", "return n")),
        ("unused_locals", body("def g(): return 1", "return items[n]")),
        ("lacks_asked", "def g(items, n):\n    return items[n]"),
        ("wrong_parameters", "def f(items):\n    return items"),
        ("wrong_parameters", "def f(items, n, more):\n    return items[n] + more"),
        ("returns_nothing", body("items.sort()", "print(items[n])")),
        ("returns_nothing", body("for i in items:", "    return", "return None")),
        ("falls_off", body("for i in items:", "    if i > n: return i")),
        ("falls_off", body("if items: return n")),
        ("falls_off", body("while n:", "    if items: break", "    return n")),
        ("is_stub", body("pass")),
        ("is_stub", body('"""Words."""', "...")),
        ("is_stub", body("raise NotImplementedError('soon')")),
        ("is_trivial", body("return items")),
        ("is_trivial", body("return -1")),
        ("is_trivial", body("return [n, 0]")),
        ("dead_ends", body("return n", "return items")),
        ("dead_ends", body("for i in items:", "    if i > n:", "        return i", "    return n")),
        ("dead_ends", body("return f(items, n)")),
        ("dead_ends", body("while True:", "    n += len(items)", "return n")),
        ("bad_calls", body("return len(items, n)")),
        ("bad_calls", body("return isinstance(items) or n")),
        ("bad_calls", body("items += [n]", "return items.sort()")),
        ("bad_calls", body("both = items.append(n)", "return both")),
        ("slips", body("items[n] == 1", "return items")),
        ("slips", body("items[n].replace('a', 'b')", "return items")),
        ("slips", body("sorted(items)", "return items[n]")),
        ("slips", body("return items[n] == items[n]")),
        ("slips", body("return n - n in items")),
        ("slips", body("for i in items:", "    if i == n: items.remove(i)", "return items")),
        ("slips", body("for i in range(n):", "    i += 1", "return items")),
        ("slips", body("if n: return 1", "elif n: return 2", "return items")),
        ("slips", body("n = int(input())", "return items[n]")),
    ],
)
def test_a_fault_is_found(finding: str, source: str) -> None:
    assert getattr(findings(source), finding)


CLEAN = [
    body("return eval('items[n]')"),
    body("if n: return items", "return", "yield"),
    body("return items[:n]"),
    body("return [i for i in items if i < n]"),
    body("return {k: v for k, v in zip(items, range(n))}"),
    body("if (k := n) > 1: return k", "return items"),
    body("first, *rest = items", "return rest[:n] + [first]"),
    body("import math", "return math.floor(n) in items"),
    "from math import *\n" + body("return floor(n) in items"),
    body("global total", "total = n", "return total in items"),
    body("def g(x):", "    return g(x - 1) if x > n else x", "return g(len(items))"),
    body(
        "count = 0", "def g():", "    nonlocal count", "    count += n", "return g(), items, count"
    ),
    body("try: return items[n]", "except IndexError as error: return str(error)"),
    body("try: int(items)", "except ValueError: return n", "return items"),
    body("for i in items:", "    if i == n: break", "else:", "    return None", "return i"),
    body("while True:", "    n -= 1", "    if n < len(items): return n"),
    body("for i in items:", "    if i > n: continue", "    return i", "return n"),
    body(
        "for i in items:",
        "    if i == n:",
        "        items.remove(i)",
        "        break",
        "return items",
    ),
    body("for i in items: yield i + n"),
    body(
        "match items:",
        "    case [a, *b]: return a",
        "    case {'k': v, **rest}: return rest, v, b",
        "    case _: return n",
    ),
    body("if n: return items", "else: raise ValueError(n)"),
    body("with open(n) as file: return file.read(), items"),
    body(
        "last = None",
        "for i in items:",
        "    if last is not None and i - last > n: return i",
        "    last = i",
        "return n",
    ),
    body("for i in items:", "    if i: print(seen)", "    seen = n", "return n"),
    body("return f(items[1:], n) if items else n"),
    body(
        "class A:",
        "    size = n",
        "    def grow(self): return self.size",
        "return A().grow(), items",
    ),
    body("return items is not n and n != n"),
    body("items.sort(key=lambda i: -i)", "return items[:n]"),
    "import hashlib\n" + body("return hashlib.md5(items).hexdigest()[:n]"),
    "def f(items, n=1, *more, **rest):\n    return items[n:], more, rest",
    "def helper(x):\n    return x + 1\n\n" + body("return helper(items[n])"),
    "k = 3\n" + body("return items[n] + k"),
]


@pytest.mark.parametrize("source", CLEAN)
def test_sound_code_has_no_fatal_fault(source: str) -> None:
    found = findings(source)
    assert not [name for name in FATAL if getattr(found, name)]


TOLD = "def f(items: list[int], n: int = 1) -> int:\n"


@pytest.mark.parametrize("use", ["items.push(n)", "items.length - n"])
def test_plain_data_has_no_other_attributes_than_its_type(use: str) -> None:
    assert findings(body(f"return {use}"), TOLD).unknown_attributes
    assert not findings(body(f"return {use}"), TOLD.replace("list[int]", "list")).unknown_attributes
    assert not findings(body(f"return {use}"), PROMPT).unknown_attributes
    assert not findings(body(f"return {use}"), "Write f.").unknown_attributes


def test_who_is_asked_for_nothing_may_return_nothing() -> None:
    source = body("items.append(n)")
    assert findings(source, TOLD).returns_nothing
    assert not findings(source, TOLD.replace("-> int", "-> None")).returns_nothing


def test_what_is_deleted_was_used() -> None:
    assert not findings(body("del n", "return items[0]")).unused_parameters


def test_none_in_a_sentence_asks_for_no_none() -> None:
    asks = PROMPT + '    """The first of the items, {} where there is none."""\n'
    source = body("return items[0] if items else n")
    assert findings(source, asks.format("n")).unmet == findings(source, asks.format("0")).unmet
    assert findings(source, asks.format("None")).unmet > findings(source, asks.format("n")).unmet


def test_names_of_the_prompt_are_there() -> None:
    prompt = (
        "import math\nfrom typing import List\n\ndef poly(x): ...\n\ndef f(items: List[int], n):\n"
    )
    source = "def f(items: List[int], n):\n    return math.floor(poly(items)) + n"
    assert findings(source, prompt).undefined == 0
    assert findings(source, PROMPT).undefined == 3


def test_without_a_header_the_last_outermost_function_is_the_asked_one() -> None:
    found = findings("def g(x):\n    return x\n\ndef h(x):\n    x += 1", "Write a function.")
    assert found.returns_nothing
    assert not found.lacks_asked


def test_a_program_that_defines_nothing_is_looked_at_as_it_is() -> None:
    found = findings("print(a)", "Print it.")
    assert found.undefined == 1
    assert not found.lacks_asked


def test_the_same_tree_has_the_same_findings() -> None:
    source = body("return [i for i in items if i < n]")
    assert findings(source) == findings(source)


def test_a_tree_nested_too_deep_is_not_looked_at() -> None:
    deep = body("return " + "-" * 200 + "undefined_name")
    assert findings(deep) == Findings()


def test_huge_numbers_are_read() -> None:
    source = body(f"return {'9' * 4000} + n, items")
    assert not findings(source).undefined


_NAMES = st.sampled_from(["items", "n", "x", "len", "f", "self"])
_VALUES = st.one_of(
    _NAMES,
    st.integers(-3, 300).map(str),
    st.sampled_from(["'a'", "None", "[]", "{}", "()", "1.5", "b'x'", "...", "True", "lambda: n"]),
)


def _grown(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(parts, parts)
    operators = st.sampled_from(["+", "-", "*", "/", "%", "**", "<<", "|", "and", "<", "==", "in"])
    return st.one_of(
        st.tuples(parts, operators, parts).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        pair.map(lambda p: f"{p[0]}[{p[1]}]"),
        pair.map(lambda p: f"{p[0]}[{p[1]}:]"),
        pair.map(lambda p: f"[{p[0]} for x in {p[1]}]"),
        pair.map(lambda p: f"sum({p[0]} for x, n in {p[1]} if x)"),
        pair.map(lambda p: f"({p[0]}).join({p[1]})"),
        pair.map(lambda p: f"sorted({p[0]}, key=lambda x: {p[1]})"),
        pair.map(lambda p: f"({p[0]} if {p[1]} else x)"),
        pair.map(lambda p: f"{{{p[0]}: {p[1]}}}"),
        parts.map(lambda p: f"(not {p})"),
        parts.map(lambda p: f"list(map(str, {p}))"),
        parts.map(lambda p: f"max({p}, default=None)"),
    )


_EXPRESSIONS = st.recursive(_VALUES, _grown, max_leaves=8)
_LINES = st.one_of(
    _EXPRESSIONS.map(lambda e: f"x = {e}"),
    _EXPRESSIONS.map(lambda e: f"x += {e}"),
    _EXPRESSIONS.map(lambda e: f"return {e}"),
    _EXPRESSIONS.map(lambda e: f"for x in {e}: items.append(x)"),
    _EXPRESSIONS.map(lambda e: f"while {e}: x, *n = items; break"),
    _EXPRESSIONS.map(lambda e: f"if {e}: return n"),
    _EXPRESSIONS.map(lambda e: f"items[n] = {e}"),
    st.sampled_from(["pass", "del x", "global x", "import math", "n: int = 1", "assert x"]),
)


@given(st.lists(_LINES, min_size=1, max_size=6))
def test_any_program_is_looked_at(lines: list[str]) -> None:
    source = body(*lines)
    try:
        compile(source, "<test>", "exec")
    except SyntaxError:
        return
    found = findings(source)
    assert isinstance(found, Findings)
    assert found == findings(source)
