"""Edits that do the same are the same, however they are written down."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.consensus import vote
from local_swarm.consensus.ballot import Standing, prepare
from local_swarm.consensus.reading import edit_formats, edits
from local_swarm.consensus.reading.extract import Answer, Kind, extract
from local_swarm.domain.candidate import Candidate

DIFF = """\
--- a/src/calc.py
+++ b/src/calc.py
@@ -1,4 +1,4 @@
 import math

 def half(x):
-    return x / 3
+    return x / 2
"""
GIT = """\
diff --git a/src/calc.py b/src/calc.py
index 83db48f..bf269f4 100644
--- a/src/calc.py\t2024-01-01 00:00:00
+++ b/src/calc.py\t2024-01-02 00:00:00
@@ -3,2 +3,2 @@ import math
 def half(x):
-    return x / 3
+    return x / 2
"""
PATCH = """\
*** Begin Patch
*** Update File: src/calc.py
@@ def half(x):
-    return x / 3
+    return x / 2
*** End Patch
"""
BLOCK = """\
src/calc.py
```python
<<<<<<< SEARCH
def half(x):
    return x / 3
=======
def half(x):
    return x / 2
>>>>>>> REPLACE
```
"""
SAME = [
    DIFF,
    GIT,
    PATCH,
    BLOCK,
    f"Here is the fix:\n\n```diff\n{DIFF}```\nIt was a typo.",
    f"```patch\n{GIT}```",
    DIFF.replace("@@ -1,4 +1,4 @@", "@@ -11,4 +12,4 @@"),
    DIFF.replace("a/src", "./src").replace("b/src", "./src"),
    f"**`src/calc.py`**\n\n```\n{BLOCK.split('```python')[1].strip()}",
    f"```python:src/calc.py\n{BLOCK.split('```python')[1].strip()}",
    BLOCK.replace("<<<<<<< SEARCH", "------- SEARCH").replace(">>>>>>> REPLACE", "+++++++ REPLACE"),
    BLOCK.replace("SEARCH\n", "SEARCH\n:start_line:3\n:end_line:4\n-------\n"),
]


def answer(text: str) -> Answer:
    return extract(Candidate(text))


@pytest.mark.parametrize("text", SAME)
def test_the_same_edit_has_one_form(text: str) -> None:
    found = answer(text)
    assert (found.kind, found.sound) == (Kind.EDIT, True)
    assert found.text == "=== src/calc.py\n-    return x / 3\n+    return x / 2"


@pytest.mark.parametrize(
    "text",
    [
        DIFF.replace("x / 2", "x / 4"),
        DIFF.replace("    return", "  return"),
        DIFF.replace("calc.py", "other.py"),
        PATCH.replace("src/calc.py", "calc.py"),
    ],
)
def test_another_edit_has_another_form(text: str) -> None:
    assert answer(text).kind is Kind.EDIT
    assert answer(text).text != answer(DIFF).text


def test_the_order_of_changes_does_not_count() -> None:
    other = BLOCK.replace("x / 3", "x / 5").replace("calc", "more")
    assert answer(BLOCK + other).text == answer(other + BLOCK).text
    assert answer(BLOCK + other).text != answer(BLOCK).text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "*** Begin Patch\n*** Add File: a.py\n+x = 1\n+y = 2\n*** End Patch",
            "--- /dev/null\n+++ b/a.py\n@@ -0,0 +1,2 @@\n+x = 1\n+y = 2",
        ),
        (
            "*** Begin Patch\n*** Delete File: a.py\n*** End Patch",
            "--- a/a.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x = 1",
        ),
        (
            "*** Begin Patch\n*** Update File: a.py\n*** Move to: b.py\n@@\n-x\n+y\n*** End Patch",
            "rename from a.py\nrename to b.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x\n+y",
        ),
        (
            "a.py\n<<<<<<< SEARCH\n=======\nx = 1\n>>>>>>> REPLACE",
            "*** Begin Patch\n*** Add File: a.py\n+x = 1\n*** End Patch",
        ),
    ],
)
def test_what_happens_to_a_file_has_one_form(one: str, other: str) -> None:
    assert answer(one).text == answer(other).text
    assert answer(one).kind is Kind.EDIT


def test_where_something_is_put_in_counts() -> None:
    after_one = "a.py\n<<<<<<< SEARCH\none\n=======\none\nnew\n>>>>>>> REPLACE"
    after_two = after_one.replace("one", "two")
    assert answer(after_one).text == "=== a.py\n@ one\n+new"
    assert answer(after_one).text != answer(after_two).text


@pytest.mark.parametrize(
    "text",
    [
        BLOCK.replace(">>>>>>> REPLACE\n", ""),
        PATCH.replace("*** End Patch\n", ""),
        f"{BLOCK}\nsrc/more.py\n<<<<<<< SEARCH\nx\n=======\ny",
    ],
)
def test_an_edit_that_was_cut_off_is_broken(text: str) -> None:
    assert (answer(text).kind, answer(text).sound) == (Kind.EDIT, False)


def test_a_cut_answer_is_broken_where_its_form_does_not_show_it() -> None:
    ballot = prepare("", [Candidate(DIFF, finish_reason="length"), DIFF])
    assert [entry.standing for entry in ballot.entries] == [Standing.BROKEN, Standing.SOUND]


def test_lines_with_marks_in_a_block_that_says_it_is_a_diff_are_one() -> None:
    found = answer("In calc.py:\n```diff\n- return 1\n+ return 2\n```")
    assert (found.kind, found.text) == (Kind.EDIT, "=== \n- return 1\n+ return 2")


@pytest.mark.parametrize(
    "text",
    [
        "Use @@ in SQL Server, or <<<<<<< in Git.",
        "- one\n- two\n+ three",
        "--- a rule\n\nText.",
        "*** Begin Patch",
        "<<<<<<< SEARCH",
        'def f():\n    return """\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n"""',
    ],
)
def test_what_only_looks_like_an_edit_is_none(text: str) -> None:
    assert answer(text).kind is not Kind.EDIT


def test_the_asked_function_counts_more_than_the_edit_next_to_it() -> None:
    code = "def half(x):\n    return x / 2"
    text = f"```diff\n{DIFF}```\nThe whole function:\n```python\n{code}\n```"
    (entry,) = prepare("def half(x):\n", [text]).entries
    assert (entry.answer.kind, entry.answer.text) == (Kind.CODE, code)


words = st.lists(st.integers(0, 60).map("line {}".format), min_size=1, max_size=12, unique=True)


@settings(max_examples=80)
@given(words, words, st.integers(1, 4))
def test_diff_and_block_agree_on_any_change(old: list[str], new: list[str], context: int) -> None:
    lines = difflib.unified_diff(old, new, "a/f.py", "b/f.py", n=context, lineterm="")
    diff = edit_formats.find("\n".join(lines))
    block = "\n".join(
        ["f.py", "<<<<<<< SEARCH", *old, "=======", *new, ">>>>>>> REPLACE"]
    )  # fmt: skip
    other = edit_formats.find(block)
    if old == new:
        assert diff is None
    else:
        assert diff is not None
        assert other is not None
        assert edits.canonical(diff) == edits.canonical(other)


MARKS = ["@@", "+a", "-a", " a", "--- a", "+++ b", "diff --git a b", "rename to c", "rename from d"]
MARKS += ["<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE", "*** Begin Patch", "*** End Patch", ""]
MARKS += ["*** Update File: f", "*** Add File: g", "*** Delete File: h", "*** Move to: i", "```"]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(MARKS), max_size=14))
def test_any_lines_are_read(lines: list[str]) -> None:
    found = edit_formats.find("\n".join(lines))
    if found is not None:
        assert isinstance(edits.canonical(found), str)
    edit_formats.bare_diff("\n".join(lines))


def test_most_of_equal_edits_win() -> None:
    texts = [DIFF.replace("x / 2", "x / 4"), DIFF, PATCH, BLOCK, "I would fix the divisor."]
    verdict = vote("Fix half().", texts)
    assert verdict.index in (1, 2, 3)
    assert verdict.agreement == pytest.approx(0.6)
