"""What one worker takes, as parts of a plan."""

from __future__ import annotations

from dataclasses import dataclass

from local_swarm.budget.compute import compute_size
from local_swarm.budget.kv import cells, kv_bytes
from local_swarm.budget.weights import output_bytes, weights_bytes
from local_swarm.domain.memory import MIB
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, MemoryPart


@dataclass(frozen=True, slots=True)
class Load:
    """How one worker runs; `ctx` is tokens per slot, so the engine gets `-c ctx * slots`."""

    slots: int
    ctx: int
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    kv_unified: bool = False
    batch: int = 2048
    ubatch: int = 512
    cache_ram_mib: int = 256


def worker_parts(
    model: ModelFacts, load: Load, *, with_weights: bool = True
) -> tuple[MemoryPart, ...]:
    """Everything one worker allocates on the CPU, by kind.

    Workers of one model on one machine map the same file, so its pages exist once (442 MB of
    weights: 461 / 502 / 580 MB for 1 / 2 / 4 children). A plan therefore gives `with_weights` to
    its first worker only: the parts of all workers then add up to what the machine really uses.
    """
    ctx_total = load.ctx * load.slots
    held = cells(ctx_total, load.slots, unified=load.kv_unified)
    compute = compute_size(
        model,
        held,
        ctx_total=ctx_total,
        slots=load.slots,
        ubatch=min(load.batch, load.ubatch),
        cache_type=load.cache_type_k if load.cache_type_k == load.cache_type_v else "mixed",
    )
    sizes = {
        "weights": weights_bytes(model) if with_weights else 0,
        "kv": kv_bytes(model, held, load.cache_type_k, load.cache_type_v),
        "output": output_bytes(model, load.slots),
        "compute": compute.bytes,
        "prompt_cache": load.cache_ram_mib * MIB,
    }
    return tuple(MemoryPart(CPU_DEVICE, kind, size) for kind, size in sizes.items() if size)
