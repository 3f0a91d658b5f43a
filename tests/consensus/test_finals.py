"""A short answer counts by its value, and only where it is clearly one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.consensus import vote
from local_swarm.consensus.reading.extract import Kind, extract
from local_swarm.consensus.reading.finals import final_answer
from local_swarm.domain.candidate import Candidate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"),
        ("1,000.0", "1000"),
        ("$1,000$", "1000"),
        ("-0.50", "-1/2"),
        ("50%", "50%"),
        ("The answer is 42.", "42"),
        ("So 3 + 4 = 7.\n\nThe final answer is: **7**", "7"),
        ("First this.\n\n**7**", "7"),
        ("First this.\n**Answer: 7**", "7"),
        ("First this.\n#### 7", "7"),
        ("Thus \\boxed{\\frac{1}{2}}, as was to be shown.", "1/2"),
        ("It is $\\boxed{0.5}$.", "1/2"),
        ("\\boxed{\\text{Paris}}", "paris"),
        ("B", "b"),
        ("B)", "b"),
        ("(B)", "b"),
        ("**B.**", "b"),
        ("Option B", "b"),
        ("They differ.\nThe correct answer is (B) Paris, as said.", "b"),
        ("Answer: B", "b"),
        ("Yes", "yes"),
        ("yes.", "yes"),
        ("Paris", "paris"),
        ("The capital is well known.\nAnswer: Paris", "paris"),
        ("The answer is 007.", "7"),
    ],
)
def test_values_have_one_spelling(text: str, value: str) -> None:
    assert final_answer(text) == value
    found = extract(Candidate(text))
    assert (found.kind, found.text) == (Kind.SHORT, value)


@pytest.mark.parametrize(
    "text",
    [
        "There are 3 cats and 4 dogs in it.",
        "The answer is that you should add both numbers first.",
        "The answer is:",
        "What is the answer?",
        "I would use a list here, because it keeps the order.",
        "First do this.\nThen you have 7 of them.",
        "It is 7.\n\nLet me know if you need **more** help.",
        "\\boxed{" + "1" * 200 + "}",
        "\\boxed{never closed",
    ],
)
def test_prose_with_a_number_in_it_is_text(text: str) -> None:
    assert final_answer(text) is None
    assert extract(Candidate(text)).kind is Kind.TEXT


@given(st.text("\\boxed{}frac12/.,-+e()*#_ABCansweri :$%\n\u0663", max_size=60))
def test_any_text_has_a_value_or_none(text: str) -> None:
    assert final_answer(text) is None or final_answer(text)


def test_most_of_equal_values_win_however_they_are_put() -> None:
    texts = ["The answer is 7.", "8", "We count.\n\n**7**", "80", "\\boxed{7.0}"]
    verdict = vote("How many?", texts)
    assert texts[verdict.index] in (texts[0], texts[2], texts[4])
    assert verdict.agreement == pytest.approx(0.6)
