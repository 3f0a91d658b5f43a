"""Decides, without I/O, what fits: a host and a model in, a `Plan` out, or a `FitError`.

    wishes    what the user asked for
    limits    how much memory and how many cores a plan may use
    kv, weights, compute   what the engine allocates, to the byte where its rules are known
    estimate  the above as the parts of one worker
    seating   workers x slots, voters and lanes, best first
    fit       walks the seatings, trades, and picks the first that fits
    explain   the sentences that say why
    drift     what the engine printed after the launch, compared with the plan

Figures are those of llama.cpp as vendored in llama-cpp-python 0.3.36. What must be asked of an
engine or read from a file comes in as a value.
"""

from local_swarm.budget.drift import observe
from local_swarm.budget.estimate import Load, worker_parts
from local_swarm.budget.fit import plan
from local_swarm.budget.wishes import Wishes

__all__ = ["Load", "Wishes", "observe", "plan", "worker_parts"]
