from __future__ import annotations

import ast
import importlib.util

import pytest

from local_swarm.consensus.lint import Findings, lint
from local_swarm.consensus.lint.infer import infer
from local_swarm.consensus.lint.kinds import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    NEVER,
    NONE,
    STR,
    join,
    may_equal,
    of,
    of_annotation,
    of_value,
    tuple_of,
)
from local_swarm.consensus.reading.repair import find_header

PROMPT = '''from typing import *

def f(items: List[int], text: str, n: int, table: Dict[str, int], rate: float, other):
    """Do it."""
'''
HEADER = "def f(items, text, n, table, rate, other):\n    "


def findings(*lines: str) -> Findings:
    source = HEADER + "\n    ".join(lines)
    return lint(ast.parse(source), find_header(PROMPT), PROMPT)


@pytest.mark.parametrize(
    "lines",
    [
        ("return text + n",),
        ("return items.split()",),
        ("return text.append('a')",),
        ("for i in n: print(i)",),
        ("return [i for i in n]",),
        ("return len(n)",),
        ("return items[len(items) / 2]",),
        ("return items[:len(items) / 2]",),
        ("return range(n / 2)",),
        ("return ''.join(items)",),
        ("return ''.join(i * 2 for i in items)",),
        ("return sum(text)",),
        ("return sum(c for c in text)",),
        ("return sum(c % 2 == 0 for c in text)",),
        ("return max(n)",),
        ("return n[0]",),
        ("text[0] = 'a'", "return text"),
        ("a, b = n", "return a + b"),
        ("return n()",),
        ("return text in n",),
        ("return n in text",),
        ("return text < n",),
        ("return sorted(items, key=lambda i: i[0])",),
        ("return list(map(lambda c: c + 1, text))",),
        ("return list(map(len, items))",),
        ("return list(map(abs, n))",),
        ("return -text",),
        ("return table[[n]]",),
        ("for key, value in table.items():", "    return key / value"),
        ("for at, c in enumerate(text):", "    return at + c"),
        ("for a, c in zip(items, text):", "    return a + c"),
        ("found = None", "return found[0]"),
        ("found = None", "return found + 1"),
        ("text = text.split()", "return text.lower()"),
        ("n = str(n)", "for i in range(n): pass", "return n"),
        ("total = ''", "for i in items: total += i", "return total"),
        ("def g(x):", "    return text - 1", "return g(n)"),
        ("match n:", "    case 1: return n + text"),
        ("with open(text) as file: return n + text",),
        ("return f'{n + text}'",),
        ("return ord(n)",),
        ("return text.count(n)",),
        ("return abs(items)",),
        ("return (n, text)[0] + text",),
        ("while text > n: n += 1", "return n"),
    ],
)
def test_what_no_type_allows_is_an_error(lines: tuple[str, ...]) -> None:
    assert findings(*lines).kind_errors


@pytest.mark.parametrize(
    "lines",
    [
        ("return text + str(n) + text * n",),
        ("return '%d' % n",),
        ("return '%s, ' % text + ('%d' % n)",),
        ("return items[len(items) // 2:][0]",),
        ("return items + [n] * 3",),
        ("items += text",),
        ("return ' '.join(str(i) for i in items)",),
        ("return ' '.join(map(str, items))",),
        ("return sum(c.isdigit() for c in text)",),
        ("return sum(map(int, text))",),
        ("return sum([[1], [2]], [])",),
        ("return max(items, default=None)",),
        (
            "found = None",
            "for i in items:",
            "    if found is None or i > found: found = i",
            "return found",
        ),
        ("found = None", "for i in items:", "    if i: found = i; break", "return found + 1"),
        (
            "last = None",
            "while items:",
            "    if last: n = last.real",
            "    last = items.pop()",
            "return n",
        ),
        ("if isinstance(other, str): other = other.split()", "return other[0]"),
        ("if isinstance(n, str): return n.split()", "return n"),
        ("try: return n + text", "except TypeError: return 0"),
        ("a, (b, *c) = 1, text", "return a + len(c)"),
        ("(a, b), c = table.items(), n", "return c + 1"),
        ("return {**table}['a'] + n",),
        ("return (lambda x: x + 1)(n) + (lambda: text)()",),
        ("return [*items, *text, n]",),
        ("return n if n else text.upper()",),
        ("return items and items[0] + 1",),
        ("return set(items) - {n} | set(text)",),
        ("return table.get(text, 0) + n",),
        (
            "groups = {}",
            "for c in text: groups.setdefault(c, []).append(c)",
            "return groups['a'][0] + text",
        ),
        (
            "counts = {}",
            "for c in text: counts[c] = counts.get(c, 0) + 1",
            "return max(counts, key=counts.get)",
        ),
        ("stack = []", "for c in text: stack.append(c)", "return stack[-1] + text"),
        ("grid = [[0] * n for _ in range(n)]", "grid[0][1] += 1", "return grid[0][1] / n"),
        ("rows = [None] * n", "rows[0] = []", "rows[0].append(1)", "return rows"),
        ("def g(x): return x.anything + 1", "return g(n) + g(text)"),
        (
            "best = 0",
            "def g():",
            "    nonlocal best",
            "    best = text",
            "g()",
            "return best.lower()",
        ),
        ("text = list(text)", "text[0] = 'a'", "text.sort()", "return ''.join(text)"),
        ("return text.startswith(('a', 'b')) and text[0] in 'ab' and text[::-1] == text",),
        ("return other.anything(other)[other] + other * n % 2",),
        ("return int(rate) + round(rate) << 1",),
        ("return range(int(rate))[0] + len(range(n))",),
        ("return bool | None",),
        ("return True + n & 1 | 2",),
        ("return dict(table) | {} and table.keys() & table.keys()",),
        ("return sorted(zip(items, text), key=lambda pair: -pair[0])[0][1].upper()",),
        ("return str.upper(text) + str.join(',', [text])",),
        ("return min(items, key=lambda i: abs(i - n))",),
        ("for i, (a, b) in enumerate(zip(items, items[1:])): n += i + a + b", "return n"),
        ("del items[0]", "return items"),
        ("return text.split()[-1].strip('.').title()",),
        ("return list(filter(None, items))[0] + n",),
        ("while True:", "    n = n // 2", "    if n % 2: break", "return n + 1"),
        ("return len(text.encode()) + text.encode()[0]",),
        ("return b''.join([text.encode()])",),
    ],
)
def test_what_some_type_allows_is_none(lines: tuple[str, ...]) -> None:
    assert findings(*lines).kind_errors == 0


def test_what_only_some_types_allow_is_a_risk() -> None:
    prompt = 'def f(items):\n    """\n    >>> f([\'a\', 1])\n    True\n    """\n'
    source = "def f(items):\n    return all(i.islower() for i in items)"
    found = lint(ast.parse(source), find_header(prompt), prompt)
    assert (found.kind_errors, found.kind_risks) == (0, 1)


@pytest.mark.parametrize("test", ["text == n", "items != table", "[text] == items", "None == n"])
def test_a_comparison_that_only_comes_out_one_way_is_noticed(test: str) -> None:
    assert findings(f"return {test}").unequal == 1


@pytest.mark.parametrize("test", ["n == rate", "n == True", "items == []", "other == n"])
def test_a_comparison_that_can_come_out_both_ways_is_none(test: str) -> None:
    assert findings(f"return {test}").unequal == 0


def test_too_much_to_look_at_ends_the_look() -> None:
    lines = [f"{'    ' * depth}for x{depth} in items:" for depth in range(12)]
    found = findings(*lines, "    " * 12 + "n = str(n) if n else items", *["n += 1"] * 500)
    assert found.wrong_returns == 0


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("int", INT),
        ("float", INT | FLOAT),
        ("List[int]", of("list", INT)),
        ("list[list[str]]", of("list", of("list", STR))),
        ("Optional[str]", STR | NONE),
        ("str | None", STR | NONE),
        ("Union[int, bool]", INT | BOOL),
        ("Tuple[int, str]", tuple_of((INT, STR))),
        ("tuple[int, ...]", of("tuple", INT)),
        ("typing.Dict[str, int]", of("dict", STR, INT)),
        ("None", NONE),
        ("Any", ANY),
        ("Iterable[int]", ANY),
        ("'int'", ANY),
    ],
)
def test_annotations_are_understood(annotation: str, kind: object) -> None:
    assert of_annotation(ast.parse(annotation, mode="eval").body) == kind


def test_kinds_join() -> None:
    assert join((INT, STR)) == INT | STR
    assert join((INT, ANY)) == ANY
    assert join((NEVER, INT)) == INT
    assert join(()) == NEVER
    assert join((of("list", INT), of("list", STR))) == of("list", INT | STR)
    assert join((tuple_of((INT, STR)), tuple_of((BOOL, STR)))) == tuple_of((INT | BOOL, STR))
    assert of_value([1, "a"]) == of("list", INT | STR)
    assert of_value({"a": (1, None)}) == of("dict", STR, tuple_of((INT, NONE)))


@pytest.mark.parametrize(
    ("one", "other", "able"),
    [
        (INT, FLOAT, True),
        (INT, STR, False),
        (of("list", INT), of("list", NEVER), True),
        (of("list", INT), of("list", STR), False),
        (of("list", INT), tuple_of((INT,)), False),
        (tuple_of((INT,)), tuple_of((INT, INT)), False),
        (INT | STR, STR, True),
        (ANY, STR, True),
    ],
)
def test_kinds_may_equal(one: frozenset[object], other: frozenset[object], able: bool) -> None:
    assert may_equal(one, other) is able  # type: ignore[arg-type]
    assert may_equal(other, one) is able  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "module", ["bisect", "calendar", "fractions", "heapq", "statistics", "textwrap"]
)
def test_well_worn_code_has_no_errors(module: str) -> None:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    with open(spec.origin, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert functions
    assert not [node.name for node in functions if infer(tree, node, {}).errors]


def test_kinds_that_grow_without_end_are_forgotten() -> None:
    lines = [f"n = ({', '.join(['n'] * 6)})" for _ in range(60)]
    others = [f"other = ({', '.join(['other'] * 6)})" for _ in range(60)]
    found = findings("other = 1", *lines, *others, "if n == other: n = other", "return n")
    assert found.kind_errors == 0
