"""When a vote is decided although answers are missing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.consensus import settled, vote
from local_swarm.consensus.ballot import prepare
from local_swarm.consensus.strategies.registry import STRATEGIES
from local_swarm.domain.candidate import Candidate, ToolCall
from local_swarm.domain.evidence import Aid, Evidence
from local_swarm.domain.rules import Rules
from tests.consensus.test_laws import MAJORITIES, PROMPT, answers

VOTES = ["auto", "ast", "fuzzy", "hybrid"]
LS = Candidate("", (ToolCall("1", "ls", "{}"),))
CAT = Candidate("", (ToolCall("1", "cat", "{}"),))
data_answers = st.sampled_from(
    [LS, CAT, '{"a": 1}', '{"a": 1.0}', '{"b": 2}', "[1]", "Talk.", "```json\n{\n```", ""]
)
some = st.one_of(
    answers,
    st.sampled_from([spelling for spellings in MAJORITIES for spelling in spellings]),
    data_answers,
)


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "execution"])
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_settled_no_further_answer_changes(strategy: str, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([some, data_answers, st.sampled_from(MAJORITIES[0])]))
    arrived = data.draw(st.lists(kind, min_size=1, max_size=6))
    copies = data.draw(st.integers(0, 4))
    arrived += [arrived[0]] * copies
    missing = data.draw(st.integers(1, 4))
    if not settled(PROMPT, arrived, missing, strategy=strategy):
        return
    further = data.draw(
        st.one_of(
            st.lists(some, min_size=missing, max_size=missing),
            some.map(lambda one: [one] * missing),
        )
    )
    forms = [entry.form.key for entry in prepare(PROMPT, [*arrived, *further]).entries]
    before = forms[vote(PROMPT, arrived, strategy=strategy).index]
    assert forms[vote(PROMPT, [*arrived, *further], strategy=strategy).index] == before


@pytest.mark.parametrize("strategy", VOTES)
@pytest.mark.parametrize("spellings", MAJORITIES)
def test_more_than_half_that_say_the_same_settle_a_vote(
    strategy: str, spellings: list[str | Candidate]
) -> None:
    three = [spellings[0], spellings[-1], spellings[0]]
    assert settled(PROMPT, three, 2, strategy=strategy)
    assert not settled(PROMPT, three, 3, strategy=strategy)


@pytest.mark.parametrize("strategy", VOTES)
def test_answers_that_say_nothing_do_not_count(strategy: str) -> None:
    assert settled(PROMPT, ["", "return a + b", "return a + b"], 1, strategy=strategy)


@pytest.mark.parametrize("strategy", VOTES)
def test_a_broken_majority_may_still_be_beaten(strategy: str) -> None:
    broken = "def f(a, b:\n    return"
    assert not settled(PROMPT, [broken] * 4, 1, strategy=strategy)


def test_a_lead_in_calls_settles_where_it_cannot_be_made_up() -> None:
    others = [Candidate("", (ToolCall("1", name, "{}"),)) for name in "abc"]
    assert settled(PROMPT, [LS, LS, LS, *others], 1, strategy="auto")
    assert not settled(PROMPT, [LS, LS, LS, *others], 2, strategy="auto")
    assert not settled(PROMPT, [LS, LS, LS, *others], 1, strategy="fuzzy")


def test_a_lead_in_calls_settles_nothing_while_the_arguments_may_change() -> None:
    other = Candidate("", (ToolCall("1", "ls", '{"path": "/"}'),))
    assert settled(PROMPT, [LS, LS, LS, other], 1, strategy="auto")
    assert not settled(PROMPT, [LS, LS, LS, other], 2, strategy="auto")


def test_a_lead_in_data_settles_nothing_where_most_answers_are_something_else() -> None:
    texts = ["Sure.", "It is done.", "I cannot say.", "Ask me later."]
    assert not settled(PROMPT, [LS, LS, LS, *texts], 1, strategy="auto")
    assert not settled(PROMPT, [LS, LS, LS, *texts[:2]], 1, strategy="auto")
    assert settled(PROMPT, [LS, LS, LS, LS, *texts[:2]], 1, strategy="auto")


@pytest.mark.parametrize(
    "broken", [Candidate("It was the", finish_reason="length"), "def f(a, b:\n"]
)
def test_a_lead_in_data_settles_nothing_that_a_broken_majority_may_take(
    broken: str | Candidate,
) -> None:
    assert not settled(PROMPT, [LS, LS, LS, broken, broken, broken], 1, strategy="auto")
    assert settled(PROMPT, [LS, LS, LS, LS, broken, broken], 1, strategy="auto")


def test_answers_that_break_the_rules_count_where_the_strategy_counts_them() -> None:
    votes = ['{"a": 1}', '{"a": 1}', "It is blue.", "It is blue.", "It is blue."]
    for strategy in VOTES:
        is_settled = settled(PROMPT, votes, 1, strategy=strategy, rules=Rules(json=True))
        assert is_settled is (strategy == "auto")


FAULTY = "return c"


def test_a_majority_with_a_fault_settles_nothing_where_faults_count() -> None:
    for strategy in ("auto", "hybrid"):
        assert not settled(PROMPT, [FAULTY] * 4, 1, strategy=strategy)
    assert settled(PROMPT, [FAULTY] * 4, 1, strategy="ast")


def test_answers_that_agree_settle_a_vote_for_who_is_sure_enough() -> None:
    three = ["return a + b", "return a+b", "return a * b"]
    for sure, ends in ((1.0, False), (0.99, False), (0.6, True)):
        assert settled(PROMPT, three, 5, strategy="auto", sure=sure) is ends


@pytest.mark.parametrize("strategy", ["auto", "fuzzy", "hybrid", "ast", "quality"])
def test_one_answer_alone_settles_nothing_however_sure(strategy: str) -> None:
    assert not settled(PROMPT, ["return a + b"], 2, strategy=strategy, sure=0.1)


def test_answers_that_disagree_settle_nothing() -> None:
    three = ["return a + b", "while a: a, b = b, a % b\nreturn b", "return sorted([a, b])[0]"]
    assert not settled(PROMPT, three, 5, strategy="auto", sure=0.7)


def test_programs_that_are_to_be_run_settle_nothing_before_they_are() -> None:
    able = Evidence(able=frozenset({Aid.RUNS}))
    same = ["return a + b"] * 5
    assert settled(PROMPT, same, 1, strategy="auto")
    assert not settled(PROMPT, same, 1, strategy="auto", evidence=able)
    assert settled(PROMPT, ["It is blue."] * 5, 1, strategy="auto", evidence=able)


@pytest.mark.parametrize("strategy", ["off", "fastest", "judge", "execution"])
def test_what_counts_do_not_decide_is_never_settled(strategy: str) -> None:
    assert not settled(PROMPT, ["return a + b"] * 5, 1, strategy=strategy, sure=0.1)
