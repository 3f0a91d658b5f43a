"""Workers that make vectors of texts: embeddings, and ranks of documents.

Every token of a batch is an output then, with a row of logits (whether or not anything looks at
them) and one of inner state, so a batch is never longer than what is computed at once.

Source: llama.cpp src/llama-context.cpp `output_reserve`, tools/server/server-context.cpp
`server_output_limits` and `can_split`, as of the version in llama-cpp-python 0.3.36.
"""

from __future__ import annotations

from collections.abc import Iterator

from local_swarm.budget.architectures import architecture
from local_swarm.budget.context import Setting
from local_swarm.budget.kv import CTX_STEP, pad
from local_swarm.budget.weights import output_bytes
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, MemoryPart

BATCH = 512
IN_PIECES = frozenset({"last", "rank"})


def reads_whole(model: ModelFacts) -> bool:
    """Whether a text must fit into one batch: where tokens see those behind them, or where the
    vector is made of all of them."""
    cached = architecture(model.arch).caches
    return not (cached and model.causal and model.pooling in IN_PIECES)


def vector_batch(model: ModelFacts, ctx: int) -> int:
    """Tokens of a batch for slots of `ctx`. A model that was made for vectors reads texts as long
    as its context; one that answers would need as much memory for logits as for nothing else."""
    whole = model.purpose != "chat" and reads_whole(model)
    return pad(ctx, CTX_STEP) if whole else BATCH


def vectors_bytes(model: ModelFacts, outputs: int) -> int:
    """The inner state of so many tokens, which lies beside their logits."""
    return model.embedding_length * outputs * 4


def vector_parts(model: ModelFacts, setting: Setting) -> Iterator[MemoryPart]:
    """By what the output buffer grows with the first long text. Exact, and never printed."""
    grown = setting.outputs - setting.slots
    if grown > 0:
        size = output_bytes(model, grown) + vectors_bytes(model, grown)
        yield MemoryPart(CPU_DEVICE, "vectors", size)
