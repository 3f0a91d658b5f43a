"""The engine's prompt cache in RAM: how much of what is left it gets.

A slot that turns to another conversation saves its state there and brings the other one back, if it
is there. Before it saves, the engine drops the oldest states until the new one fits its limit, and
a state above the limit is not saved at all; so conversations that take turns in one slot need room
for all of their states, the one that is brought back included. Its limit in tokens never binds
first: it grows with the one in bytes.

Source: llama.cpp tools/server/server-task.cpp `server_prompt_cache`, server-context.cpp
`get_available_slot` and `prompt_save`, as of the version in llama-cpp-python 0.3.36; the wheel
xllamacpp 2026.10.11549 does the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from local_swarm.budget.beside import partial_bytes, sequence_bytes, state_bytes_of
from local_swarm.budget.context import Setting
from local_swarm.domain.memory import MIB
from local_swarm.domain.model import ModelFacts

LEAST_MIB = 256
"""What a worker gets before anything else is decided; no model fails to fit for more."""
CONVERSATIONS = 4
SHARE = 2
"""Not more than the half of what is left in RAM."""
LENGTHS = 100
"""Lengths of conversations are told in such steps of tokens."""


def saved_bytes(
    model: ModelFacts,
    setting: Setting,
    ctx: int,
    checkpoints: int,
    *,
    draft: ModelFacts | None = None,
    draft_setting: Setting | None = None,
) -> int:
    """Upper bound of what one conversation of `ctx` tokens takes in the cache.

    Its cells of every layer, windows and recurrent state, the checkpoints of its slot, and the
    same of a draft model. A model that keeps nothing of what it read has nothing to save.
    """
    size = state_bytes_of(model, setting, ctx)
    kept = partial_bytes(model, setting)
    each = kept
    if draft:
        drafted = draft_setting or setting
        size += state_bytes_of(draft, drafted, ctx)
        each += sequence_bytes(draft, drafted)
    return size + (checkpoints * each if kept else 0)


def grown_mib(saved: int, workers: int, left_bytes: int) -> int:
    """The limit of each worker's cache in MiB, where each has `LEAST_MIB` and `left_bytes` of RAM
    are left over by all."""
    wanted = -(-CONVERSATIONS * saved // MIB)
    room = LEAST_MIB + left_bytes // (SHARE * workers * MIB)
    return max(LEAST_MIB, min(wanted, room))


def longest_pair(limit_bytes: int, ctx: int, saved: Callable[[int], int]) -> int:
    """How long, in tokens, two conversations may be that both fit the limit; 0 for no length.

    `saved` gives the bytes of one of so many tokens, and never falls.
    """
    lengths = range(LENGTHS, ctx + 1, LENGTHS)
    return LENGTHS * bisect_right(lengths, limit_bytes, key=lambda tokens: 2 * saved(tokens))
