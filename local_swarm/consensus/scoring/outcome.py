"""From a choice to a verdict: agreement, confidence, and reasons for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from local_swarm.consensus.ballot import Ballot, Entry, Standing
from local_swarm.consensus.scoring.cluster import Cluster, same_form
from local_swarm.consensus.scoring.confidence import by_agreement
from local_swarm.domain.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Choice:
    """Who won, how the entries that were looked at group, and why. Entries that appear in no
    cluster were not looked at: they are grouped by their normal forms. `confidence` is for a
    strategy that knows more than how many agree."""

    winner: Entry
    clusters: Sequence[Cluster]
    reasons: tuple[str, ...]
    confidence: float | None = None


def conclude(ballot: Ballot, choice: Choice, strategy: str) -> Verdict:
    """The verdict of `strategy`; agreement and confidence count all candidates."""
    seen = {entry.index for cluster in choice.clusters for entry in cluster}
    left = [entry for entry in ballot.entries if entry.index not in seen]
    clusters = _indices([*choice.clusters, *same_form(left)])
    size = next(len(cluster) for cluster in clusters if choice.winner.index in cluster)
    sure = choice.confidence
    if sure is None:
        sure = by_agreement(size, len(ballot), choice.winner.standing)
    return Verdict(
        index=choice.winner.index,
        agreement=size / len(ballot),
        confidence=sure,
        strategy=strategy,
        clusters=clusters,
        reasons=(
            *(choice.reasons if len(ballot) > 1 else ("There is only one answer.",)),
            *_remarks(ballot, choice.winner),
        ),
    )


def _indices(clusters: Sequence[Cluster]) -> tuple[tuple[int, ...], ...]:
    groups = [tuple(sorted(entry.index for entry in cluster)) for cluster in clusters]
    return tuple(sorted(groups, key=lambda group: (-len(group), group)))


def _remarks(ballot: Ballot, winner: Entry) -> tuple[str, ...]:
    remarks = []
    weak = [entry for entry in ballot.entries if entry.standing < winner.standing]
    if empty := sum(entry.standing is Standing.EMPTY for entry in weak):
        remarks.append(f"{empty} of {len(ballot)} answers said nothing.")
    if broken := len(weak) - empty:
        remarks.append(f"{broken} of {len(ballot)} answers were broken or cut off.")
    if winner.standing is Standing.EMPTY:
        remarks.append("No candidate said anything.")
    elif winner.standing is Standing.BROKEN:
        remarks.append("The winner itself is broken or cut off.")
    return tuple(remarks)
