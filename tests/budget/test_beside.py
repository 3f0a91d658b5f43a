"""Context checkpoints, against what llama-server printed when it made them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local_swarm.budget.beside import checkpoint_bytes, partial_bytes, sequence_bytes
from local_swarm.budget.context import Setting
from local_swarm.domain.memory import MIB
from local_swarm.domain.model import ModelFacts, Recurrence, Window
from tests.budget.samples import LLAMA_8B, dense

# The models that were run: 7 layers of which 6 slide, and 6 layers of which 4 keep state.
GEMMA = replace(
    dense("gemma3", layers=7, embedding=128, heads=4, heads_kv=2, vocab=1024, head_length=32),
    window=Window(size=512),
)
LFM = replace(
    dense("lfm2", layers=6, embedding=128, heads=4, vocab=1024, head_length=32),
    heads_kv=(0, 0, 2, 0, 0, 2),
    recurrence=Recurrence(shortconv=3),
)
DRAFT = dense(layers=4, embedding=128, heads=4, heads_kv=2, vocab=1024)
FOUR = Setting(8192, 4)


@pytest.mark.parametrize(
    ("model", "setting", "printed_mib"),
    [
        (GEMMA, FOUR, 0.756),
        (GEMMA, replace(FOUR, kv_unified=True), 0.756),
        (GEMMA, replace(FOUR, cache_type_k="q8_0", cache_type_v="q8_0"), 0.404),
        (LFM, FOUR, 0.004),
    ],
)
def test_a_full_checkpoint_is_what_was_printed_and_hardly_less(
    model: ModelFacts, setting: Setting, printed_mib: float
) -> None:
    bound = partial_bytes(model, setting)
    assert bound >= (printed_mib - 0.0005) * MIB
    # rounding of the print, and what only positions of several dimensions add to each cell
    assert bound <= (printed_mib + 0.0005) * MIB + 12 * 512


def test_a_checkpoint_beside_a_draft_holds_the_draft_s_cells_too() -> None:
    """Printed: 2.234 MiB at 1496 tokens, of which 0.756 are the model's windows."""
    two = Setting(8192, 2)
    per_token = 4 * 2 * 64 * 2 + 12
    printed = round((1496 * per_token) / MIB + 0.756, 3)
    assert printed == 2.234
    assert sequence_bytes(DRAFT, two) >= 4096 * per_token
    assert sequence_bytes(GEMMA, two) == partial_bytes(GEMMA, two)


def test_all_slots_and_checkpoints_count() -> None:
    assert checkpoint_bytes(GEMMA, FOUR, 3) == 12 * partial_bytes(GEMMA, FOUR)


def test_nothing_is_kept_where_everything_can_be_rolled_back() -> None:
    assert checkpoint_bytes(LLAMA_8B, FOUR, 32) == 0
    assert checkpoint_bytes(LLAMA_8B, FOUR, 32, draft=DRAFT) == 0
    assert checkpoint_bytes(GEMMA, replace(FOUR, swa_full=True), 32) == 0
    assert checkpoint_bytes(GEMMA, FOUR, 0) == 0


def test_recurrent_state_has_one_more_copy_for_wrong_drafts() -> None:
    kept = partial_bytes(LFM, FOUR)
    assert checkpoint_bytes(LFM, FOUR, 0, draft=DRAFT) == 4 * kept
    assert checkpoint_bytes(LFM, FOUR, 0, draft=LFM) == 4 * 2 * kept
    assert checkpoint_bytes(LLAMA_8B, FOUR, 0, draft=LFM) == 4 * kept


def test_a_window_is_never_more_than_the_context() -> None:
    assert partial_bytes(GEMMA, Setting(256)) < partial_bytes(GEMMA, FOUR)
    short = replace(GEMMA, window=Window(size=100_000))
    assert partial_bytes(short, FOUR) <= 2048 * (6 * 2 * 64 * 2 + 24) + 1024


def test_the_setting_of_the_draft_decides_what_its_cells_take() -> None:
    small = replace(FOUR, cache_type_k="q8_0", cache_type_v="q8_0")
    with_f16 = checkpoint_bytes(GEMMA, FOUR, 1, draft=DRAFT)
    assert checkpoint_bytes(GEMMA, FOUR, 1, draft=DRAFT, draft_setting=small) < with_f16
