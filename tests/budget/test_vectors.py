"""Plans for models that make vectors, and for those that are asked to besides answering."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local_swarm.budget import Wishes, plan
from local_swarm.budget.vectors import reads_whole, vector_batch
from local_swarm.domain.memory import GIB
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import Plan
from tests.budget.samples import QWEN_7B, dense, machine
from tests.budget.test_gpu_plan import gpu, with_gpus

SIZES = {"layers": 12, "embedding": 768, "heads": 12, "heads_kv": 12, "feed_forward": 3072}
BERT = replace(
    dense("bert", **SIZES, vocab=30522, context_train=512, weights=438_000_000),
    purpose="embedding",
    pooling="mean",
    causal=False,
)
RANKER = replace(BERT, purpose="rerank", pooling="rank")
QWEN_EMBEDDING = replace(QWEN_7B, purpose="embedding", pooling="last")


def planned(model: ModelFacts, **wishes: object) -> Plan:
    return plan(machine(64 * GIB), model, Wishes(**wishes), model_id="m")  # type: ignore[arg-type]


def parts(made: Plan) -> dict[str, int]:
    return {part.kind: part.bytes for part in made.workers[0].parts}


@pytest.mark.parametrize("model", [BERT, RANKER, QWEN_EMBEDDING])
def test_a_model_made_for_vectors_is_planned_without_votes_and_caches_of_prompts(
    model: ModelFacts,
) -> None:
    made = planned(model)
    (worker,) = made.workers
    assert (made.voters, worker.slots, worker.lanes) == (1, 2, 1)
    assert (worker.purpose, worker.vectors) == (model.purpose, True)
    assert (worker.cache_ram_mib, worker.ctx_checkpoints) == (0, 0)
    assert {"prompt_cache", "checkpoints"}.isdisjoint(parts(made))
    assert any("nothing is voted on" in reason for reason in made.reasons)


def test_an_encoder_reads_a_whole_text_at_once_and_keeps_no_cells() -> None:
    made = planned(BERT)
    (worker,) = made.workers
    assert (worker.ctx, worker.batch, worker.ubatch) == (512, 512, 512)
    assert "kv" not in parts(made)
    rows = 30522 + 768
    assert parts(made)["output"] == 2 * rows * 4
    assert parts(made)["vectors"] == 510 * rows * 4


@pytest.mark.parametrize(
    ("model", "whole"),
    [
        (BERT, True),
        (RANKER, True),
        (QWEN_EMBEDDING, False),
        (replace(QWEN_EMBEDDING, pooling="rank"), False),
        (replace(QWEN_EMBEDDING, pooling="mean"), True),
        (replace(QWEN_EMBEDDING, causal=False), True),
    ],
)
def test_what_must_read_a_text_at_once(model: ModelFacts, whole: bool) -> None:
    assert reads_whole(model) is whole
    assert vector_batch(model, 4000) == (4096 if whole else 512)


def test_embeddings_of_a_model_that_answers_are_counted_and_nothing_else_changes() -> None:
    plain, asked = planned(QWEN_7B), planned(QWEN_7B, vectors=True)
    (before,), (worker,) = plain.workers, asked.workers
    assert (asked.voters, worker.slots, worker.ctx) == (plain.voters, before.slots, before.ctx)
    assert (worker.purpose, worker.batch, worker.ubatch) == ("chat", 512, 512)
    rows = 152064 + 3584
    assert parts(asked)["output"] == 4 * rows * 4
    assert parts(asked)["vectors"] == 508 * rows * 4
    assert parts(asked)["compute"] > 512 * 152064 * 4 > parts(plain)["compute"]


def test_voters_that_were_asked_for_by_hand_stay() -> None:
    assert planned(BERT, voters=2).voters == 2


def test_an_encoder_on_an_accelerator_lies_there_whole() -> None:
    made = plan(with_gpus(gpu(gib=8)), BERT, Wishes(), model_id="m")
    (worker,) = made.workers
    assert worker.devices == ("CUDA0",)
    assert worker.gpu_layers == BERT.layers + 1
    assert made.budget[1].planned_bytes <= made.budget[1].usable_bytes
