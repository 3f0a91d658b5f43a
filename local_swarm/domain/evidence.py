"""What a vote can be told beside the answers themselves, and what it may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from local_swarm.domain.execution import Job, Report


class Aid(str, Enum):
    """What can be found out while a vote waits."""

    RUNS = "runs"
    VECTORS = "vectors"
    JUDGEMENT = "judgement"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Sequences hold one item for each candidate, in the order of the candidates; None: unknown.

    `able` is what may still be asked for: what could not be had is taken out of it. `skills` say
    how much the word of a voter counts, by the name of its model (1 where a model is not named).
    `vectors` are embeddings of the answers. `written` are calls of the asked function that
    workers thought of, as Python expressions. `judgement` holds the indices of the candidates
    that judges named, one for each judge that answered.
    """

    able: frozenset[Aid] = frozenset()
    skills: Mapping[str, float] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    runs: tuple[Report, ...] | None = None
    vectors: tuple[tuple[float, ...], ...] | None = None
    judgement: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class RunsWanted:
    """One job for each candidate; None where there is nothing to run."""

    jobs: tuple[Job | None, ...]


@dataclass(frozen=True, slots=True)
class VectorsWanted:
    """One text for each candidate, to be embedded."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """To be answered with one of `labels`; `options` are the indices of the candidates that these
    stand for."""

    text: str
    labels: tuple[str, ...]
    options: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JudgementWanted:
    """Questions to the swarm itself, the same in other words: its judges are shared out among
    them."""

    questions: tuple[Question, ...]


Wanted = RunsWanted | VectorsWanted | JudgementWanted
