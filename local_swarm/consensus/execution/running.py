"""Choose among programs by running them: what is to be run, and what follows from it.

    rank(e) = standing, then whether it passes the prompt's examples, then
    score(e) = merit(e) + what its behaviour shows for or against it
             + sum of weight(j) * (SAME * doing(e, j) + ALIKE * likeness(e, j)) over all programs j

`doing` is the square of the share of calls on which two programs do the same, so this is a score
as in `score`: the order of the answers says nothing, and a copy of the winner never unseats it.
What is judged over all programs (which calls are telling, which examples count) is judged over
different ones, to which a copy adds none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

from local_swarm.consensus.ballot import Ballot, Entry, Standing
from local_swarm.consensus.execution import behaviour
from local_swarm.consensus.execution.behaviour import Behaviour
from local_swarm.consensus.execution.trial import Trial, plan
from local_swarm.consensus.reading.extract import Kind
from local_swarm.consensus.scoring.cluster import Cluster, majority, of_one_class
from local_swarm.consensus.scoring.merits import merits
from local_swarm.consensus.scoring.outcome import Choice
from local_swarm.consensus.scoring.score import ranked, support
from local_swarm.consensus.scoring.score import weights as words
from local_swarm.consensus.scoring.similarity import tree_similarity
from local_swarm.domain.evidence import Aid, RunsWanted
from local_swarm.domain.execution import Job

SAME = 0.3
"""Of one more program that does the same, in natural log odds, as all of these."""

ALIKE = 0.05
"""Of one more program that is the same: among those that do the same the usual one is taken."""

CONSTANT = -0.8
"""Of giving one value for every call."""

NOTHING = -0.5
"""Of giving None for every call."""

MENDED = -0.3
"""Of a program that the reader of the answer has to put right before it runs."""

PASSED = 2.0
"""Of passing all examples, those that are not trusted too; of some their share."""


class Grade(IntEnum):
    """What running a program showed; a higher one always wins within a standing."""

    DEAD = 0  # nothing came back, ever
    FAILS = 1
    PASSES = 2


class Told(Enum):
    """What the prompt's examples say of the winner. That all programs fail all of them is more
    often their fault than that of the examples."""

    NOTHING = "there are none"
    PASSES = "passes"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Tried:
    """The entries that are programs, each with what it did. Entries of one form share that."""

    trial: Trial
    entries: tuple[Entry, ...]
    behaviours: Mapping[str, Behaviour]

    def of(self, entry: Entry) -> Behaviour:
        return self.behaviours[entry.form.key]

    @property
    def every(self) -> list[Behaviour]:
        """Those of different programs, in an order of their own."""
        return [self.behaviours[key] for key in sorted(self.behaviours)]


def choose(ballot: Ballot, entries: Sequence[Entry]) -> Choice | RunsWanted | None:
    """The best-supported program, or what must be run first; None where nothing can be run, or
    running does not help: no function is asked for that can be called, another language has more
    of the code, no two programs differ, or what they do is not settled by their arguments."""
    runs = ballot.evidence.runs
    if runs is None and Aid.RUNS not in ballot.evidence.able:
        return None
    leading = of_one_class(majority(entries) or entries, entries)
    programs = [entry for entry in leading if _is_program(entry)]
    if len({entry.form.key for entry in programs}) < 2:
        return None
    sources = {key: entry.answer.text for key, entry in _spokesmen(programs).items()}
    written = ballot.evidence.written
    trial = plan(ballot.prompt, ballot.header, list(sources.values()), written)
    if trial is None or not trial.expressions:
        return None
    if runs is None:
        return _wanted(ballot, programs, trial)
    tried = _tried(ballot, programs, trial)
    steady = sum(one.steady for one in tried.every)
    told = any(result is not None for one in tried.every for result in one.results)
    return _chosen(ballot, tried) if told and 2 * steady > len(tried.every) else None


def _is_program(entry: Entry) -> bool:
    is_python = entry.answer.kind is Kind.CODE and not entry.answer.language
    return is_python and entry.standing is Standing.SOUND


def _spokesmen(programs: Sequence[Entry]) -> dict[str, Entry]:
    """One entry for each form: what is the same program is run once."""
    first: dict[str, Entry] = {}
    for entry in sorted(programs, key=lambda one: one.content):
        first.setdefault(entry.form.key, entry)
    return first


def _wanted(ballot: Ballot, programs: Sequence[Entry], trial: Trial) -> RunsWanted | None:
    jobs: list[Job | None] = [None] * len(ballot)
    for entry in _spokesmen(programs).values():
        jobs[entry.index] = trial.job(entry.answer.text)
    return RunsWanted(tuple(jobs)) if any(jobs) else None


def _tried(ballot: Ballot, programs: Sequence[Entry], trial: Trial) -> Tried:
    runs = ballot.evidence.runs or ()
    reports = {key: runs[one.index] for key, one in _spokesmen(programs).items()}
    done = {key: behaviour.read(report, trial) for key, report in reports.items()}
    return Tried(trial, tuple(programs), done)


def _chosen(ballot: Ballot, tried: Tried) -> Choice:
    counted = behaviour.counted(tried.trial.examples, tried.every)
    grades = {entry.index: _grade(tried.of(entry), counted) for entry in tried.entries}
    best = max(grades.values())
    score = _scores(ballot, tried)
    able = [entry for entry in tried.entries if grades[entry.index] == best]
    winner = ranked(able, score)[0]
    groups = _same_doing(tried)
    agreeing = next(len(group) for group in groups if winner in group)
    shown = any(example.trusted for example in tried.trial.examples)
    told = Told.NOTHING if not shown else Told.PASSES if counted else Told.FAILS
    if best is not Grade.PASSES:
        told = Told.FAILS
    sure = confidence(agreeing, len(ballot), told)
    return Choice(winner, groups, _why(winner, tried, counted), sure)


def confidence(agreeing: int, total: int, told: Told) -> float:
    """The estimated probability that the winner is right, when so many of all answers do the same
    as it, itself among them: as measured at 3, 5 and 8 answers. With examples in the prompt that
    it passes two that agree are enough, whatever the others do."""
    others = (agreeing - 1) / max(1, total - 1)
    if told is Told.PASSES:
        return round(0.94 - 0.4 * math.pow(0.5, agreeing - 1), 4)
    if told is Told.FAILS:
        return round(0.03 + 0.3 * others**2, 4)
    return round(0.28 + 0.6 * (1 - math.pow(1 - others, 1.6)), 4)


def _grade(done: Behaviour, counted: Sequence[int]) -> Grade:
    if not done.loads or not any(one is not None for one in (*done.results, *_some(done.passed))):
        return Grade.DEAD
    return Grade.PASSES if all(done.passed[at] for at in counted) else Grade.FAILS


def _some(passed: Sequence[bool]) -> list[bool | None]:
    return [True if one else None for one in passed]


def _scores(ballot: Ballot, tried: Tried) -> dict[int, float]:
    own = merits(ballot, tried.entries)
    telling = behaviour.weights(tried.every)
    done = [tried.of(entry) for entry in tried.entries]
    doing = tuple(tuple(behaviour.agreement(a, b, telling) ** 2 for b in done) for a in done)
    word = words(ballot, tried.entries, own)
    same, alike = support(word, doing), support(word, tree_similarity(tried.entries))
    alone = [
        merit.value + _shown(one, telling) + MENDED * entry.answer.mended
        for entry, merit, one in zip(tried.entries, own, done, strict=True)
    ]
    return {
        entry.index: round(own_score + SAME * heard + ALIKE * seen, 9)
        for entry, own_score, heard, seen in zip(tried.entries, alone, same, alike, strict=True)
    }


def _shown(done: Behaviour, telling: Sequence[float]) -> float:
    """What its behaviour alone says for or against a program."""
    share = sum(done.passed) / len(done.passed) if done.passed else 0.0
    against = CONSTANT * done.is_constant + NOTHING * behaviour.nothing_share(done, telling)
    return PASSED * share + against


def _same_doing(tried: Tried) -> list[Cluster]:
    groups: dict[object, list[Entry]] = {}
    for entry in tried.entries:
        groups.setdefault(tried.of(entry).signature, []).append(entry)
    return [tuple(group) for group in groups.values()]


def _why(winner: Entry, tried: Tried, counted: Sequence[int]) -> tuple[str, ...]:
    signature = tried.of(winner).signature
    same = sum(tried.of(entry).signature == signature for entry in tried.entries)
    calls = f"{len(tried.trial.calls)} calls" if tried.trial.calls else "the examples"
    reasons = [f"{same} of {len(tried.entries)} programs do the same on {calls}."]
    if counted:
        passed = sum(tried.of(winner).passed[at] for at in counted)
        which = f"{passed} of {len(counted)} examples in the prompt"
        reasons.append(f"It passes {which}.")
    return tuple(reasons)
