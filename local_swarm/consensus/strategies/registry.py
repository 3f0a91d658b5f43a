"""The strategies by name. To add one: a file here, and a line below."""

from __future__ import annotations

import difflib

from local_swarm.consensus.strategies import (
    ast,
    auto,
    execution,
    fastest,
    fuzzy,
    hybrid,
    judge,
    off,
    quality,
    similarity,
    tools,
)
from local_swarm.consensus.strategies.base import Strategy
from local_swarm.errors import UsageError

STRATEGIES: dict[str, Strategy] = {
    "auto": auto.decide,
    "ast": ast.decide,
    "fuzzy": fuzzy.decide,
    "hybrid": hybrid.decide,
    "quality": quality.decide,
    "similarity": similarity.decide,
    "tools": tools.decide,
    "execution": execution.decide,
    "judge": judge.decide,
    "fastest": fastest.decide,
    "off": off.decide,
}


def find(name: str) -> Strategy:
    """The strategy called `name`. Raises UsageError with the known names and the nearest."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    nearest = difflib.get_close_matches(name, STRATEGIES, n=1)
    hint = f"Did you mean {nearest[0]}? " if nearest else ""
    raise UsageError(
        f"There is no voting strategy {name!r}.",
        hint=f"{hint}Known are: {', '.join(STRATEGIES)}.",
    )
