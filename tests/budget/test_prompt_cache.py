"""The prompt cache: what a saved conversation takes, and how much RAM the plan gives for them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from local_swarm.budget import Wishes, plan, setting_of
from local_swarm.budget.beside import partial_bytes
from local_swarm.budget.context import Setting
from local_swarm.budget.explain import prompt_cache as said_of_it
from local_swarm.budget.prompt_cache import (
    CONVERSATIONS,
    LEAST_MIB,
    grown_mib,
    longest_pair,
    saved_bytes,
)
from local_swarm.domain.memory import GIB, MIB
from local_swarm.domain.model import Window
from local_swarm.domain.plan import Plan, WorkerPlan
from tests.budget.samples import LLAMA_8B, QWEN_7B, SMALL, dense, machine

GEMMA = replace(
    dense("gemma3", layers=7, embedding=128, heads=4, heads_kv=2, vocab=1024, head_length=32),
    window=Window(size=512),
)
DEMO = dense(layers=4, embedding=128, heads=4, heads_kv=2, vocab=1024)  # as builtin:demo


def planned(gib: float = 64, **wishes: object) -> Plan:
    asked = Wishes(**wishes)  # type: ignore[arg-type]
    return plan(machine(int(gib * GIB)), QWEN_7B, asked, model_id="m")


def caches(made: Plan) -> list[int]:
    return [p.bytes for w in made.workers for p in w.parts if p.kind == "prompt_cache"]


def left(made: Plan) -> int:
    return made.budget[0].usable_bytes - made.budget[0].planned_bytes


@pytest.mark.parametrize(("tokens", "printed_mib"), [(8472, 8.371), (8508, 8.406)])
def test_a_saved_conversation_is_what_was_printed_and_hardly_more(
    tokens: int, printed_mib: float
) -> None:
    """llama-server's "saving prompt with length 8472, total state size = 8.371 MiB"."""
    model = replace(DEMO, layers=4, heads_kv=(2,) * 4, key_length=32, value_length=32)
    found = saved_bytes(model, Setting(16384, 1), tokens, checkpoints=2)
    assert printed_mib * MIB - 600 <= found <= printed_mib * MIB + 600 + 12 * tokens


def test_windows_hold_what_fits_in_their_cells_and_the_checkpoints_come_on_top() -> None:
    setting = Setting(16384, 1)
    short, whole = (saved_bytes(GEMMA, setting, n, checkpoints=0) for n in (1024, 16384))
    per_token = 2 * 2 * 2 * 32 + 24  # one layer keeps the whole context
    assert whole - short == (16384 - 1024) * per_token
    with_checkpoints = saved_bytes(GEMMA, setting, 16384, checkpoints=2)
    assert with_checkpoints == whole + 2 * partial_bytes(GEMMA, setting)


def test_a_draft_saves_its_own_state_too() -> None:
    setting = Setting(8192, 2)
    alone, draft = (saved_bytes(m, setting, 4096, 0) for m in (LLAMA_8B, SMALL))
    assert saved_bytes(LLAMA_8B, setting, 4096, 0, draft=SMALL) == alone + draft


def test_a_model_that_keeps_nothing_saves_nothing() -> None:
    assert saved_bytes(dense("bert"), Setting(512, 1), 512, 2) == 0


def test_four_whole_conversations_where_the_ram_is_there() -> None:
    made = planned()
    (worker,) = made.workers
    one = 28 * 2 * 4 * 128 * 2 + 24
    assert caches(made) == [worker.cache_ram_mib * MIB]
    assert 0 <= caches(made)[0] - CONVERSATIONS * one * 16384 < 2 * MIB
    assert "4 whole conversations" in " ".join(made.reasons)


def test_half_of_what_is_left_where_it_is_not() -> None:
    made, before = planned(15), planned(15, cache_ram_mib=LEAST_MIB)
    extra = caches(made)[0] - LEAST_MIB * MIB
    assert 0 < extra <= left(before) / 2 < extra + MIB
    assert "read anew" in " ".join(made.reasons)


def test_several_workers_share_what_is_left() -> None:
    made = planned(24, layout="processes", workers=3, ctx=8192)
    before = planned(24, layout="processes", workers=3, ctx=8192, cache_ram_mib=LEAST_MIB)
    assert len(set(caches(made))) == 1
    assert len(caches(made)) == 3
    assert sum(caches(made)) - sum(caches(before)) <= left(before) / 2


@pytest.mark.parametrize("gib", [10, 11, 12, 14, 20, 40])
def test_the_cache_changes_nothing_else_of_a_plan(gib: int) -> None:
    def without(worker: WorkerPlan) -> WorkerPlan:
        parts = tuple(part for part in worker.parts if part.kind != "prompt_cache")
        return replace(worker, cache_ram_mib=0, parts=parts)

    made, before = planned(gib), planned(gib, cache_ram_mib=LEAST_MIB)
    assert list(map(without, made.workers)) == list(map(without, before.workers))
    assert made.voters == before.voters
    assert left(made) >= 0
    assert caches(made)[0] >= LEAST_MIB * MIB


def test_workers_that_differ_in_nothing_but_their_cache_are_alike() -> None:
    """What the engine reserves is asked once, whatever is free at the moment."""
    (worker,) = planned().workers
    assert replace(worker, cache_ram_mib=1).shape == worker.shape


@pytest.mark.parametrize(
    ("saved_mib", "workers", "left_mib", "expected"),
    [(100, 1, 10_000, 400), (10, 1, 10_000, 256), (1000, 1, 1000, 756), (1000, 4, 800, 356)],
)
def test_the_limit(saved_mib: int, workers: int, left_mib: int, expected: int) -> None:
    assert grown_mib(saved_mib * MIB, workers, left_mib * MIB) == expected


@pytest.mark.parametrize(
    ("fixed", "limit", "expected"),
    [(0, 20_000, 1000), (0, 19_999, 900), (9000, 20_000, 100), (9950, 20_000, 0), (0, 10**9, 4000)],
)
def test_the_longest_two_that_have_room(fixed: int, limit: int, expected: int) -> None:
    """What a conversation takes does not grow with its length alone."""
    assert longest_pair(limit, 4096, lambda tokens: fixed + 10 * tokens) == expected
    assert 2 * (fixed + 10 * expected) <= limit or expected == 0


def test_state_that_leaves_no_room_for_two_is_said_to() -> None:
    """As Qwen3 Next: its state and checkpoints are 226 MiB at the first token."""
    workers = planned(cache_ram_mib=312).workers
    (told,) = said_of_it(workers, lambda tokens: 226 * MIB + 24 * 1024 * tokens)
    assert told == (
        "312.0 MiB of RAM are too little for two conversations of any length: those that take"
        " turns in a slot are read anew at each turn."
    )


def test_the_length_that_is_said_counts_windows_and_checkpoints_once() -> None:
    """They are as large for a short conversation as for a long one."""
    model = replace(
        dense("gemma3", layers=24, embedding=1024, heads_kv=8, vocab=32000, weights=2 * GIB),
        window=Window(size=1024),
    )
    made = plan(machine(64 * GIB), model, Wishes(cache_ram_mib=200), model_id="m")
    (said,) = (r for r in made.reasons if "take turns in a slot" in r)
    found = re.search(r"two of more than about (\d+) tokens", said)
    assert found
    worker, tokens = made.workers[0], int(found[1])
    sizes = [
        2 * saved_bytes(model, setting_of(worker), n, worker.ctx_checkpoints)
        for n in (tokens, tokens + 100)
    ]
    assert sizes[0] <= 200 * MIB < sizes[1]
