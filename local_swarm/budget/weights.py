"""What a model's tensors take, and on which device the engine puts each.

Source: llama.cpp src/llama-model.cpp `load_tensors`, src/llama-model-loader.cpp `create_tensor` and
src/llama-arch.cpp (which tensors belong to input, layers and output), as of the version in
llama-cpp-python 0.3.36.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from local_swarm.budget.architectures import architecture
from local_swarm.budget.kv import pad
from local_swarm.domain.model import ModelFacts, Tensor

CPU_ALIGNMENT = 32  # ggml TENSOR_ALIGNMENT

HOST = -1
"""The place of input tensors, which never leave the host; others have the place of a layer."""

_BLOCK = re.compile(r"blk\.(\d+)\.")
_INPUT = re.compile(r"(token_embd|position_embd|token_types|per_layer_token_embd)\.")
_OUTPUT = re.compile(
    r"(output|cls|altup_proj|altup_unembd_proj|dense_[23]|dec\.output|enc\.output|hc_head|fc|d2t)"
    r"(_|\.)"
)
_ROPE = re.compile(r"rope_(freqs|factors_long|factors_short)\.")
_EXPERTS = re.compile(r"\.ffn_(up|down|gate|gate_up)_(ch|)exps")

# Of models without a cache, those that have an output all the same (src/models/*.cpp).
_WRITE_WITHOUT_CACHE = frozenset({"dream", "gemma-embedding", "llada", "rnd1"})

Size = Callable[[Tensor], int]


def weights_bytes(model: ModelFacts, *, mapped: bool = False) -> int:
    """A CPU load without repacking: every tensor, each padded to the alignment.

    Embeddings tied to the output are stored once; two architectures store them twice when the file
    is not `mapped`. Drafting blocks are not loaded. Mapped weights are pages of the file, so
    processes share them.
    """
    tied = tied_embedding(model)
    twice = tied if tied and not mapped and architecture(model.arch).output_first else None
    return sum(host_size(tensor) for tensor in loaded(model)) + (host_size(twice) if twice else 0)


def host_size(tensor: Tensor) -> int:
    return pad(tensor.size_bytes, CPU_ALIGNMENT)


def loaded(model: ModelFacts) -> Iterator[Tensor]:
    """The tensors the engine loads: all but those of drafting blocks."""
    rules = architecture(model.arch)
    trunk = model.layers - (0 if rules.drafts_loaded else model.nextn_layers)
    for tensor in model.tensors:
        block = _BLOCK.match(tensor.name)
        if block is None or int(block[1]) < trunk:
            yield tensor


def tied_embedding(model: ModelFacts) -> Tensor | None:
    """The token embedding where it is the output too, None where the output has its own."""
    if not architecture(model.arch).caches and model.arch not in _WRITE_WITHOUT_CACHE:
        return None
    found = {t.name: t for t in model.tensors if t.name in ("token_embd.weight", "output.weight")}
    return None if "output.weight" in found else found.get("token_embd.weight")


def layer_of(model: ModelFacts, tensor: Tensor) -> int:
    """The layer whose device a tensor goes to, `model.layers` for the output, or `HOST`."""
    block = _BLOCK.match(tensor.name)
    if block:
        return int(block[1])
    if _INPUT.match(tensor.name):
        return HOST
    if _OUTPUT.match(tensor.name):
        return model.layers
    if tensor.name.startswith("token_embd_norm.") and model.arch in ("lfm2", "lfm2moe"):
        return model.layers  # its output norm, misnamed
    return 0


def is_rope_factor(tensor: Tensor) -> bool:
    """Stored once on every device that has a layer."""
    return bool(_ROPE.match(tensor.name))


def is_expert_of(tensor: Tensor, layers: int) -> bool:
    """Whether `--n-cpu-moe layers` keeps the tensor on the host."""
    block = _BLOCK.match(tensor.name)
    return bool(block and int(block[1]) < layers and _EXPERTS.search(tensor.name))


def output_bytes(model: ModelFacts, slots: int) -> int:
    """The logits of one token per slot, f32 (llama.cpp src/llama-context.cpp `output_reserve`)."""
    return model.vocab_size * slots * 4
