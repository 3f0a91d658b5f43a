"""A GGUF header as `ModelFacts`, with the defaults of llama-like architectures.

Source of keys and defaults: llama.cpp src/llama-model.cpp `load_hparams` as of the version in
llama-cpp-python 0.3.36 (`head_count_kv` defaults to `head_count`; `key_length` and `value_length`
to embedding length / heads of the first layer). Architectures with rules of their own are a later
version's: their facts are read here too, and `budget` says where its figures are only a bound.
"""

from __future__ import annotations

from pathlib import Path

from local_swarm.domain.model import ModelFacts
from local_swarm.errors import ModelError
from local_swarm.models.gguf import Header, Skipped, read_header

MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
MAX_HEADS = 1 << 16
MAX_LENGTH = 1 << 31


def read_facts(path: Path) -> ModelFacts:
    """Reads the header of `path`; `ModelError` when it is missing, damaged or no language model."""
    return facts_of(read_header(path))


def facts_of(header: Header) -> ModelFacts:
    """Interprets one header; `ModelError` names the key that is missing or makes no sense."""
    keys = _Keys(header)
    arch = keys.arch
    _refuse_parts(keys)
    layers = keys.count("block_count", most=MAX_LAYERS)
    embedding = keys.count("embedding_length")
    heads = keys.per_layer("attention.head_count", layers, default=0)
    head_length = embedding // heads[0] if heads[0] else 0
    name = header.metadata.get("general.name")
    return ModelFacts(
        path=header.path,
        arch=arch,
        name=name if isinstance(name, str) else None,
        size_bytes=header.size_bytes,
        layers=layers,
        context_train=keys.count("context_length"),
        embedding_length=embedding,
        vocab_size=_vocab_size(header, keys),
        heads=max(heads),
        heads_kv=keys.per_layer("attention.head_count_kv", layers, default=heads),
        key_length=keys.count("attention.key_length", head_length),
        value_length=keys.count("attention.value_length", head_length),
        has_chat_template="tokenizer.chat_template" in header.metadata,
        tensors=header.tensors,
        experts_used=keys.count("expert_used_count", 0),
    )


def _refuse_parts(keys: _Keys) -> None:
    parts = keys.header.metadata.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        raise ModelError(
            f"{keys.header.path} is one of {parts} parts of a model.",
            hint="Merge them first: llama-gguf-split --merge FIRST-PART OUTPUT.",
        )


def _vocab_size(header: Header, keys: _Keys) -> int:
    """Tokens in the vocabulary; what the file says elsewhere, where it carries none."""
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Skipped):
        return tokens.count
    embedded = next((t.shape for t in header.tensors if t.name == "token_embd.weight"), ())
    return keys.count("vocab_size", embedded[1] if len(embedded) > 1 else None)


class _Keys:
    """The keys of one architecture, checked as they are read."""

    def __init__(self, header: Header) -> None:
        arch = header.metadata.get("general.architecture")
        if not isinstance(arch, str) or not arch:
            raise _refusal(header, "it does not name its architecture (general.architecture)")
        self.header = header
        self.arch = arch

    def count(self, key: str, default: int | None = None, *, most: int = MAX_LENGTH) -> int:
        """A whole number, 1 to `most`; `default` where the key is absent, else it is required."""
        full = f"{self.arch}.{key}"
        value = self.header.metadata.get(full, default)
        if value is None:
            raise _refusal(self.header, f"it has no {full}, so it is not a language model we know")
        if full not in self.header.metadata and type(value) is int:
            return value
        return self._whole(full, value, least=0 if default == 0 else 1, most=most)

    def per_layer(self, key: str, layers: int, default: int | tuple[int, ...]) -> tuple[int, ...]:
        """One number for each layer, from an array or one number for all."""
        full = f"{self.arch}.{key}"
        value = self.header.metadata.get(full, default)
        if not isinstance(value, tuple):
            return (self._whole(full, value, least=0, most=MAX_HEADS),) * layers
        if len(value) < layers:
            raise _refusal(self.header, f"{full} has {len(value)} entries for {layers} layers")
        return tuple(self._whole(full, v, least=0, most=MAX_HEADS) for v in value[:layers])

    def _whole(self, full: str, value: object, *, least: int, most: int) -> int:
        if type(value) is not int or not least <= value <= most:
            raise _refusal(self.header, f"{full} is {str(value)[:80]}")
        return value


def _refusal(header: Header, what: str) -> ModelError:
    return ModelError(f"{header.path} cannot be used: {what}.", hint="Choose another .gguf model.")
