"""What programs did when they were run, and how much two of them did the same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from local_swarm.consensus.execution import values
from local_swarm.consensus.execution.examples import Example
from local_swarm.consensus.execution.trial import Trial
from local_swarm.consensus.execution.values import NotAValue
from local_swarm.domain.execution import Ended, Outcome, Report

VALID_POWER = 4
"""How fast a call counts less as more of the programs cannot take it: it was a wrong guess."""

_NOTHING = ("None",)
_DONE = frozenset((Ended.VALUE, Ended.RAISED))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Of one program. `passed` says for each example whether it gave what it was to give; `results`
    hold for each call a thing that is equal for equal values, None where no value came back. What
    is not `steady` gave another value when it was called again."""

    loads: bool
    passed: tuple[bool, ...]
    results: tuple[Hashable | None, ...]
    steady: bool = True

    @property
    def is_constant(self) -> bool:
        """Whether it gave one value, whatever it was called with."""
        given = [result for result in self.results if result is not None]
        return len(given) > 1 and len(set(given)) == 1

    @property
    def signature(self) -> Hashable:
        """Equal for programs that did the same."""
        return (self.passed, self.results)


def read(report: Report | None, trial: Trial) -> Behaviour:
    """What a report says; nothing was run without one. A report that is too short is no better."""
    shown, tried = len(trial.examples), len(trial.calls)
    if report is None or len(report.outcomes) != len(trial.expressions):
        return Behaviour(False, (False,) * shown, (None,) * tried)
    outcomes = report.outcomes
    results = tuple(map(_result, outcomes[shown : shown + tried]))
    told = zip(trial.examples, outcomes, strict=False)
    return Behaviour(
        loads=report.load.ended is Ended.VALUE,
        passed=tuple(_passes(outcome, example) for example, outcome in told),
        results=results,
        steady=_is_steady(outcomes[shown:], outcomes[shown + tried :]),
    )


def _is_steady(first: Sequence[Outcome], again: Sequence[Outcome]) -> bool:
    """A call that was cut short tells nothing."""
    return all(
        _result(one) == _result(other)
        for one, other in zip(first, again, strict=False)
        if {one.ended, other.ended} <= _DONE
    )


def _result(outcome: Outcome) -> Hashable | None:
    """Values that a test takes for equal are one: 1, 1.0 and True, a list and a tuple."""
    if outcome.ended is not Ended.VALUE:
        return None
    if outcome.text == "None":
        return _NOTHING
    try:
        return ("=", values.folded(values.read(outcome.text), loosely=True))
    except (NotAValue, TypeError):
        return ("text", outcome.text)


def _passes(outcome: Outcome, example: Example) -> bool:
    if example.raises:
        return outcome.ended is Ended.RAISED and outcome.text == example.raises
    expected: Any = values.folded(example.expected, loosely=True)
    wanted = _NOTHING if example.expected is None else ("=", expected)
    return _result(outcome) == wanted


def counted(examples: Sequence[Example], every: Sequence[Behaviour]) -> list[int]:
    """The places of the examples that may speak against a program: those that are trusted, and
    that one of the programs at least does pass."""
    return [
        at
        for at, example in enumerate(examples)
        if example.trusted and any(behaviour.passed[at] for behaviour in every)
    ]


def weights(every: Sequence[Behaviour]) -> list[float]:
    """How much each call tells, summing up to 1 (or all 0): more where more of the programs can
    take it, less where others part the programs in the same way. `every` has different programs,
    each once."""
    columns = list(zip(*(behaviour.results for behaviour in every), strict=True))
    parts = [_partition(column) for column in columns]
    often = Counter(parts)
    raw = [
        _validity(column) / math.sqrt(often[part])
        for column, part in zip(columns, parts, strict=True)
    ]
    total = math.fsum(raw)
    return [weight / total for weight in raw] if total else raw


def _validity(column: Sequence[Hashable | None]) -> float:
    return float((sum(result is not None for result in column) / len(column)) ** VALID_POWER)


def _partition(column: Sequence[Hashable | None]) -> tuple[int, ...]:
    """Which of the programs gave the same value, whatever it was."""
    numbers: dict[Hashable | None, int] = {}
    return tuple(numbers.setdefault(result, len(numbers)) for result in column)


def agreement(one: Behaviour, other: Behaviour, weight: Sequence[float]) -> float:
    """The share of the calls, by weight, for which both gave the same value, 0 to 1. Symmetric, and
    never more than that of a program with itself. What cannot be told says nothing."""
    pairs = zip(one.results, other.results, weight, strict=True)
    return math.fsum(w for a, b, w in pairs if a is not None and a == b)


def nothing_share(behaviour: Behaviour, weight: Sequence[float]) -> float:
    """The share of the calls, by weight, for which it returned None."""
    pairs = zip(behaviour.results, weight, strict=True)
    return math.fsum(w for result, w in pairs if result == _NOTHING)
