"""Compare several answers to one prompt and choose the best-supported: `vote()`.

What a vote goes through, all of it pure (no I/O, no clock, nothing of a candidate is ever run):

    reading     the answer in what a model wrote: reasoning, fences and talk off, bodies made whole
    parsing     programs by their grammars: compiler, tree-sitter, words
    forms       equal for answers that say the same: syntax tree, canonical JSON, folded text
    ballot      the candidates, each prepared once, with its standing (sound, broken, empty)
    lint        what can be seen to be wrong with a Python program
    scoring     what speaks for each answer, as a sum: its own merits and what the others testify;
                agreement, confidence and the reasons for a person
    execution   programs by what they do: which calls to run (somebody else runs them), what follows
    data        tool calls and JSON, argument by argument
    rules       what the request itself demands of an answer's form
    strategies  one file each and a registry; takes a ballot, gives a verdict or says what is wanted
    settled     whether answers still missing could change who wins

The winner is always one whole candidate, never a splice of several.
"""

from local_swarm.consensus.settled import settled
from local_swarm.consensus.strategies.registry import STRATEGIES
from local_swarm.consensus.voting import deliberate, extract_code, vote, without
from local_swarm.domain.verdict import Verdict

__all__ = ["STRATEGIES", "Verdict", "deliberate", "extract_code", "settled", "vote", "without"]
