"""Where the answers disagree, the swarm itself is asked which of them is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.scoring import cluster
from local_swarm.consensus.scoring.outcome import Choice, conclude
from local_swarm.consensus.strategies import auto
from local_swarm.consensus.strategies.base import Strategy
from local_swarm.domain.evidence import Aid, JudgementWanted, Question, Wanted
from local_swarm.domain.verdict import Verdict

UNDECIDED = 0.5
"""Answers of which no more than this share agree are judged."""
MOST_HEADS = 4
PROMPT_CHARS = 6_000
OPTION_CHARS = 2_400
LABELS = "ABCD"

_BASE: Strategy = auto.decide


@dataclass(frozen=True, slots=True)
class Head:
    """Who speaks for a group of answers that say the same, and the indices of those."""

    entry: Entry
    group: frozenset[int]


def decide(ballot: Ballot) -> Verdict | Wanted:
    """What `auto` says, unless no majority of the answers agrees: then judges are shown one
    answer of each of the four largest groups, and each of their words counts as one answer more
    for its group. Without judges it is what `auto` says."""
    base = _BASE(ballot)
    if not isinstance(base, Verdict):
        return base
    heads = _heads(ballot, base)
    if ballot.evidence.judgement:
        return _judged(ballot, base, heads, ballot.evidence.judgement)
    undecided = base.agreement <= UNDECIDED and len(heads) > 1
    if undecided and Aid.JUDGEMENT in ballot.evidence.able:
        return JudgementWanted(_questions(ballot.prompt, [head.entry for head in heads]))
    return replace(base, strategy="judge")


def _heads(ballot: Ballot, base: Verdict) -> list[Head]:
    """Of the largest groups of answers that are whole as the winner is and in its form, the
    winner's own among them; in the order of what they say."""
    won = ballot.entries[base.index]
    heads = []
    for group in base.clusters:
        members = [ballot.entries[i] for i in group]
        entry = won if base.index in group else cluster.spokesman(members)
        if entry.standing == won.standing and entry.answer.same_class(won.answer):
            heads.append(Head(entry, frozenset(group)))
    heads.sort(key=lambda h: (base.index not in h.group, -len(h.group), h.entry.content))
    return sorted(heads[:MOST_HEADS], key=lambda head: head.entry.content)


def _questions(prompt: str, heads: Sequence[Entry]) -> tuple[Question, ...]:
    """Two, with the answers in opposite order: judges favour a place in the list."""
    return (_question(prompt, heads), _question(prompt, heads[::-1]))


def _question(prompt: str, heads: Sequence[Entry]) -> Question:
    labels = tuple(LABELS[: len(heads)])
    shown = "\n\n".join(
        f"### Answer {label}\n{_cut(entry.raw.strip(), OPTION_CHARS)}"
        for label, entry in zip(labels, heads, strict=True)
    )
    text = (
        f"Several answers to one request are shown. Which of them is the best: right, complete, "
        f"and what was asked for?\n\n### Request\n{_cut(prompt.strip(), PROMPT_CHARS)}\n\n{shown}"
        f"\n\nReply with one letter only: {', '.join(labels)}."
    )
    return Question(text, labels, tuple(entry.index for entry in heads))


def _judged(ballot: Ballot, base: Verdict, heads: Sequence[Head], named: Sequence[int]) -> Verdict:
    """Every answer of a group and every judge that named one of it counts one; a tie stays with
    `auto`."""
    judges = {head.group: sum(index in head.group for index in named) for head in heads}
    won = min(
        heads,
        key=lambda h: (-len(h.group) - judges[h.group], base.index not in h.group, h.entry.content),
    )
    groups = [tuple(ballot.entries[i] for i in group) for group in base.clusters]
    said = f"No majority agrees: {judges[won.group]} of {len(named)} judges chose this one."
    return conclude(ballot, Choice(won.entry, groups, (said,)), "judge")


def _cut(text: str, most: int) -> str:
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}\n[...]\n{text[-half:]}"
