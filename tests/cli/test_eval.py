"""`lswarm eval --data`: the document, the table, what is refused, and what is kept."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from local_swarm.cli.group import lswarm
from local_swarm.config.paths import user_paths
from local_swarm.consensus.scoring.skills import weights
from local_swarm.consensus.strategies.registry import STRATEGIES
from local_swarm.errors import UsageError
from local_swarm.swarm.skills import SkillFile
from tests.evals import graded

ROW = [
    "strategy", "source", "n", "problems", "random", "oracle", "voter", "ci", "gain_ci",
    "headroom", "headroom_ci", "failures", "ms_p50", "ms_p95",
]  # fmt: skip


@pytest.fixture
def data(tmp_path):
    return graded.write(tmp_path / "graded.jsonl", graded.lines())


@pytest.fixture
def run(data, tmp_path, monkeypatch):
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path / "home"))

    def run(*args, draws="2"):
        return CliRunner().invoke(lswarm, ["eval", "--data", str(data), "--draws", draws, *args])

    return run


def document(result):
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def test_the_document_has_a_row_for_every_strategy_size_and_source(run, data):
    found = document(run("--strategy", "fuzzy", "--strategy", "off", "--n", "3,5", "--json"))
    assert (found["data"], found["seed"], found["draws"]) == (str(data), 7, 2)
    assert all(list(row) == ROW for row in found["rows"])
    cells = {(row["strategy"], row["n"], row["source"]) for row in found["rows"]}
    assert cells == {(s, n, g) for s in ("fuzzy", "off") for n in (3, 5) for g in graded.SOURCES}
    assert [(mean["strategy"], mean["n"], mean["sources"]) for mean in found["means"]] == [
        ("fuzzy", 3, 3), ("off", 3, 3), ("fuzzy", 5, 3), ("off", 5, 3),
    ]  # fmt: skip


def test_auto_and_three_five_and_eight_voters_are_measured_unasked(run):
    rows = document(run("--json"))["rows"]
    assert {(row["strategy"], row["n"]) for row in rows} == {("auto", n) for n in (3, 5, 8)}


def test_people_see_a_table_and_progress_apart_from_it(run):
    result = run("--n", "3,20", "--strategy", "off")
    assert result.exit_code == 0, result.output
    assert "off, 3 voters" in result.stdout
    assert "mean" in result.stdout
    assert "6 problems of small have too few samples for 20 voters" in result.stdout
    assert "18 of 18 tasks" in result.stderr
    assert "18 of 18 tasks" not in result.stdout


def test_votes_that_fail_are_counted_as_the_first_answer(run, monkeypatch):
    def broken(ballot):
        if ballot.prompt:
            raise RuntimeError("a strategy with a bug")
        return STRATEGIES["off"](ballot)

    monkeypatch.setitem(STRATEGIES, "broken", broken)
    found = document(run("--strategy", "broken", "--strategy", "off", "--n", "3", "--json"))["rows"]
    by_strategy = {row["strategy"]: row for row in found if row["source"] == "small"}
    assert by_strategy["broken"]["failures"] == 6 * 2
    assert by_strategy["broken"]["voter"] == by_strategy["off"]["voter"]
    assert "12 votes by broken failed on small." in run("--strategy", "broken", "--n", "3").stdout


def test_sources_can_be_chosen_limited_and_mixed(run):
    one = document(run("--source", "arg", "--limit", "2", "--n", "3", "--json"))
    assert [(row["source"], row["problems"]) for row in one["rows"]] == [("large", 2)]
    assert one["means"] == []
    mixed = document(run("--mix", "--n", "3", "--json"))
    assert [(row["source"], row["problems"]) for row in mixed["rows"]] == [("mix", 6)]


def test_a_mix_can_be_weighed(run):
    found = document(run("--mix", "--weigh", "--n", "5", "--json"))
    assert found["weighed"] is True
    assert found["rows"][0]["failures"] == 0


def test_prompts_lose_their_examples_when_asked(tmp_path, monkeypatch):
    seen = []

    def watched(ballot):
        seen.append(ballot.prompt)
        return STRATEGIES["off"](ballot)

    monkeypatch.setitem(STRATEGIES, "watched", watched)
    row = graded.line(0, "small")
    row["prompt"] = (
        'def add_0(a, b):\n    """Give a plus b.\n\n    >>> add_0(1, 2)\n    3\n    """\n'
    )
    path = graded.write(tmp_path / "one.jsonl", [row])
    args = ["eval", "--data", str(path), "--strategy", "watched", "--n", "3", "--draws", "1"]
    for more, count in (([], 1), (["--hide-examples"], 0)):
        seen.clear()
        result = CliRunner().invoke(lswarm, [*args, *more, "--json"])
        assert document(result)["examples_hidden"] is bool(more)
        assert seen[-1].count(">>>") == count
        assert "Give a plus b." in seen[-1]


def test_pass_rates_are_kept_as_skills_when_asked(run):
    assert run("--n", "3").exit_code == 0
    assert SkillFile.of(user_paths()).read() == {}
    result = run("--n", "3", "--keep")
    assert "kept for large: " in result.stderr
    skills = SkillFile.of(user_paths()).read()
    assert {skill.suite for skill in skills.values()} == {"graded.jsonl"}
    found = weights(skills, graded.SOURCES)
    assert found["large"] > 1 > found["small"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ([], "takes --live or --data"),
        (["--live", "--data", "x"], "takes --live or --data"),
        (["--live", "--draws", "3"], "--draws goes with --data"),
        (["--live", "--strategy", "off", "--strategy", "auto"], "measures one strategy"),
        (["--data", "x", "--model", "m"], "--model goes with --live"),
        (["--data", "nowhere.jsonl"], "cannot be read"),
        (["--data", "DATA", "--n", "3,many"], "--n is '3,many'"),
        (["--data", "DATA", "--n", "0"], "--n is '0'"),
        (["--data", "DATA", "--n", "11"], "No problem has enough samples"),
        (["--data", "DATA", "--source", "nobody"], "No source is called 'nobody' in part"),
        (["--data", "DATA", "--strategy", "fuzy"], "no voting strategy 'fuzy'"),
        (["--data", "DATA", "--weigh"], "--weigh goes with --mix"),
    ],
)
def test_what_does_not_go_together_is_refused(data, args, why):
    given = [str(data) if arg == "DATA" else arg for arg in args]
    result = CliRunner().invoke(lswarm, ["eval", *given])
    assert isinstance(result.exception, UsageError)
    assert why in result.exception.message


@pytest.mark.parametrize("option", ["--draws", "--jobs", "--limit", "--tasks"])
def test_counts_are_at_least_one(option):
    result = CliRunner().invoke(lswarm, ["eval", "--data", "x", option, "0"])
    assert result.exit_code == 2
