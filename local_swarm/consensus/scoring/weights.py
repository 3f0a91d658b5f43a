"""What the terms of a score weigh, in natural log odds.

Fitted by `bin/fit_votes.py` on sampled answers to 82 small Python problems (five sources, 9840
answers), each pulled towards what an engineer would say: a fault that next to no right program has
towards -2, a hint towards -0.4. Cross-validated by problem they recover 42.3% of the headroom of a
vote of 3, 43.5% of 5 and 43.0% of 8 (mean over the sources); fitted to all data 42.5, 43.8, 43.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LIKENESS = 0.8
"""Of one more answer that says the same."""

DOUBT = 1.0
"""How fast the word of an answer counts less with its own faults: that of one with a fault of -2
counts a seventh. Not fitted: from 0 to 2 it recovers the same, but a crowd of empty programs must
not outvote a few real ones."""

FAULTS: Mapping[str, float] = MappingProxyType(
    {
        "undefined": -2.11,
        "unbound": -2.02,
        "unused_parameters": -2.00,
        "unused_locals": -0.46,
        "lacks_asked": -0.54,
        "wrong_parameters": -2.00,
        "returns_nothing": -2.04,
        "falls_off": -0.73,
        "is_stub": -2.00,
        "is_trivial": -2.00,
        "dead_ends": -2.00,
        "bad_calls": -2.00,
        "unknown_attributes": -2.01,
        "slips": -2.01,
        "index_steps": -0.75,
        "kind_errors": -2.07,
        "kind_risks": -0.61,
        "unequal": -0.38,
        "wrong_returns": -0.43,
        "only_wrong_returns": -2.00,
        "missed_outputs": -2.03,
        "unmet": -1.03,
    }
)

RISKS = frozenset(("index_steps",))
"""They weigh something, but are no faults to tell a person of."""

CERTAINTY = (0.5, 0.1)
"""Of the mean log-probability of an answer's tokens, and of that in its least certain window. Not
fitted, as the data has none: chosen so that what usually differs among answers settles ties and
near ties, no more."""

USUAL_LOGPROB = (-0.3, -1.5)
LEAST_LOGPROB = (-1.0, -4.0)
"""Less certain than these is all the same."""
