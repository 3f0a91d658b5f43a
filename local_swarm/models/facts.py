"""A GGUF header as `ModelFacts`: the file's own words, with the engine's defaults.

Source of keys and defaults: llama.cpp src/llama-model.cpp `load_hparams` and src/llama-arch.cpp as
of the version in llama-cpp-python 0.3.36 (`head_count_kv` defaults to `head_count`; `key_length`
and `value_length` to embedding length / heads of the first layer). What the keys mean for an
architecture is `budget`'s business.
"""

from __future__ import annotations

from pathlib import Path

from local_swarm.domain.model import Indexer, ModelFacts, Purpose, Recurrence, Window
from local_swarm.errors import ModelError
from local_swarm.models.gguf import Header, Skipped
from local_swarm.models.keys import Keys
from local_swarm.models.parts import read_model
from local_swarm.models.projector import ARCH as PROJECTOR_ARCH

MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
POOLING = ("", "mean", "cls", "last", "rank")  # llama.h `llama_pooling_type`, by number
# They make vectors and cannot write (llama.cpp src/llama-model.cpp `create_memory`: no cache).
ENCODERS = frozenset({
    "bert", "eurobert", "gemma-embedding", "jina-bert-v2", "jina-bert-v3", "modern-bert",
    "neo-bert", "nomic-bert", "nomic-bert-moe",
})  # fmt: skip


def read_facts(path: Path) -> ModelFacts:
    """Reads the header of `path`, and of all parts where it is one part of a model.

    Blocks for tens of milliseconds. `ModelError` when a file is missing, damaged or no language
    model.
    """
    return facts_of(read_model(path))


def facts_of(header: Header) -> ModelFacts:
    """Interprets one header; `ModelError` names the key that is missing or makes no sense."""
    keys = Keys(header)
    if keys.arch == PROJECTOR_ARCH:
        raise ModelError(
            f"{header.path} is a multimodal projector, not a language model.",
            hint="Name the model that it belongs to, and set `models.mmproj` to this file.",
        )
    layers = keys.count("block_count", most=MAX_LAYERS)
    embedding = keys.count("embedding_length")
    heads = keys.per_layer("attention.head_count", layers, default=0)
    head_length = embedding // heads[0] if heads[0] else 0
    name = header.metadata.get("general.name")
    return ModelFacts(
        path=header.path,
        arch=keys.arch,
        name=name if isinstance(name, str) else None,
        size_bytes=header.size_bytes,
        layers=layers,
        context_train=keys.count("context_length"),
        embedding_length=embedding,
        vocab_size=_vocab_size(header, keys),
        longest_token=_longest_token(header),
        heads=max(heads),
        heads_kv=keys.per_layer("attention.head_count_kv", layers, default=heads),
        key_length=keys.count("attention.key_length", head_length) if heads[0] else 0,
        value_length=keys.count("attention.value_length", head_length) if heads[0] else 0,
        has_chat_template="tokenizer.chat_template" in header.metadata,
        tensors=header.tensors,
        experts_used=max(keys.per_layer("expert_used_count", layers, default=0)),
        heads_by_layer=heads,
        feed_forward=keys.per_layer("feed_forward_length", layers, default=0, most=1 << 24),
        nextn_layers=min(keys.count("nextn_predict_layers", 0), layers),
        loops=keys.count("num_loops", 1, most=MAX_LAYERS // layers),
        lead_dense=keys.count("leading_dense_block_count", 0),
        shared_kv_layers=keys.count("attention.shared_kv_layers", 0),
        latent=_is_latent(keys),
        window=_window(keys, layers),
        recurrence=_recurrence(keys, layers),
        indexer=_indexer(keys, layers),
        parts=header.parts,
        big_endian=header.big_endian,
        purpose=_purpose(keys),
        pooling=_pooling(keys),
        causal=header.metadata.get(f"{keys.arch}.attention.causal") is not False,
    )


def _pooling(keys: Keys) -> str:
    kind = keys.maybe("pooling_type") or 0
    return POOLING[kind] if kind < len(POOLING) else ""


def _purpose(keys: Keys) -> Purpose:
    """A file that says how to make one vector of a text was made for that."""
    pooling = _pooling(keys)
    if pooling == "rank":
        return "rerank"
    return "embedding" if pooling or keys.arch in ENCODERS else "chat"


def _is_latent(keys: Keys) -> bool:
    return all(keys.maybe(f"attention.{kind}_length_mla") for kind in ("key", "value"))


def _window(keys: Keys, layers: int) -> Window:
    """Lenient: most architectures never look at these keys, so nonsense there is no fault."""
    declared = keys.flags("attention.sliding_window_pattern", layers)
    return Window(
        size=keys.maybe("attention.sliding_window"),
        pattern=declared or keys.maybe("attention.sliding_window_pattern"),
        key_length=keys.maybe("attention.key_length_swa") or 0,
        value_length=keys.maybe("attention.value_length_swa") or 0,
    )


def _recurrence(keys: Keys, layers: int) -> Recurrence:
    return Recurrence(
        conv_kernel=keys.count("ssm.conv_kernel", 0),
        inner=keys.count("ssm.inner_size", 0),
        state=keys.count("ssm.state_size", 0),
        groups=keys.count("ssm.group_count", 0),
        wkv_head=keys.count("wkv.head_size", 0),
        token_shifts=keys.count("token_shift_count", 2),
        shortconv=keys.count("shortconv.l_cache", 0),
        kda_head=keys.count("kda.head_dim", 0),
        layers=keys.flags("attention.recurrent_layers", layers),
        interval=keys.maybe("full_attention_interval"),
    )


def _indexer(keys: Keys, layers: int) -> Indexer:
    return Indexer(
        key_length=keys.count("attention.indexer.key_length", 0),
        top_k=keys.count("attention.indexer.top_k", 0),
        pooled=bool(keys.maybe("attention.indexer.kpool")),
        full=keys.flags("attention.indexer.types", layers),
    )


def _longest_token(header: Header) -> int:
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    return tokens.longest if isinstance(tokens, Skipped) else 0


def _vocab_size(header: Header, keys: Keys) -> int:
    """Tokens in the vocabulary; what the file says elsewhere, where it carries none."""
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Skipped):
        return tokens.count
    embedded = next((t.shape for t in header.tensors if t.name == "token_embd.weight"), ())
    return keys.count("vocab_size", embedded[1] if len(embedded) > 1 else None)
