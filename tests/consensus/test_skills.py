"""Which models count how much: learnt from votes, or measured."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.consensus.scoring.skills import (
    LEAST,
    MAX_MODELS,
    MIN_VOTES,
    MOST,
    Showing,
    Skill,
    learn,
    measured,
    showing,
    weights,
)
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.verdict import Verdict


def verdict(*clusters: tuple[int, ...], confidence: float = 0.8) -> Verdict:
    return Verdict(clusters[0][0], 0.5, confidence, "auto", clusters)


def candidates(models: str) -> list[Candidate]:
    return [Candidate("x", model=name) for name in models]


def shown(times: int, **shares: float) -> list[Showing]:
    return [Showing(shares, 0.9)] * times


def test_a_model_shows_by_the_share_of_its_answers_that_won_with_others() -> None:
    found = showing(candidates("aabbc"), verdict((1, 2, 3), (0,), (4,)))
    assert found == Showing({"a": 0.5, "b": 1.0, "c": 0.0}, 0.8)


def test_what_a_model_says_alone_speaks_for_nobody() -> None:
    found = showing(candidates("aaab"), verdict((0, 1, 2), (3,)))
    assert found == Showing({"a": 0.0, "b": 0.0}, 0.8)


@pytest.mark.parametrize("models", ["a", "aaa"])
def test_a_swarm_of_one_model_learns_nothing(models: str) -> None:
    assert showing(candidates(models), verdict((0,))) is None
    assert showing([Candidate("x"), Candidate("y", model="a")], verdict((0, 1))) is None


def test_one_model_or_none_that_is_known_weighs_one() -> None:
    skills = learn({}, shown(100, a=0.9, b=0.1))
    assert weights(skills, ["a", "a"]) == {"a": pytest.approx(1.0)}
    assert weights(skills, ["new", "newer"]) == {"new": 1.0, "newer": 1.0}
    assert weights({}, []) == {}


def test_some_tens_of_votes_are_needed() -> None:
    few = learn({}, shown(MIN_VOTES - 1, a=1.0, b=0.0))
    assert weights(few, ["a", "b"]) == {"a": 1.0, "b": 1.0}
    more = learn(few, shown(10, a=1.0, b=0.0))
    assert weights(more, ["a", "b"])["a"] > 1 > weights(more, ["a", "b"])["b"]


def test_who_is_new_weighs_one_beside_those_that_are_known() -> None:
    skills = learn({}, shown(200, good=0.8, bad=0.2))
    found = weights(skills, ["good", "bad", "new"])
    assert found["good"] > found["new"] == 1.0 > found["bad"]


def test_what_was_long_ago_is_forgotten() -> None:
    skills = learn({}, [*shown(2000, a=0.9, b=0.2), *shown(3000, a=0.2, b=0.9)])
    assert weights(skills, ["a", "b"])["b"] > 1
    assert skills["a"].votes < 1000


def test_pass_rates_come_before_agreement_where_all_were_measured_alike() -> None:
    learnt = learn({}, shown(200, a=0.2, b=0.8))
    alike = measured(learnt, "ours", {"a": (80, 100), "b": (40, 100)})
    assert weights(alike, ["a", "b"])["a"] > 1 > weights(alike, ["a", "b"])["b"]
    other = measured(alike, "theirs", {"b": (40, 100)})
    assert weights(other, ["a", "b"]) == weights(learnt, ["a", "b"])
    assert weights(alike, ["a", "b", "c"])["b"] > 1


def test_weights_are_odds_by_their_mean_within_bounds() -> None:
    skills = measured({}, "ours", {"a": (49, 98), "b": (74, 98)})  # smoothed to 50 and 75 of 100
    assert weights(skills, ["a", "b"]) == pytest.approx({"a": 0.5, "b": 1.5})
    apart = measured({}, "ours", {"a": (98, 98), "b": (0, 98), "c": (0, 98), "d": (0, 98)})
    assert set(weights(apart, "abcd").values()) == {LEAST, MOST}


def test_the_least_heard_of_too_many_models_are_forgotten() -> None:
    known = learn({}, shown(3, known=0.5, other=0.5))
    crowd = [Showing({f"m{i}": 0.5, f"n{i}": 0.5}, 0.5) for i in range(MAX_MODELS)]
    skills = learn(known, crowd)
    assert len(skills) == MAX_MODELS
    assert {"known", "other"} <= set(skills)


@pytest.mark.parametrize(
    "wrong",
    [{"votes": -1.0}, {"heard": 1.0}, {"votes": 1.0, "agreed": 1.0}, {"passed": 1}, {"tests": -1}],
)
def test_nobody_has_an_impossible_skill(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="nobody has such a skill"):
        Skill(**wrong)  # type: ignore[arg-type]


UNIT = st.floats(0, 1)


@given(st.lists(st.builds(Showing, st.dictionaries(st.sampled_from("abc"), UNIT), UNIT)))
def test_whatever_is_learnt_weights_stay_within_bounds(showings: list[Showing]) -> None:
    for weight in weights(learn({}, showings), "abc").values():
        assert LEAST <= weight <= MOST


def test_a_heavy_model_does_not_become_heavier_by_its_own_votes() -> None:
    """Two equal models, one of which always wins because it weighs more."""
    rng = random.Random(1)
    skills = measured({}, "", {})
    for _ in range(500):
        agree = rng.random() < 0.5
        won = verdict((0, 2) if agree else (0, 1), (3,))
        found = showing(candidates("aabb"), won)
        assert found is not None
        skills = learn(skills, [found])
    assert weights(skills, "ab") == pytest.approx({"a": 1.0, "b": 1.0})
