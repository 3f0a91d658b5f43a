"""Decides, without I/O, what fits: a host and a model in, a `Plan` out, or a `FitError`.

    wishes         what the user asked for
    limits         how much of each device's memory, and how many cores, a plan may use
    architectures  which model keeps what: a table of one llama.cpp version, in a data file
    kv, layers, context   cells, what each layer keeps, and both together, to the byte
    weights, placement    tensors, and which device holds which
    widths, compute       the scratch memory of the largest graph, exact or bounded
    estimate       the above for one start of the engine
    placed_compute scratch memory by device, where a worker has several
    beside, drafting, projector   context checkpoints, a draft model, a projector
    prompt_cache   what conversations that left their slots get of the RAM that is left
    seating        workers x slots, voters and lanes, best first
    vectors        what embeddings and ranks need besides
    groups, split  devices to workers, and a worker's layers to its devices
    case           a machine and wishes: all layouts, in the order in which things are given up
    pricing, offer what one worker takes by device and kind; a layout with its workers priced
    fitting, lineup   all offers of one model; the models to choose from
    fit            walks models and ways to run them, and picks
    explain        the sentences that say why
    rungs, smaller   how a worker that memory was too short for gives things up
    drift          what was planned against what the engine printed

Figures are those of llama.cpp as vendored in llama-cpp-python 0.3.36. What must be asked of an
engine or read from a file comes in as a value.
"""

from local_swarm.budget.context import Setting
from local_swarm.budget.drafting import why_no_draft
from local_swarm.budget.drift import observe
from local_swarm.budget.estimate import Estimate, estimate
from local_swarm.budget.fit import choose, plan
from local_swarm.budget.lineup import Candidate
from local_swarm.budget.placement import Share, Target, place
from local_swarm.budget.pricing import Answers, Beside, setting_of, unsure
from local_swarm.budget.rungs import Smaller, Where
from local_swarm.budget.smaller import smaller
from local_swarm.budget.wishes import Wishes

__all__ = [
    "Answers",
    "Beside",
    "Candidate",
    "Estimate",
    "Setting",
    "Share",
    "Smaller",
    "Target",
    "Where",
    "Wishes",
    "choose",
    "estimate",
    "observe",
    "place",
    "plan",
    "setting_of",
    "smaller",
    "unsure",
    "why_no_draft",
]
