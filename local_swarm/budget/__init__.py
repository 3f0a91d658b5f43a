"""Decides, without I/O, what fits: a host and a model in, a `Plan` out, or a `FitError`.

    wishes         what the user asked for
    limits         how much memory and how many cores a plan may use
    architectures  which model keeps what: a table of one llama.cpp version, in a data file
    kv, layers, context   cells, what each layer keeps, and both together, to the byte
    weights, placement    tensors, and which device holds which
    widths, compute       the scratch memory of the largest graph, exact or bounded
    estimate       the above for one start of the engine, and as the parts of one worker
    seating        workers x slots, voters and lanes, best first
    fit            walks the seatings, trades, and picks the first that fits
    explain        the sentences that say why
    drift          what was planned against what the engine printed

Figures are those of llama.cpp as vendored in llama-cpp-python 0.3.36. What must be asked of an
engine or read from a file comes in as a value.
"""

from local_swarm.budget.context import Setting
from local_swarm.budget.drift import observe
from local_swarm.budget.estimate import Estimate, Load, estimate, worker_parts
from local_swarm.budget.fit import plan
from local_swarm.budget.placement import Share, Target, place
from local_swarm.budget.wishes import Wishes

__all__ = [
    "Estimate",
    "Load",
    "Setting",
    "Share",
    "Target",
    "Wishes",
    "estimate",
    "observe",
    "place",
    "plan",
    "worker_parts",
]
