"""What programs are chosen by: their faults, and what the others testify for them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.consensus import deliberate, vote
from local_swarm.consensus.ballot import Standing, prepare
from local_swarm.consensus.lint import Findings
from local_swarm.consensus.scoring.confidence import of_program
from local_swarm.consensus.scoring.merits import faults_of, merits
from local_swarm.consensus.scoring.score import mixed, support
from local_swarm.consensus.scoring.weights import FAULTS
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import Evidence
from local_swarm.domain.verdict import Verdict
from tests.consensus.programs import PROMPT, programs

SCORED = ["auto", "hybrid", "quality"]
SKILLS = Evidence(skills={"small": 0.5, "large": 2.5})
RIGHT = "def pick(xs, k):\n    return sorted([x for x in xs if x > k], reverse=True)"
RIGHT_TOO = (
    "def pick(xs, k):\n    ys = [x for x in xs if x > k]\n    ys.sort(reverse=True)\n    return ys"
)
SILENT = "def pick(xs, k):\n    ys = sorted([x for x in xs if x > k], reverse=True)"
STUB = "def pick(xs, k):\n    pass"
UNKNOWN = "def pick(xs, k):\n    return ordered([x for x in xs if x > k], reverse=True)"
ballots = st.lists(programs, min_size=1, max_size=6)


def decided(candidates: list[Candidate], strategy: str) -> Verdict:
    verdict = deliberate(PROMPT, candidates, strategy=strategy, evidence=SKILLS)
    assert isinstance(verdict, Verdict)
    return verdict


@pytest.mark.parametrize("strategy", SCORED)
@settings(max_examples=60, deadline=None)
@given(st.data(), ballots)
def test_the_order_of_programs_does_not_matter(
    strategy: str, data: st.DataObject, candidates: list[Candidate]
) -> None:
    shuffled = data.draw(st.permutations(candidates))
    one, other = decided(candidates, strategy), decided(shuffled, strategy)
    assert candidates[one.index].text == shuffled[other.index].text
    assert (one.agreement, one.confidence) == (other.agreement, other.confidence)
    assert decided(candidates, strategy) == one


@pytest.mark.parametrize("strategy", SCORED)
@settings(max_examples=60, deadline=None)
@given(st.data(), ballots)
def test_copies_of_the_winning_program_never_unseat_it(
    strategy: str, data: st.DataObject, candidates: list[Candidate]
) -> None:
    winner = candidates[decided(candidates, strategy).index]
    copies = data.draw(st.integers(1, 4))
    more = data.draw(st.permutations([*candidates, *([winner] * copies)]))
    assert more[decided(more, strategy).index].text == winner.text


@pytest.mark.parametrize("strategy", SCORED)
@settings(max_examples=60, deadline=None)
@given(ballots)
def test_a_broken_program_never_beats_a_whole_one(
    strategy: str, candidates: list[Candidate]
) -> None:
    entries = prepare(PROMPT, candidates).entries
    winner = entries[decided(candidates, strategy).index]
    rivals = [entry for entry in entries if entry.answer.same_class(winner.answer)]
    assert winner.standing == max(entry.standing for entry in rivals)


@pytest.mark.parametrize("strategy", SCORED)
@pytest.mark.parametrize("faulty", [SILENT, STUB, UNKNOWN])
def test_a_program_with_a_fault_loses_although_more_say_it(strategy: str, faulty: str) -> None:
    assert vote(PROMPT, [faulty, faulty, RIGHT], strategy=strategy).index == 2
    verdict = vote(PROMPT, [faulty, RIGHT], strategy=strategy)
    assert verdict.index == 1


def test_the_reasons_name_the_faults() -> None:
    reasons = " ".join(vote(PROMPT, [SILENT, SILENT, RIGHT]).reasons)
    assert "2 of 3 programs have faults: " in reasons
    assert "returns nothing" in reasons
    assert "The winner has one itself." in " ".join(vote(PROMPT, [SILENT, STUB]).reasons)


def test_of_programs_without_faults_the_one_most_like_the_others_wins() -> None:
    other = "def pick(xs, k):\n    while xs and k > 1:\n        k = k - 1\n    return xs[:k] + [k]"
    verdict = vote(PROMPT, [other, RIGHT, RIGHT_TOO])
    assert verdict.index in (1, 2)
    assert "has a majority" in verdict.reasons[1]


@pytest.mark.parametrize("strategy", ["auto", "hybrid"])
def test_a_crowd_of_empty_programs_does_not_outvote_a_real_one(strategy: str) -> None:
    assert vote(PROMPT, [*[STUB] * 31, RIGHT], strategy=strategy).index == 31


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ((-0.8, -1.2), (-0.2, -1.2)),
        ((-0.2, -3.5), (-0.2, -1.2)),
        ((-0.8, None), (-0.2, None)),
        ((None, -3.5), (None, -1.2)),
    ],
)
def test_both_the_mean_and_the_least_certain_window_count(
    less: tuple[float | None, float | None], more: tuple[float | None, float | None]
) -> None:
    for one, other in ((RIGHT, RIGHT_TOO), (RIGHT_TOO, RIGHT)):
        unsure = Candidate(one, mean_logprob=less[0], lowest_logprob=less[1])
        sure = Candidate(other, mean_logprob=more[0], lowest_logprob=more[1])
        assert vote(PROMPT, [unsure, sure]).index == 1


@pytest.mark.parametrize("strategy", ["auto", "hybrid"])
def test_a_program_is_not_its_own_witness(strategy: str) -> None:
    alone = vote(PROMPT, [RIGHT, "", ""], strategy=strategy)
    assert alone.confidence == of_program(1, 3, 0.0, 0.0)


def test_a_fault_in_many_places_weighs_no_more_than_in_three() -> None:
    sizes = [dict(faults_of(Findings(undefined=count)))["undefined"] for count in (1, 3, 9)]
    assert sizes == [1.0, 2.0, 2.0]


def test_a_broken_answer_counts_half_in_what_most_are() -> None:
    cut = [Candidate(f"It is {word}, and", finish_reason="length") for word in ("on", "off", "so")]
    whole = ['{"a": 1}', '{"a": 2}']
    assert vote("Which?", [*cut, *whole]).index in (3, 4)
    assert vote("Which?", [*cut, cut[0], cut[1], *whole]).index < 5


def test_the_word_of_a_better_model_counts_more() -> None:
    sums = [
        Candidate(f"def f(a, b):\n    return {e}", model=m)
        for e, m in [
            ("a + b", "large"),
            ("a + b + 0", "small"),
            ("a - b", "small"),
            ("a - b - 0", "small"),
        ]
    ]
    prompt = "def f(a, b):\n"
    plain = deliberate(prompt, sums)
    skilled = deliberate(prompt, sums, evidence=SKILLS)
    assert isinstance(plain, Verdict)
    assert isinstance(skilled, Verdict)
    assert skilled.index == 0


def test_who_is_surer_of_the_words_wins_a_tie() -> None:
    unsure = Candidate(RIGHT, mean_logprob=-0.8, lowest_logprob=-2.5)
    sure = Candidate(f"```\n{RIGHT}\n```", mean_logprob=-0.1, lowest_logprob=-0.5)
    assert vote(PROMPT, [unsure, sure]).index == 1
    assert vote(PROMPT, [sure, unsure]).index == 0


def test_sureness_does_not_outweigh_a_fault() -> None:
    sure = Candidate(STUB, mean_logprob=0.0, lowest_logprob=0.0)
    unsure = Candidate(RIGHT, mean_logprob=-9.0, lowest_logprob=-9.0)
    assert vote(PROMPT, [sure, unsure]).index == 1


def test_programs_of_the_language_that_most_are_in_are_compared() -> None:
    go = "```go\nfunc f(a, b int) int { return a + b }\n```"
    assert vote("", [RIGHT, go, go]).index in (1, 2)
    assert vote("", [RIGHT, RIGHT, go]).index in (0, 1)


def test_a_merit_is_an_answer_s_own() -> None:
    alone = prepare(PROMPT, [SILENT])
    among = prepare(PROMPT, [RIGHT, SILENT, STUB])
    assert merits(alone, alone.entries)[0] == merits(among, among.entries)[1]
    assert merits(among, among.entries)[0].value == 0
    assert merits(among, among.entries)[1].value < -1
    assert among.entries[1].standing is Standing.SOUND


def test_every_weighed_fault_is_one_that_is_looked_for() -> None:
    from local_swarm.consensus.lint import Findings

    assert set(FAULTS) <= set(Findings.__dataclass_fields__)
    assert all(weight < 0 for weight in FAULTS.values())


def test_support_is_a_weighted_sum() -> None:
    assert support([1.0, 0.5], ((1.0, 0.5), (0.5, 1.0))) == [1.25, 1.0]
    assert mixed((1.0, ((0.5,),)), (3.0, ((1.0,),))) == ((0.8125,),)


@pytest.mark.parametrize("strategy", ["auto", "fuzzy", "ast"])
def test_the_word_of_a_better_model_counts_more_in_text_too(strategy: str) -> None:
    said = [
        Candidate("Berlin is the capital of that country, I believe.", model="small"),
        Candidate("Berlin is the capital of this country, I believe.", model="small"),
        Candidate("Its government sits in Rome, and has since 1871.", model="large"),
        Candidate("Its government sits in Rome and has since 1871!", model="large"),
        Candidate("Berlin is a capital of that country, I believe.", model="small"),
    ]
    plain = deliberate("Where?", said, strategy=strategy)
    skilled = deliberate("Where?", said, strategy=strategy, evidence=SKILLS)
    assert isinstance(plain, Verdict)
    assert isinstance(skilled, Verdict)
    assert plain.index in (0, 1, 4)
    assert skilled.index in (2, 3)


@pytest.mark.parametrize(
    "odd", ["The ape.", "The zoo.", "The ape" + " sat" * 60, "The zoo" + " is" * 60]
)
def test_by_quality_the_usual_length_wins(odd: str) -> None:
    usual = [
        f"The {place} pipe of the house is broken and leaks." for place in ("old", "new", "red")
    ]
    assert vote("What is it?", [odd, *usual], strategy="quality").index > 0


@pytest.mark.parametrize("first", ["A", "Z"])
def test_by_quality_the_usual_structure_wins(first: str) -> None:
    usual = [f"{first}ll of it:\n- a {word}\n- a pan\n- a cup" for word in ("pot", "jar", "can")]
    odd = "Mll of it:\n> a pot\n> a pan\n> a cup"
    assert vote("What is there?", [odd, *usual], strategy="quality").index > 0
