"""From a header to facts: defaults, arrays, and headers that make no sense."""

import pytest

from local_swarm.errors import ModelError
from local_swarm.models import read_facts
from tests.engines.small_models import encoder
from tests.models.gguf_files import ARRAY, I32, Typed, small_llama


@pytest.fixture
def facts(tmp_path):
    def facts(**changes):
        path = tmp_path / "model.gguf"
        path.write_bytes(small_llama(**changes).encode())
        return read_facts(path)

    return facts


def test_the_facts_of_a_llama(facts, tmp_path):
    found = facts()
    assert found.path == str(tmp_path / "model.gguf")
    assert found.size_bytes == (tmp_path / "model.gguf").stat().st_size
    assert (found.arch, found.name) == ("llama", "Small Llama")
    assert (found.layers, found.context_train, found.embedding_length) == (2, 8192, 64)
    assert (found.heads, found.heads_kv) == (2, (1, 1))
    assert (found.key_length, found.value_length) == (32, 32)
    assert found.vocab_size == 40
    assert found.has_chat_template
    assert found.experts_used == 0
    assert len(found.tensors) == 4


def test_heads_of_the_cache_default_to_heads(facts):
    assert facts(llama__attention__head_count_kv=None).heads_kv == (2, 2)


def test_heads_may_differ_by_layer(facts):
    per_layer = Typed(ARRAY, [2, 0], I32)
    found = facts(llama__attention__head_count_kv=per_layer)
    assert found.heads_kv == (2, 0)
    found = facts(llama__attention__head_count=Typed(ARRAY, [1, 4], I32))
    assert (found.heads, found.key_length) == (4, 64)


def test_head_lengths_may_be_given(facts):
    found = facts(llama__attention__key_length=128, llama__attention__value_length=96)
    assert (found.key_length, found.value_length) == (128, 96)


def test_a_model_without_attention_has_no_heads(facts):
    found = facts(llama__attention__head_count=None, llama__attention__head_count_kv=None)
    assert (found.heads, found.heads_kv, found.key_length) == (0, (0, 0), 0)


def test_the_vocabulary_is_counted_where_it_is(facts):
    assert facts(llama__vocab_size=99).vocab_size == 40
    assert facts(tokenizer__ggml__tokens=None, llama__vocab_size=99).vocab_size == 99
    assert facts(tokenizer__ggml__tokens=None).vocab_size == 40  # from the embedding's shape


def test_the_longest_token_is_known_in_bytes(facts):
    words = ["a", "\u2581\u2581", "b" * 5]
    assert facts(tokenizer__ggml__tokens=words).longest_token == 6
    assert facts(tokenizer__ggml__tokens=None).longest_token == 0


def test_a_model_without_a_template_or_name_says_so(facts):
    found = facts(tokenizer__chat_template=None, general__name=None)
    assert not found.has_chat_template
    assert found.name is None


def test_experts_are_counted(facts):
    assert facts(llama__expert_used_count=8).experts_used == 8


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"general__architecture": None}, "does not name its architecture"),
        ({"general__architecture": 7}, "does not name its architecture"),
        ({"general__architecture": "clip"}, "projector, not a language model"),
        ({"general__architecture": "odd"}, "no odd.block_count"),
        ({"llama__block_count": None}, "no llama.block_count"),
        ({"llama__context_length": None}, "no llama.context_length"),
        ({"llama__embedding_length": "wide"}, "llama.embedding_length is wide"),
        ({"llama__context_length": 0}, "llama.context_length is 0"),
        ({"llama__block_count": 513}, "llama.block_count is 513"),
        ({"llama__block_count": 4_000_000_000}, "llama.block_count is 4000000000"),
        ({"llama__block_count": True}, "llama.block_count is True"),
        ({"llama__attention__head_count": 0.5}, "llama.attention.head_count is 0.5"),
        ({"llama__attention__head_count_kv": [1]}, "1 entries for 2 layers"),
        (
            {"llama__attention__head_count_kv": Typed(ARRAY, [1, -1], I32)},
            "llama.attention.head_count_kv is -1",
        ),
        ({"llama__attention__head_count_kv": [1] * 5000}, "Skipped"),
        ({"split__count": 3}, "is part 1 of 3 of a model, which its name does not say"),
    ],
)
def test_headers_that_make_no_sense_are_refused_by_key(facts, changes, said):
    with pytest.raises(ModelError, match=said):
        facts(**changes)


@pytest.mark.parametrize(
    ("kind", "purpose", "pooling"),
    [
        (None, "chat", ""),
        (0, "chat", ""),
        (1, "embedding", "mean"),
        (2, "embedding", "cls"),
        (3, "embedding", "last"),
        (4, "rerank", "rank"),
        (9, "chat", ""),
    ],
)
def test_a_file_that_says_how_to_pool_was_made_for_vectors(facts, kind, purpose, pooling):
    found = facts(llama__pooling_type=kind)
    assert (found.purpose, found.pooling, found.causal) == (purpose, pooling, True)


def test_an_encoder_makes_vectors_whatever_it_says(tmp_path):
    file = encoder()
    del file.keys["bert.pooling_type"]
    path = tmp_path / "model.gguf"
    path.write_bytes(file.encode())
    found = read_facts(path)
    assert (found.purpose, found.pooling, found.causal) == ("embedding", "", False)
