"""Compare several answers to one prompt and choose the best-supported: `vote()`.

What a vote goes through, all of it pure (no I/O, no clock, nothing of a candidate is ever run):

    extract    the answer in what a model wrote: reasoning, fences and talk off, bodies made whole
    normalise  equal for answers that say the same: syntax tree, canonical JSON, folded text
    ballot     the candidates, each prepared once, with its standing (sound, broken, empty)
    strategies one file each and a registry; takes a Ballot, gives a Verdict
    settled    whether answers still missing could change who wins
    outcome    agreement, confidence and the reasons for a person

The winner is always one whole candidate, never a splice of several.
"""

from local_swarm.consensus.settled import settled
from local_swarm.consensus.strategies.registry import STRATEGIES
from local_swarm.consensus.voting import deliberate, extract_code, vote, without
from local_swarm.domain.verdict import Verdict

__all__ = ["STRATEGIES", "Verdict", "deliberate", "extract_code", "settled", "vote", "without"]
