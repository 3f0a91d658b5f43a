"""The strategy `similarity`, by embeddings and by letters, and what holds for it always."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.consensus import deliberate, vote
from local_swarm.domain.evidence import Aid, Evidence, VectorsWanted
from local_swarm.domain.verdict import Verdict

ABLE = Evidence(able=frozenset({Aid.VECTORS}))
TEXTS = [
    "The sum of both numbers.",
    "the sum of  both numbers",
    "It is the sum of both of the numbers.",
    "Their product.",
    "",
    "```python\ndef f(a, b):\n    return a + b\n```",
    "```python\ndef f(a, b):\n    return a +\n```",
    '{"a": 1}',
]
texts = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=7)
angles = st.lists(st.integers(0, 24), min_size=7, max_size=7)


def by(vectors: list[tuple[float, ...]], candidates: list[str]) -> Verdict:
    evidence = Evidence(vectors=tuple(vectors))
    found = deliberate("", candidates, strategy="similarity", evidence=evidence)
    assert isinstance(found, Verdict)
    return found


def on_circle(steps: int) -> tuple[float, ...]:
    return (math.cos(math.radians(15 * steps)), math.sin(math.radians(15 * steps)))


def test_vectors_are_asked_for_where_they_can_be_had() -> None:
    wanted = deliberate("", ["one", "", "two"], strategy="similarity", evidence=ABLE)
    assert wanted == VectorsWanted(("one", "", "two"))


def test_without_vectors_letters_are_compared() -> None:
    verdict = vote("", ["The sum of both.", "The sum of both!", "Nothing."], strategy="similarity")
    assert verdict.index in (0, 1)
    assert verdict.agreement == pytest.approx(2 / 3)
    assert verdict.strategy == "similarity"


def test_the_median_of_the_largest_group_wins() -> None:
    vectors = [on_circle(step) for step in (0, 1, 2, 12, 13)]
    verdict = by(vectors, ["a", "b", "c", "d", "e"])
    assert verdict.index == 1
    assert verdict.clusters == ((0, 1, 2), (3, 4))


def test_equal_answers_are_one_whatever_their_vectors_say() -> None:
    verdict = by([(1.0, 0.0), (0.0, 1.0), (1.0, 0.1)], ["same", "Same", "other"])
    assert (0, 1) in [tuple(i for i in group if i < 2) for group in verdict.clusters]


def test_a_model_that_knows_little_counts_little() -> None:
    from local_swarm.domain.candidate import Candidate

    candidates = [
        Candidate(text, model=m) for text, m in (("a", "weak"), ("b", "weak"), ("c", "x"))
    ]
    evidence = Evidence(skills={"weak": 0.3}, vectors=((1.0, 0.0), (0.99, 0.01), (0.0, 1.0)))
    found = deliberate("", candidates, strategy="similarity", evidence=evidence)
    assert isinstance(found, Verdict)
    assert found.index == 2


def test_a_very_long_answer_is_cut_before_it_is_sent_anywhere() -> None:
    wanted = deliberate("", ["x" * 10**6, "y"], strategy="similarity", evidence=ABLE)
    assert isinstance(wanted, VectorsWanted)
    assert len(wanted.texts[0]) < 10_000


@given(texts, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_the_answers_does_not_matter(answers: list[str], random: object) -> None:
    shuffled = list(answers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (vote("", each, strategy="similarity") for each in (answers, shuffled))
    assert answers[one.index] == shuffled[other.index]
    assert one.agreement == other.agreement


@given(texts, angles)
@settings(max_examples=150, deadline=None)
def test_a_copy_of_the_winner_never_unseats_it(answers: list[str], steps: list[int]) -> None:
    vectors = [on_circle(step) for step in steps[: len(answers)]]
    for evidence in (Evidence(), Evidence(vectors=tuple(vectors))):
        first = deliberate("", answers, strategy="similarity", evidence=evidence)
        assert isinstance(first, Verdict)
        more = evidence
        if evidence.vectors is not None:
            more = replace(evidence, vectors=(*vectors, vectors[first.index]))
        again = deliberate(
            "", [*answers, answers[first.index]], strategy="similarity", evidence=more
        )
        assert isinstance(again, Verdict)
        assert [*answers, answers[first.index]][again.index] == answers[first.index]


@given(texts)
@settings(max_examples=100, deadline=None)
def test_code_that_does_not_compile_never_beats_code_that_does(answers: list[str]) -> None:
    whole, broken = TEXTS[5], TEXTS[6]
    verdict = vote("", [*answers, whole, broken], strategy="similarity")
    assert [*answers, whole, broken][verdict.index] != broken
