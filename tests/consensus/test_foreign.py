"""Code of other languages: recognised, judged by its grammar, compared by its words."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from local_swarm.consensus.ballot import Standing, prepare
from local_swarm.consensus.forms.normalise import normalise
from local_swarm.consensus.parsing import grammars, languages, lexer
from local_swarm.consensus.reading.extract import Answer, Kind, extract
from local_swarm.domain.candidate import Candidate

PROGRAMS = {
    "javascript": "function add(a, b) {\n  const c = a + b; // sum\n  return c;\n}",
    "typescript": "function add(a: number, b: number): number {\n  return a + b;\n}",
    "go": "package main\n\nfunc add(a, b int) int {\n\tc := a + b\n\treturn c\n}",
    "rust": "fn add(a: i32, b: i32) -> i32 {\n    let mut c = a;\n    c += b;\n    c\n}",
    "c": "#include <stdio.h>\n\nint add(int a, int b) {\n    int c = a + b;\n    return c;\n}",
    "cpp": "#include <vector>\n\nint add(const std::vector<int>& xs) {\n    return xs[0];\n}",
    "java": "public class Add {\n    public int add(int a, int b) { return a + b; }\n}",
    "bash": '#!/bin/bash\nset -e\nif [ -f "$1" ]; then\n  rm "$1"\nfi',
    "sql": "SELECT a, count(*) FROM t WHERE b = 1 GROUP BY a",
}
BROKEN = {
    "javascript": "function add(a, b) {\n  return a +",
    "typescript": "function add(a: number, b: number): number {\n  return a +",
    "go": "package main\n\nfunc add(a, b int) int {\n\treturn a +",
    "rust": "fn add(a: i32, b: i32) -> i32 {\n    let mut c = ;",
    "c": "#include <stdio.h>\n\nint add(int a, int b) {\n    return a +",
    "cpp": "#include <vector>\n\nint add(const std::vector<int>& xs) {\n    return xs[",
    "java": "public class Add {\n    public int add(int a, int b) { return a +",
    "bash": '#!/bin/bash\nset -e\nif [ -f "$1" ]; then\n  rm "$1"\n',
    "sql": "SELECT a, count(*) FROM WHERE GROUP BY",
}
SAME = {
    "javascript": "function add(x, y) {\n  const z = x + y\n\n  /* the sum */ return z\n}",
    "typescript": "function add(x: number, y: number): number { return x + y; }",
    "go": "package main\nfunc add(x, y int) int {\n    // sum\n    z := x + y\n    return z\n}",
    "rust": "fn add(x: i32, y: i32) -> i32 { let mut z = x; z += y; z }",
    "c": "#include <stdio.h>\nint add(int x, int y)\n{\n    int z = x + y; /* sum */\n"
    "    return z;\n}",
    "cpp": "#include <vector>\nint add(const std::vector<int>& v)\n{ return v[0]; }",
    "java": "public class Add { public int add(int x, int y)\n{\n return x + y; // sum\n}\n}",
    "sql": "select a, COUNT(*) from t\nwhere b = 1 group by a -- each",
}
needs_grammars = pytest.mark.skipif(
    not all(map(grammars.knows, PROGRAMS)), reason="needs the extra `languages`"
)


def answer(text: str) -> Answer:
    return extract(Candidate(text))


@pytest.mark.parametrize("language", PROGRAMS)
@pytest.mark.parametrize(
    "wrapping",
    ["```\n{}\n```", "```python\n{}\n```", "{}", "Here it is:\n\n```\n{}\n```\n\nThat is all."],
)
def test_the_language_is_known_without_a_tag(language: str, wrapping: str) -> None:
    found = answer(wrapping.format(PROGRAMS[language]))
    assert (found.kind, found.language, found.sound) == (Kind.CODE, language, True)
    assert found.text == PROGRAMS[language]


@pytest.mark.parametrize("language", ["javascript", "go", "rust", "c", "java"])
def test_it_is_found_in_talk_without_a_fence(language: str) -> None:
    found = answer(f"You can do it like this:\n\n{PROGRAMS[language]}\n\nIt adds both numbers.")
    assert (found.kind, found.language) == (Kind.CODE, language)
    assert found.text == PROGRAMS[language]


def test_a_query_of_several_lines_is_found_in_talk() -> None:
    query = "SELECT a.x, COUNT(*)\nFROM a\nJOIN b ON b.a = a.id\nGROUP BY a.x;"
    found = answer(f"Use this query:\n\n{query}\n\nIt counts what belongs to each.")
    assert (found.kind, found.language, found.text) == (Kind.CODE, "sql", query)


@pytest.mark.parametrize(
    "text",
    [
        "Let me explain; it adds both.",
        "# Title\n\nSome text with $x$ and {braces}.\n\n- a list\n- of things;",
        "Select one of them from the list.",
        "Costs are $5 (or more)",
        "In C you would write `int x;` and then use it.",
    ],
)
def test_prose_is_no_code(text: str) -> None:
    assert answer(text).kind is Kind.TEXT


@needs_grammars
@pytest.mark.parametrize("language", BROKEN)
def test_what_the_grammar_rejects_is_broken(language: str) -> None:
    found = answer(f"```{language}\n{BROKEN[language]}\n```")
    assert (found.kind, found.language, found.sound) == (Kind.CODE, language, False)
    texts = [f"```{language}\n{source[language]}\n```" for source in (PROGRAMS, BROKEN)]
    one, other = prepare("", texts).entries
    assert (one.standing, other.standing) == (Standing.SOUND, Standing.BROKEN)


@needs_grammars
@pytest.mark.parametrize("language", SAME)
def test_layout_comments_and_local_names_do_not_count(language: str) -> None:
    one, other = (
        normalise(Answer(Kind.CODE, source[language], language=language))
        for source in (PROGRAMS, SAME)
    )
    assert one.key == other.key
    assert one.tokens == other.tokens != ()


@needs_grammars
@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("javascript", "f = (a) => a.x", "f = (a) => a.y"),
        ("javascript", "const f = () => x", "const f = () => y"),
        ("javascript", "const f = ({a}) => a", "const f = ({b}) => b"),
        ("javascript", "function f(a) { return {a} }", "function f(b) { return {b} }"),
        ("javascript", "function f() {\n  return\n  x\n}", "function f() {\n  return x\n}"),
        ("javascript", "for (;a;) b()", "for (;;a) b()"),
        ("javascript", "f(a, b)", "f(b, a)"),
        ("go", "func f(a int) T { return T{a: a} }", "func f(b int) T { return T{b: b} }"),
        ("rust", 'fn f(a: i32) { p!("{a}") }', 'fn f(b: i32) { p!("{b}") }'),
        ("c", "int f(int a) { return a + g; }", "int f(int a) { return a + h; }"),
        ("java", "class A { int x; }", "class A { int y; }"),
        (
            "java",
            "class A { int f(B b) { return b.b; } }",
            "class A { int f(B c) { return c.c; } }",
        ),
        ("bash", 'f "$a$b"', 'f "$a $b"'),
        ("sql", "SELECT 'a'", "SELECT 'A'"),
        ("sql", "SELECT ' '", "SELECT ''"),
        ("javascript", 's.split(" ")', 's.split("")'),
        ("javascript", 's.split(" ")', 's.split("  ")'),
        ("javascript", 's.split(";")', 's.split("")'),
        ("javascript", "f(`${a} ${b}`)", "f(`${a}${b}`)"),
        ("javascript", "f('\"')", 'f("\'")'),
        ("typescript", 's.split(" ")', 's.split("")'),
        ("go", 'func f() { g(" ") }', 'func f() { g("") }'),
        ("go", "func f() { g(` `) }", "func f() { g(``) }"),
        ("rust", 'fn f() { g(" ", ""); }', 'fn f() { g("", " "); }'),
        ("c", 'void f() { g(" "); }', 'void f() { g(""); }'),
        ("cpp", 'void f() { g(R"( )"); }', 'void f() { g(R"()"); }'),
        ("java", 'class A { String s = " "; }', 'class A { String s = ""; }'),
    ],
)
def test_what_is_said_counts(language: str, one: str, other: str) -> None:
    forms = [normalise(Answer(Kind.CODE, text, language=language)).key for text in (one, other)]
    assert forms[0] != forms[1]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("java", "public int add(int a, int b) { return a + b; }"),
        ("java", "return a + b;"),
        ("go", "return a + b"),
        ("c", "if (a) { return b; }"),
        ("rust", "let c = a + b;\nc"),
        ("javascript", "add(a, b) {\n  return a + b;\n}"),
        ("typescript", "const x = <div>{a}</div>;"),
    ],
)
def test_a_part_of_a_program_is_whole(language: str, text: str) -> None:
    assert answer(f"```{language}\n{text}\n```").sound


def test_a_wrong_tag_does_not_hide_python() -> None:
    found = answer("```javascript\ndef add(a, b):\n    return a + b\n```")
    assert (found.language, found.sound) == ("", True)


def test_broken_python_is_no_other_language() -> None:
    found = answer("```\ndef f(x):\n    const = {};\n    return x +\n```")
    assert (found.kind, found.language, found.sound) == (Kind.CODE, "", False)


@needs_grammars
@pytest.mark.parametrize("language", PROGRAMS)
@pytest.mark.parametrize(
    "text", ["(" * 9000, "<<A\n" * 3000, "a<b," * 3000, "'\"" * 6000, "\0\ud800"]
)
def test_whatever_is_in_it_the_grammar_answers(language: str, text: str) -> None:
    assert grammars.parse(text, language) is not None
    assert grammars.parse(text, language) == grammars.parse(text, language)


@pytest.mark.parametrize("language", PROGRAMS)
def test_longer_code_is_not_parsed(language: str) -> None:
    assert grammars.parse("x\n" * grammars.MAX_CHARS, language) is None


def test_words_leave_out_comments() -> None:
    assert lexer.words('f("a // b"); // c\n/* d */ x>>=1', "go") == (
        *("f", "(", '"a // b"', ")", ";"),
        *("x", ">>=", "1"),
    )
    assert lexer.words("a # b\n$#", "ruby") == ("a", "$", "#")
    assert lexer.words("SELECT a -- b", "sql") == ("select", "a")


def test_tags_have_one_name() -> None:
    names = [languages.named(tag) for tag in ("TS", "{.rust}", "c++", "python3", "postgres", "zig")]
    assert names == ["typescript", "rust", "cpp", "", "sql", "zig"]


WITHOUT = """
    import sys

    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name.startswith("tree_sitter"):
                raise ImportError(name)

    sys.meta_path.insert(0, Hidden())

    from local_swarm.consensus import vote
    from local_swarm.consensus.parsing import grammars
    from local_swarm.consensus.ballot import prepare

    assert not grammars.knows("go")
    one = "```go\\nfunc f(a int) int { return a + 1 }\\n```"
    same = "```go\\nfunc f(a int)  int {  return a + 1 }\\n```"
    other = "```\\nfunc f(b int) int {\\n\\treturn b * 1 // no\\n}\\n```"
    entries = prepare("", [one, same, other]).entries
    assert [entry.answer.language for entry in entries] == ["go"] * 3
    assert [entry.answer.sound for entry in entries] == [True] * 3
    assert entries[0].form.key == entries[1].form.key != entries[2].form.key
    assert entries[2].form.tokens == (
        "func", "f", "(", "b", "int", ")", "int", "{", "return", "b", "*", "1", "}",
    )
    assert vote("", [other, one, same]).index in (1, 2)
    print("voted")
"""


def test_without_the_extra_words_are_compared_and_everything_is_whole() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WITHOUT)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ran.stdout, ran.stderr) == ("voted\n", "")
