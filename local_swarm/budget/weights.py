"""What a model's tensors, and the logits it writes, take in host memory."""

from __future__ import annotations

from local_swarm.budget.kv import pad
from local_swarm.domain.model import ModelFacts

CPU_ALIGNMENT = 32  # ggml TENSOR_ALIGNMENT


def weights_bytes(model: ModelFacts) -> int:
    """A CPU load without repacking: every tensor, each padded to the alignment.

    Source: llama.cpp src/llama-model.cpp `load_tensors` as of the version in llama-cpp-python
    0.3.36. Embeddings tied to the output are stored once. Mapped from the file, so that processes
    share them.
    """
    return sum(pad(tensor.size_bytes, CPU_ALIGNMENT) for tensor in model.tensors)


def output_bytes(model: ModelFacts, slots: int) -> int:
    """The logits of one token per slot, f32 (llama.cpp src/llama-context.cpp `output_reserve`)."""
    return model.vocab_size * slots * 4
