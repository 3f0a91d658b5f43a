"""Models with real dimensions, and machines to plan for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from local_swarm.domain.hardware import Cpu, HostSnapshot, Memory
from local_swarm.domain.memory import GIB
from local_swarm.domain.model import ModelFacts, Tensor
from local_swarm.domain.plan import CPU_DEVICE, WorkerPlan

F16 = 1
MEASURED_BUILD = "llama-cpp-python 0.3.36"


def dense(
    arch: str = "llama",
    *,
    layers: int = 32,
    embedding: int = 4096,
    heads: int = 32,
    heads_kv: int = 8,
    feed_forward: int = 14336,
    vocab: int = 128256,
    head_length: int | None = None,
    context_train: int = 131072,
    weights: int = 4_912_898_304,
    experts_used: int = 0,
) -> ModelFacts:
    """A gated dense model; the defaults are Llama 3.1 8B in Q4_K_M."""
    length = head_length or embedding // heads
    gate = "ffn_gate_exps" if experts_used else "ffn_gate"
    shape = (embedding, feed_forward, 8) if experts_used else (embedding, feed_forward)
    tensors = (
        Tensor("token_embd.weight", (embedding, vocab), F16, weights),
        *(Tensor(f"blk.{n}.{gate}.weight", shape, F16, 0) for n in range(layers)),
    )
    return ModelFacts(
        path="/models/sample.gguf",
        arch=arch,
        name="Sample",
        size_bytes=weights,
        layers=layers,
        context_train=context_train,
        embedding_length=embedding,
        vocab_size=vocab,
        heads=heads,
        heads_kv=(heads_kv,) * layers,
        key_length=length,
        value_length=length,
        has_chat_template=True,
        tensors=tensors,
        experts_used=experts_used,
    )


def spread(model: ModelFacts) -> ModelFacts:
    """The model with its weights where they are: a tenth in embeddings, the rest in its layers."""
    tables, layered = model.tensors[0], model.tensors[1:]
    ends = tables.size_bytes // 20
    each = (tables.size_bytes - 2 * ends) // len(layered)
    output = Tensor("output.weight", tables.shape, F16, ends)
    layers = (replace(tensor, size_bytes=each) for tensor in layered)
    return replace(model, tensors=(replace(tables, size_bytes=ends), output, *layers))


LLAMA_8B = dense()
QWEN_7B = dense(
    "qwen2",
    layers=28,
    embedding=3584,
    heads=28,
    heads_kv=4,
    feed_forward=18944,
    vocab=152064,
    context_train=32768,
    weights=4_677_120_000,
)
SMALL = dense(
    layers=4,
    embedding=128,
    heads=4,
    heads_kv=2,
    feed_forward=384,
    vocab=1024,
    context_train=32768,
    weights=1_189_376,
)


def machine(
    ram_bytes: int = 64 * GIB,
    *,
    available: int | None = None,
    limit: int | None = None,
    physical: int | None = 8,
    logical: int = 16,
) -> HostSnapshot:
    memory = Memory(ram_bytes, ram_bytes if available is None else available, limit)
    return HostSnapshot("linux", "x86_64", Cpu("CPU", physical, logical), memory)


def cpu_worker(model: ModelFacts, *, slots: int = 1, ctx: int = 4096, **more: Any) -> WorkerPlan:
    """A worker without accelerators; `ctx` is tokens per slot."""
    return WorkerPlan(
        id="w0",
        model_path=model.path,
        model_id="sample",
        devices=(CPU_DEVICE,),
        gpu_layers=0,
        tensor_split=(),
        slots=slots,
        lanes=min(slots - 1, 1),
        ctx=ctx,
        threads=4,
        **more,
    )
