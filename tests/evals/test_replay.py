"""Votes on drawn samples: the draws, the rates and the intervals are those of the formulas."""

from __future__ import annotations

import random
from typing import Any

import pytest

from local_swarm.consensus import vote
from local_swarm.errors import UsageError
from local_swarm.evals import figures
from local_swarm.evals.data import Problem, Sample, load
from local_swarm.evals.draws import Item, draw, has, items, left_out
from local_swarm.evals.replay import Plan, Tally, replay
from tests.evals import graded


def nothing() -> None:
    """Nobody watches the progress."""


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return graded.lines()


@pytest.fixture
def problems(tmp_path, rows) -> tuple[Problem, ...]:
    return load(graded.write(tmp_path / "graded.jsonl", rows))


def reference(tasks: list[list[dict[str, Any]]], group: str, n: int, plan: Plan) -> dict[str, Any]:
    """The figures of one group by the formulas that the format of the data comes with."""
    voters, bests, chances = [], [], []
    for sources in tasks:
        voter = best = chance = 0.0
        for number in range(plan.draws):
            task = sources[0]["task_id"]
            rng = random.Random("%d|%s|%s|%d|%d" % (plan.seed, group, task, n, number))  # noqa: UP031
            if len(sources) > 1:
                order = sources[:]
                rng.shuffle(order)
                pools = [rng.sample(row["samples"], len(row["samples"])) for row in order]
                drawn = [pools[i % len(pools)][i // len(pools)] for i in range(n)]
                rng.shuffle(drawn)
            else:
                drawn = rng.sample(sources[0]["samples"], n)
            texts = [sample["text"] for sample in drawn]
            index = vote(sources[0]["prompt"], texts, strategy=plan.strategies[0]).index
            voter += drawn[index]["passed"]
            best += any(sample["passed"] for sample in drawn)
            chance += sum(sample["passed"] for sample in drawn) / n
        voters.append(voter / plan.draws)
        bests.append(best / plan.draws)
        chances.append(chance / plan.draws)
    rng, size = random.Random(1), len(voters)

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    means = sorted(mean([voters[rng.randrange(size)] for _ in voters]) for _ in range(1000))
    gains = sorted(
        mean([voters[i] - chances[i] for i in (rng.randrange(size) for _ in voters)])
        for _ in range(1000)
    )
    return {
        "source": group,
        "n": n,
        "problems": size,
        "random": mean(chances),
        "oracle": mean(bests),
        "voter": mean(voters),
        "ci": (means[25], means[974]),
        "gain_ci": (gains[25], gains[974]),
        "headroom": (mean(voters) - mean(chances)) / (mean(bests) - mean(chances)),
    }


@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("strategy", ["fuzzy", "off"])
def test_figures_are_those_of_the_formulas_to_the_digit(problems, rows, mix, strategy):
    plan = Plan((strategy,), (3, 5), draws=4, seed=11)
    found = figures.report(replay(items(problems, mix=mix), plan, advance=nothing))["rows"]
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        tasks = groups.setdefault("mix" if mix else row["source"], {})
        tasks.setdefault(row["task_id"], []).append(row)
    expected = [
        reference(list(tasks.values()), group, n, plan)
        for n in plan.counts
        for group, tasks in groups.items()
    ]
    assert [{key: row[key] for key in expected[0]} for row in found] == expected
    assert all(row["failures"] == 0 and 0 < row["ms_p50"] <= row["ms_p95"] for row in found)


def test_processes_give_the_same_figures(problems):
    plan = Plan(("fuzzy",), (3,), draws=2, seed=7)
    tasks, steps = items(problems), []

    def rates(jobs: int) -> list[tuple[Any, ...]]:
        tallies = replay(tasks, plan, jobs=jobs, advance=lambda: steps.append(jobs))
        return [(t.group, t.task_id, t.n, t.voter, t.random, t.oracle) for t in tallies]

    assert rates(1) == rates(2)
    assert steps == [1] * len(tasks) + [2] * len(tasks)


def test_mixed_sources_take_turns(problems):
    item = items(problems, mix=True)[0]
    drawn = draw(item, 8, 0, 7)
    counts = sorted([one.source for one in drawn].count(source) for source in graded.SOURCES)
    assert counts == [2, 3, 3]
    assert draw(item, 8, 0, 7) == drawn != draw(item, 8, 1, 7)
    assert len({id(one.sample) for one in drawn}) == 8


def test_sources_are_chosen_by_a_part_of_their_names_and_tasks_by_a_limit(problems):
    assert {item.group for item in items(problems, source="mall")} == {"small"}
    assert items(problems, source="nobody") == []
    limited = items(problems, limit=2)
    assert [item.group for item in limited] == ["small"] * 2 + ["middle"] * 2 + ["large"] * 2


def test_tasks_with_too_few_samples_are_left_out_and_named(problems):
    tasks = items(problems)
    assert left_out(tasks, (3, 11)) == [
        {"source": source, "n": 11, "problems": 6} for source in graded.SOURCES
    ]
    assert left_out(items(problems, mix=True), (30,)) == []
    plan = Plan(("off",), (3, 11), draws=1, seed=7)
    assert {tally.n for tally in replay(tasks, plan, advance=nothing)} == {3}
    assert not has(tasks[0], 11)
    with pytest.raises(ValueError, match="fewer than 11 samples"):
        draw(tasks[0], 11, 0, 7)


def test_a_mix_is_bounded_by_its_smallest_source():
    def problem(source: str, samples: int) -> Problem:
        return Problem("t", "", tuple(Sample(str(i), True) for i in range(samples)), source)

    item = Item("mix", "t", (problem("a", 2), problem("b", 9)))
    assert has(item, 4)
    assert not has(item, 5)
    assert all(len(draw(item, 4, number, 7)) == 4 for number in range(20))


def test_a_strategy_that_cannot_be_had_is_said_before_anything_is_measured(problems):
    plan = Plan(("nonsense",), (3,), draws=1, seed=7)
    with pytest.raises(UsageError, match="no voting strategy"):
        replay(items(problems), plan, advance=nothing)


def tally(group: str, task: str, voter: float, chance: float, best: float) -> Tally:
    return Tally(group, task, "s", 3, voter, chance, best, 0, (1.0, 2.0))


def test_the_mean_counts_every_source_the_same():
    tallies = [
        *(tally("a", f"t{i}", 0.6, 0.5, 1.0) for i in range(20)),
        *(tally("b", f"t{i}", 0.5, 0.0, 0.5) for i in range(4)),
    ]
    (mean,) = figures.report(tallies)["means"]
    assert mean["sources"] == 2
    assert (mean["random"], mean["oracle"]) == pytest.approx((0.25, 0.75))
    assert mean["voter"] == pytest.approx(0.55)
    assert mean["headroom"] == pytest.approx((0.2 + 1.0) / 2)
    assert mean["headroom_ci"] == pytest.approx((0.6, 0.6))
    assert mean["ms_p50"] == 2.0


def test_without_headroom_there_is_no_share_of_it():
    row = figures.row([tally("a", "t", 1.0, 1.0, 1.0)])
    assert row.headroom is None
    assert row.headroom_ci is None
    (mean,) = figures.report([tally("a", "t", 1, 1, 1), tally("b", "t", 1, 0, 1)])["means"]
    assert mean["headroom"] is None


def test_the_interval_of_a_headroom_holds_it():
    rng = random.Random(3)
    tallies = []
    for number in range(60):
        chance = rng.random() * 0.5
        best = chance + 0.4
        tallies.append(tally("a", f"t{number}", rng.uniform(chance, best), chance, best))
    row = figures.row(tallies)
    assert row.headroom is not None
    assert row.headroom_ci is not None
    low, high = row.headroom_ci
    assert low < row.headroom < high
