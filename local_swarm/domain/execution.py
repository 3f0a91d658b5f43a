"""Candidates' code to run, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Job:
    """A Python program, and expressions to evaluate one after the other where it has been run.

    `source` is run once as a module; every expression (as `f([1, 2], 'a')`) is evaluated in the
    names that it left.
    """

    source: str
    expressions: tuple[str, ...]


class Ended(str, Enum):
    """How the evaluation of one expression ended."""

    VALUE = "value"
    RAISED = "raised"
    TIMEOUT = "timeout"
    LIMIT = "limit"  # of output or size, or the process ended itself or crashed
    NOT_RUN = "not run"  # the program itself failed, or the job's time was up before


@dataclass(frozen=True, slots=True)
class Outcome:
    """`text` is the value as Python text (equal values have equal texts; numbers of different types
    keep their own; `<ClassName>` where there is nothing to compare; `sandbox.inside.canonical` has
    the grammar), or the name of the exception's class; empty otherwise. What the code is not
    allowed raises PermissionError, too much memory MemoryError."""

    ended: Ended
    text: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One outcome for each expression of a job, in order. `load` says how running the program
    itself ended: VALUE when it went well."""

    outcomes: tuple[Outcome, ...]
    load: Outcome = Outcome(Ended.VALUE)
