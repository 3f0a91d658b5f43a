"""What a strategy decides on: the prompt, and every candidate prepared once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from local_swarm.consensus.forms.fields import calls_form, document_form
from local_swarm.consensus.forms.normalise import NormalForm, normalise
from local_swarm.consensus.reading.extract import Answer, Kind, extract
from local_swarm.consensus.reading.repair import Header, find_header
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import Evidence
from local_swarm.domain.rules import Rules

MAX_PROMPT_CHARS = 65_536
"""A function header is looked for in the end of a longer prompt."""

_ERROR = re.compile(r"\A\s*(?:Traceback \(most recent call last\):|(?:Internal Server )?Error:\s)")
_ERROR_OBJECT = re.compile(r'\A\{"error":')


_JUDGED = frozenset({Kind.TOOL_CALLS, Kind.CODE, Kind.JSON})
"""What shows by itself whether it is whole."""


class Standing(IntEnum):
    """What an answer is worth before anything is compared; a higher one always wins."""

    EMPTY = 0
    BROKEN = 1  # cut off, does not compile, or an error message
    SOUND = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One prepared candidate. `index` is its place in the candidates as they were given."""

    index: int
    candidate: Candidate
    answer: Answer
    form: NormalForm
    standing: Standing

    @property
    def content(self) -> tuple[str, str, int, str, int]:
        """Settles ties by what is said, never by who came first; the index only between texts
        that are the same to the letter and worth the same."""
        ids = "\0".join(call.id for call in self.candidate.tool_calls)
        return (self.form.key, self.raw, -self.standing, ids, self.index)

    @property
    def raw(self) -> str:
        """What the client would be given, as one text, but for the ids of calls."""
        return "\0".join([self.candidate.text, *map(repr, _said(self.candidate))])


@dataclass(frozen=True, slots=True)
class Ballot:
    """The entries in the order of the candidates; there is at least one. `header` is the function
    that the prompt asks for, `rules` are what the request demands of its answer's form."""

    prompt: str
    entries: tuple[Entry, ...]
    header: Header | None = None
    rules: Rules = field(default_factory=Rules)
    evidence: Evidence = field(default_factory=Evidence)

    def __len__(self) -> int:
        return len(self.entries)


def prepare(
    prompt: str,
    candidates: Sequence[str | Candidate],
    rules: Rules | None = None,
    evidence: Evidence | None = None,
) -> Ballot:
    """Extract and normalise every candidate. Raises ValueError when there is none."""
    if not candidates:
        raise ValueError("a vote needs at least one candidate")
    header = find_header(prompt[-MAX_PROMPT_CHARS:])
    asked = rules or Rules()
    known: dict[tuple[object, ...], tuple[Answer, NormalForm]] = {}
    entries = []
    for index, given in enumerate(candidates):
        candidate = Candidate(given) if isinstance(given, str) else given
        same = (candidate.text, _said(candidate))
        if same not in known:
            known[same] = _read(candidate, header, asked)
        answer, form = known[same]
        entries.append(Entry(index, candidate, answer, form, _standing(candidate, answer)))
    return Ballot(prompt, tuple(entries), header, asked, evidence or Evidence())


def _said(candidate: Candidate) -> tuple[tuple[str, str], ...]:
    """The calls without their ids: two voters never give the same."""
    return tuple((call.name, call.arguments) for call in candidate.tool_calls)


def _read(candidate: Candidate, header: Header | None, rules: Rules) -> tuple[Answer, NormalForm]:
    answer = extract(candidate, header)
    form = normalise(answer, header.words if header is not None else frozenset())
    if answer.kind is Kind.TOOL_CALLS:
        form = calls_form(candidate.tool_calls, rules, form)
    elif answer.kind is Kind.JSON:
        form = document_form(answer, rules, form)
    return answer, form


def _standing(candidate: Candidate, answer: Answer) -> Standing:
    if answer.kind is Kind.EMPTY:
        return Standing.EMPTY
    is_judged = answer.kind in _JUDGED and not answer.language
    was_cut = not is_judged and candidate.finish_reason == "length"
    return Standing.BROKEN if was_cut or not answer.sound or _is_error(answer) else Standing.SOUND


def _is_error(answer: Answer) -> bool:
    if answer.kind is Kind.JSON:
        return _ERROR_OBJECT.match(answer.text) is not None
    return answer.kind is Kind.TEXT and _ERROR.match(answer.text) is not None
