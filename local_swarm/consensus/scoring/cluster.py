"""Who says the same, and who speaks for them: groups, majority, weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from local_swarm.consensus.ballot import Entry, Standing
from local_swarm.consensus.scoring.similarity import Matrix

BROKEN_WEIGHT = 0.5
"""A broken answer is half a witness for the others; an empty one is none."""

Cluster = tuple[Entry, ...]


def same_form(entries: Sequence[Entry]) -> list[Cluster]:
    """Groups of equal normal forms. They partition the entries; the order says nothing."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.form.key, []).append(entry)
    return [tuple(group) for group in groups.values()]


def alike(ranked: Sequence[Entry], threshold: float, matrix: Matrix) -> list[Cluster]:
    """Groups around leaders: the first entry that is still alone takes all that are as similar to
    it as `threshold`. They partition `ranked`; `matrix` is in the order of the entries' sorted
    indices."""
    place = {entry.index: at for at, entry in enumerate(sorted(ranked, key=lambda e: e.index))}
    waiting, groups = list(ranked), []
    while waiting:
        row = matrix[place[waiting[0].index]]
        groups.append(tuple(e for e in waiting if row[place[e.index]] >= threshold))
        waiting = [entry for entry in waiting if row[place[entry.index]] < threshold]
    return groups


def best_standing(entries: Sequence[Entry]) -> list[Entry]:
    """Those that may win: a lower standing never beats a higher one."""
    best = max(entry.standing for entry in entries)
    return [entry for entry in entries if entry.standing == best]


def majority(entries: Sequence[Entry]) -> Cluster | None:
    """The group of equal normal forms that holds more than half of all that say anything, whatever
    its standing; None where there is none, or where it is one of broken answers (Python that does
    not compile, data that does not parse) and another answer of their class is whole."""
    spoken = [entry for entry in entries if entry.standing is not Standing.EMPTY]
    largest = max(same_form(spoken), key=len, default=())
    if len(largest) * 2 <= len(spoken):
        return None
    one = largest[0].answer
    beaten = not one.sound and any(e.answer.sound and e.answer.same_class(one) for e in spoken)
    return None if beaten else largest


def of_one_class(leading: Sequence[Entry], entries: Sequence[Entry]) -> list[Entry]:
    """The entries of the class (kind and language) that weighs most among the `leading` (at least
    one): only answers of one class compare."""
    most: dict[tuple[str, str], float] = {}
    for entry in leading:
        most[_class(entry)] = most.get(_class(entry), 0.0) + weight(entry)
    chosen = max(sorted(most), key=lambda one: most[one])
    return [entry for entry in entries if _class(entry) == chosen]


def _class(entry: Entry) -> tuple[str, str]:
    return entry.answer.kind.value, entry.answer.language


def spokesman(cluster: Sequence[Entry]) -> Entry:
    """Of answers that say the same: one that is whole, the one written most often to the letter,
    then by content."""
    spelled = Counter(entry.raw for entry in cluster)
    return min(cluster, key=lambda e: (-e.standing, -spelled[e.raw], e.content))


def weight(entry: Entry) -> float:
    """How much of a witness an entry is."""
    if entry.standing is Standing.EMPTY:
        return 0.0
    return BROKEN_WEIGHT if entry.standing is Standing.BROKEN else 1.0
