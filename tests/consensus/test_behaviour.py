"""What programs did, compared."""

from __future__ import annotations

import pytest

from local_swarm.consensus.execution import behaviour
from local_swarm.consensus.execution.asked import Asked, Parameter
from local_swarm.consensus.execution.behaviour import Behaviour
from local_swarm.consensus.execution.examples import Example
from local_swarm.consensus.execution.trial import Trial
from local_swarm.domain.execution import Ended, Outcome, Report

ASKED = Asked("f", (Parameter("x"),), 1)


def example(expected: object, *, raises: str = "", trusted: bool = True) -> Example:
    return Example("f(0)", expected, raises, trusted, (0, 1))


def value(text: str) -> Outcome:
    return Outcome(Ended.VALUE, text)


RAISED = Outcome(Ended.RAISED, "ValueError")


def did(*outcomes: Outcome, shown: tuple[Example, ...] = ()) -> Behaviour:
    """What a program did that gave these for the examples and the calls, and the same again."""
    calls = tuple(f"f({at})" for at in range(len(outcomes) - len(shown)))
    trial = Trial(ASKED, shown, calls)
    again = outcomes[len(shown) :][: len(trial.repeated)]
    return behaviour.read(Report((*outcomes, *again)), trial)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1", "True"),
        ("[1, 2]", "(1, 2)"),
        ("{'a': [1]}", "{'a': (1.0,)}"),
        ("0.30000000000000004", "0.3"),
        ("nan", "nan"),
        ("{1, 2}", "{2, 1}"),
        ("<Point>", "<Point>"),
    ],
)
def test_values_that_a_test_takes_for_equal_are_the_same(one: str, other: str) -> None:
    assert behaviour.agreement(did(value(one)), did(value(other)), [1.0]) == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (value("1"), value("'1'")),
        (value("None"), value("0")),
        (value("None"), value("False")),
        (value("[]"), value("{}")),
        (value("inf"), value("nan")),
        (value("[1]"), value("[[1]]")),
        (RAISED, RAISED),
        (Outcome(Ended.TIMEOUT), Outcome(Ended.TIMEOUT)),
        (value("1"), RAISED),
    ],
)
def test_other_outcomes_do_not_agree(one: Outcome, other: Outcome) -> None:
    assert behaviour.agreement(did(one), did(other), [1.0]) == 0.0


def test_a_call_that_few_can_take_tells_next_to_nothing() -> None:
    every = [
        did(value("1"), value("1")),
        did(value("2"), RAISED),
        did(value("3"), RAISED),
        did(value("4"), RAISED),
    ]
    good, bad = behaviour.weights(every)
    assert good > 0.99
    assert good + bad == pytest.approx(1.0)


def test_calls_that_part_the_programs_in_the_same_way_share_their_weight() -> None:
    same = [value(str(n)) for n in range(4)]
    every = [did(*same, value("0")), did(*(value("9") for _ in same), value("0"))]
    *alike, other = behaviour.weights(every)
    assert sum(alike) == pytest.approx(2 * other)


def test_nothing_tells_where_nothing_came_back() -> None:
    assert behaviour.weights([did(RAISED), did(RAISED)]) == [0.0]


@pytest.mark.parametrize(
    ("outcome", "shown", "passes"),
    [
        (value("(1, 2)"), example([1, 2]), True),
        (value("1"), example(True), True),
        (value("0.1"), example(0.1 + 1e-13), True),
        (value("None"), example(None), True),
        (value("'a'"), example("b"), False),
        (RAISED, example(1), False),
        (RAISED, example(None, raises="ValueError"), True),
        (RAISED, example(None, raises="KeyError"), False),
        (value("None"), example(None, raises="ValueError"), False),
    ],
)
def test_an_example_is_passed_or_not(outcome: Outcome, shown: Example, passes: bool) -> None:
    assert did(outcome, shown=(shown,)).passed == (passes,)


def test_what_nobody_passes_or_nobody_trusts_does_not_count() -> None:
    shown = (example(1), example(2), example(1, trusted=False))
    every = [did(*(value("1"),) * 3, shown=shown), did(*(value("3"),) * 3, shown=shown)]
    assert behaviour.counted(shown, every) == [0]


def test_another_value_for_the_same_call_is_noticed() -> None:
    trial = Trial(ASKED, (), ("f(1)",))
    assert behaviour.read(Report((value("1"), value("1"))), trial).steady
    assert not behaviour.read(Report((value("1"), value("2"))), trial).steady


@pytest.mark.parametrize("ended", [Ended.NOT_RUN, Ended.TIMEOUT, Ended.LIMIT])
def test_a_call_that_was_cut_short_the_second_time_is_no_other_value(ended: Ended) -> None:
    trial = Trial(ASKED, (), ("f(1)",))
    assert behaviour.read(Report((value("1"), Outcome(ended))), trial).steady
    assert not behaviour.read(Report((value("1"), RAISED)), trial).steady


def test_a_program_that_was_not_run_did_nothing() -> None:
    trial = Trial(ASKED, (example(1),), ("f(1)", "f(2)"))
    for report in (None, Report(()), Report((value("1"),))):
        done = behaviour.read(report, trial)
        assert (done.loads, done.passed, done.results) == (False, (False,), (None, None))


def test_one_value_for_everything_is_constant() -> None:
    assert did(value("1"), value("1")).is_constant
    assert not did(value("1"), value("2")).is_constant
    assert not did(value("1"), RAISED).is_constant
