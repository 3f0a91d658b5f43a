"""Whether a vote is decided before all answers are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from local_swarm.consensus import cluster
from local_swarm.consensus.ballot import Entry, Standing, prepare
from local_swarm.consensus.extract import Kind
from local_swarm.domain.candidate import Candidate

_DATA = frozenset({Kind.TOOL_CALLS, Kind.JSON})


def settled(
    prompt: str, candidates: Sequence[str | Candidate], missing: int, *, strategy: str
) -> bool:
    """Whether `missing` more answers can say what they like: the winner of the `strategy` would
    still be one of those that win among `candidates` now, by its normal form.

    Where counts decide, that is known early: a strict majority of equal answers that are whole
    (`auto`, `ast`, `fuzzy`), and in `auto` a lead in tool calls or JSON that cannot be made up.
    Where likeness or order decides it is never known, and this is False. Pure, and quick: nothing
    is compared by pairs. Raises ValueError without candidates.
    """
    entries = prepare(prompt, candidates).entries
    return any(law(entries, missing) for law in _LAWS.get(strategy, ()))


def _majority(entries: Sequence[Entry], missing: int) -> bool:
    """More than half of all that may ever speak are the same and whole."""
    spoken = [entry for entry in entries if entry.standing is not Standing.EMPTY]
    largest = max(cluster.same_form(spoken), key=len, default=())
    return 2 * len(largest) > len(spoken) + missing and largest[0].answer.sound


def _lead(entries: Sequence[Entry], missing: int) -> bool:
    """The largest group of equal data stays the largest, and data the kind of most answers."""
    spoken = [entry for entry in entries if entry.standing is not Standing.EMPTY]
    groups = sorted(cluster.same_form(spoken), key=_whole, reverse=True)
    if not groups or groups[0][0].answer.kind not in _DATA:
        return False
    kind = groups[0][0].answer.kind
    weights = dict.fromkeys(Kind, 0.0)
    for entry in spoken:
        weights[entry.answer.kind] += cluster.weight(entry)
    runner_up = max(map(len, groups[1:]), default=0)
    other_kind = max(weight for other, weight in weights.items() if other is not kind)
    return _whole(groups[0]) > runner_up + missing and weights[kind] > other_kind + missing


def _whole(group: cluster.Cluster) -> int:
    return sum(entry.standing is Standing.SOUND for entry in group)


_Law = Callable[[Sequence[Entry], int], bool]
_LAWS: dict[str, tuple[_Law, ...]] = {
    "auto": (_majority, _lead),
    "ast": (_majority,),
    "fuzzy": (_majority,),
}
