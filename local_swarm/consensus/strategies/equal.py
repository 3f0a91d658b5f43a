"""What most answers are, to the letter of their normal forms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from local_swarm.consensus.ballot import Ballot, Entry
from local_swarm.consensus.scoring import cluster
from local_swarm.consensus.scoring.merits import Merit
from local_swarm.consensus.scoring.outcome import Choice
from local_swarm.consensus.scoring.score import by_support, weights
from local_swarm.consensus.scoring.similarity import text_similarity


def choose(ballot: Ballot, entries: Sequence[Entry]) -> Choice:
    """The group of equal answers that weighs most, of those of the best standing (a strict majority
    wins in any); of groups that weigh the same the one most like all the others. For short answers
    and edits, where nearly the same is something else."""
    agreed = cluster.majority(entries)
    groups = [agreed] if agreed else _heaviest(ballot, entries)
    if len(groups) == 1:
        winner = cluster.spokesman(groups[0])
    else:
        tied = {entry.index for group in groups for entry in group}
        ranked = by_support(ballot, entries, text_similarity(entries))
        winner = next(entry for entry in ranked if entry.index in tied)
    same = sum(entry.form.key == winner.form.key for entry in entries)
    reason = f"{same} of {len(entries)} answers are the same."
    return Choice(winner, cluster.same_form(entries), (reason,))


def _heaviest(ballot: Ballot, entries: Sequence[Entry]) -> list[cluster.Cluster]:
    able = cluster.best_standing(entries)
    word = dict(
        zip(
            (entry.index for entry in able),
            weights(ballot, able, [Merit()] * len(able)),
            strict=True,
        )
    )
    groups = [
        (round(math.fsum(word[entry.index] for entry in group), 9), group)
        for group in cluster.same_form(able)
    ]
    most = max(weight for weight, _ in groups)
    return [group for weight, group in groups if weight == most]
