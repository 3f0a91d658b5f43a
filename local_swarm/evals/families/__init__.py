"""The families of tasks; to add one, write its builder and one line here."""

from __future__ import annotations

from local_swarm.evals.families import folds, groups, scalars, texts
from local_swarm.evals.families.draft import Builder, Draft

FAMILIES: tuple[tuple[str, int, Builder], ...] = (
    # name, how often (weight), builder
    ("fold", 6, folds.fold),
    ("search", 3, folds.search),
    ("branches", 3, folds.branches),
    ("cases", 3, scalars.cases),
    ("counting", 2, scalars.counting),
    ("digits", 2, scalars.digits),
    ("shrinking", 2, scalars.shrinking),
    ("two_numbers", 2, scalars.two_numbers),
    ("characters", 4, texts.characters),
    ("words", 4, texts.words),
    ("mapping", 3, groups.mapping),
    ("two_lists", 2, groups.two_lists),
    ("nested", 3, groups.nested),
    ("neighbours", 3, groups.neighbours),
    ("grouping", 2, groups.grouping),
)

PRACTICE = {"cases": 2, "two_numbers": 3}
"""How many times as often a family is trained on as it is asked: these are learnt last."""

__all__ = ["FAMILIES", "PRACTICE", "Builder", "Draft"]
