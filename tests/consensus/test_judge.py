"""The strategy `judge`: when it asks, what it asks, and what it makes of the words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.consensus import deliberate, vote
from local_swarm.domain.evidence import Aid, Evidence, JudgementWanted
from local_swarm.domain.verdict import Verdict

ABLE = Evidence(able=frozenset({Aid.JUDGEMENT}))
PROSE = ["A quiet harbour.", "Snow on a road.", "An orchestra plays.", "Ten more days.", "Run!"]
CODE = [f"```python\ndef f(x):\n    return x {sign} 1\n```" for sign in "+-*/%"]
BROKEN = "```python\ndef f(x):\n    return x +\n```"
answers = st.lists(st.sampled_from([*PROSE, *CODE, BROKEN, "", '{"a": 1}']), min_size=1, max_size=8)


def asked(candidates: list[str], prompt: str = "") -> JudgementWanted:
    wanted = deliberate(prompt, candidates, strategy="judge", evidence=ABLE)
    assert isinstance(wanted, JudgementWanted)
    return wanted


def judged(candidates: list[str], *named: int) -> Verdict:
    evidence = Evidence(able=ABLE.able, judgement=named)
    found = deliberate("", candidates, strategy="judge", evidence=evidence)
    assert isinstance(found, Verdict)
    return found


def test_where_a_majority_agrees_nothing_is_asked() -> None:
    found = deliberate("", ["yes", "Yes", "no"], strategy="judge", evidence=ABLE)
    assert isinstance(found, Verdict)
    assert (found.index in (0, 1), found.strategy) == (True, "judge")


def test_without_judges_it_is_the_verdict_of_auto() -> None:
    plain = vote("", PROSE, strategy="auto")
    found = vote("", PROSE, strategy="judge")
    assert (found.index, found.agreement, found.reasons) == (
        plain.index,
        plain.agreement,
        plain.reasons,
    )


def test_one_answer_of_each_of_four_groups_is_shown_forth_and_back() -> None:
    forth, back = asked([*PROSE, PROSE[0]], "Tell me.").questions
    assert forth.labels == back.labels == ("A", "B", "C", "D")
    assert forth.options == back.options[::-1]
    assert {0, 5} & set(forth.options)
    assert "Tell me." in forth.text
    for label, index in zip(forth.labels, forth.options, strict=True):
        assert f"### Answer {label}\n{[*PROSE, PROSE[0]][index]}" in forth.text


def test_only_whole_answers_in_the_winners_form_are_shown() -> None:
    wanted = asked([*CODE[:3], BROKEN, "I do not know.", ""])
    assert set(wanted.questions[0].options) == {0, 1, 2}


def test_what_is_long_is_shortened() -> None:
    wanted = asked(["word " * 10_000, "other " * 10_000], "prompt " * 10_000)
    assert len(wanted.questions[0].text) < 12_000


def test_the_words_of_judges_count_as_answers_do() -> None:
    candidates = [PROSE[0], PROSE[0], *PROSE[1:4]]
    assert judged(candidates, 3, 3, 3).index == 3
    assert judged(candidates, 3).index in (0, 1)  # two answers against one and one judge
    assert judged(candidates, 0, 3, 3).index in (0, 1)  # three against three: as without judges
    verdict = judged(candidates, 3, 3, 3)
    assert verdict.agreement == pytest.approx(1 / 5)
    assert verdict.reasons[0] == "No majority agrees: 3 of 3 judges chose this one."


@given(answers, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_answers_does_not_matter(candidates: list[str], random: object) -> None:
    places = list(range(len(candidates)))
    random.shuffle(places)  # type: ignore[attr-defined]
    shuffled = [candidates[place] for place in places]
    one = deliberate("", candidates, strategy="judge", evidence=ABLE)
    other = deliberate("", shuffled, strategy="judge", evidence=ABLE)
    if isinstance(one, JudgementWanted):
        assert isinstance(other, JudgementWanted)
        assert [q.text for q in one.questions] == [q.text for q in other.questions]
        named = one.questions[0].options[0]
        same = other.questions[0].options[0]
        first, second = judged(candidates, named, named), judged(shuffled, same, same)
        assert candidates[first.index] == shuffled[second.index]


@given(answers, st.lists(st.integers(0, 7), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_a_copy_of_the_winner_never_unseats_it(candidates: list[str], words: list[int]) -> None:
    named = [word % len(candidates) for word in words]
    first = judged(candidates, *named)
    more = [*candidates, candidates[first.index]]
    assert more[judged(more, *named).index] == candidates[first.index]


@given(answers, st.lists(st.integers(0, 9), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_no_judge_makes_broken_code_beat_whole_code(
    candidates: list[str], words: list[int]
) -> None:
    candidates = [*candidates, CODE[0], BROKEN]
    verdict = judged(candidates, *(word % len(candidates) for word in words))
    assert candidates[verdict.index] != BROKEN
