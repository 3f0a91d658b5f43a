"""Files of graded answers: what is read, and what is refused with its line."""

from __future__ import annotations

import json

import pytest

from local_swarm.errors import UsageError
from local_swarm.evals.data import Sample, load
from tests.evals import graded


def test_problems_are_read_in_their_order(tmp_path):
    rows = graded.lines(2)
    problems = load(graded.write(tmp_path / "a.jsonl", rows))
    assert [(p.task_id, p.source, p.prompt) for p in problems] == [
        (row["task_id"], row["source"], row["prompt"]) for row in rows
    ]
    first = rows[0]["samples"][0]
    assert problems[0].samples[0] == Sample(first["text"], first["passed"])


def test_empty_lines_and_a_missing_source_are_no_mistake(tmp_path):
    row = graded.line(0, "small")
    del row["source"], row["entry_point"], row["test"]
    path = tmp_path / "a.jsonl"
    path.write_text(f"\n{json.dumps(row)}\r\n\n", encoding="utf-8")
    (problem,) = load(path)
    assert problem.source == "-"


GOOD = json.dumps(graded.line(0, "small"))


def without(name):
    row = graded.line(1, "small")
    del row[name]
    return json.dumps(row)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (GOOD[:-30], "line 2 is no problem: Input data was truncated"),
        ("no JSON", "line 2 is no problem: JSON is malformed"),
        ("[1]", "line 2 is no problem: Expected `object`, got `array`"),
        (without("prompt"), "line 2 is no problem: Object missing required field `prompt`"),
        (without("task_id"), "missing required field `task_id`"),
        (without("samples"), "missing required field `samples`"),
        (GOOD.replace('"passed"', '"right"', 1), r"missing required field `passed`.*samples\[0\]"),
        (GOOD.replace("true", '"yes"', 1), "line 2 is no problem: Expected `bool`, got `str`"),
        (json.dumps({**graded.line(1, "small"), "samples": []}), "line 2 has no samples"),
        ("[" * 100_000, "line 2 is no problem"),
    ],
)
def test_a_bad_line_is_named_with_what_is_wrong(tmp_path, second, why):
    path = tmp_path / "bad.jsonl"
    path.write_text(f"{GOOD}\n{second}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=why):
        load(path)


def test_bytes_that_are_no_text_are_a_bad_line(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(GOOD.encode().replace(b"plus", b"\xff\xfe"))
    with pytest.raises(UsageError, match="line 1 is no problem"):
        load(path)


def test_no_file_and_an_empty_one_are_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "nowhere.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n\n", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no problem"):
        load(tmp_path / "empty.jsonl")
