"""What one context or one worker takes, counted and added up.

`estimate` is for one start of the engine (`ctx` its total), `worker_parts` for one worker of a plan
(`ctx` per slot).
"""

from __future__ import annotations

from dataclasses import dataclass

from local_swarm.budget.architectures import architecture, llama_cpp_version
from local_swarm.budget.compute import Compute, compute_size
from local_swarm.budget.context import ContextSize, Setting, context_size
from local_swarm.budget.weights import output_bytes, weights_bytes
from local_swarm.domain.memory import MIB
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, MemoryPart


@dataclass(frozen=True, slots=True)
class Estimate:
    """A CPU load without repacking, by kind; `notes` say where it is less than exact, and why."""

    setting: Setting
    context: ContextSize
    weights_bytes: int
    output_bytes: int
    compute: Compute
    notes: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        return self.context.bytes + self.weights_bytes + self.output_bytes + self.compute.bytes


def estimate(
    model: ModelFacts,
    setting: Setting,
    *,
    build: str | None = None,
    dry_run_bytes: int | None = None,
) -> Estimate:
    """What the engine reserves for `setting`; `dry_run_bytes` is its own word on compute.

    `build` names the engine where it is one that `compute_size` knows.
    """
    compute = compute_size(model, setting, build=build, dry_run_bytes=dry_run_bytes)
    return Estimate(
        setting=setting,
        context=context_size(model, setting),
        weights_bytes=weights_bytes(model),
        output_bytes=output_bytes(model, setting.slots),
        compute=compute,
        notes=notes(model, compute),
    )


def notes(model: ModelFacts, compute: Compute) -> tuple[str, ...]:
    """Which figures are bounds, as sentences."""
    said = []
    if not architecture(model.arch).known:
        said.append(
            f"The architecture {model.arch!r} is unknown to {llama_cpp_version()}: every layer is"
            " charged the whole context, and recurrent state is not counted."
        )
    if not compute.exact:
        said.append("The size of the compute buffer is an upper bound, not exact.")
    return tuple(said)


@dataclass(frozen=True, slots=True)
class Load:
    """How one worker runs; `ctx` is tokens per slot, so the engine gets `-c ctx * slots`.

    `build` names the engine where it is one that `compute_size` knows.
    """

    slots: int
    ctx: int
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    kv_unified: bool = False
    batch: int = 2048
    ubatch: int = 512
    cache_ram_mib: int = 256
    build: str | None = None

    @property
    def setting(self) -> Setting:
        return Setting(
            ctx=self.ctx * self.slots,
            slots=self.slots,
            kv_unified=self.kv_unified,
            cache_type_k=self.cache_type_k,
            cache_type_v=self.cache_type_v,
            batch=self.batch,
            ubatch=self.ubatch,
        )


def worker_parts(
    model: ModelFacts,
    load: Load,
    *,
    with_weights: bool = True,
    dry_run_bytes: int | None = None,
) -> tuple[MemoryPart, ...]:
    """Everything one worker allocates on the CPU, by kind.

    Workers of one model on one machine map the same file, so its pages exist once (442 MB of
    weights: 461 / 502 / 580 MB for 1 / 2 / 4 children). A plan therefore gives `with_weights` to
    its first worker only: the parts of all workers then add up to what the machine really uses.
    """
    context = context_size(model, load.setting)
    compute = compute_size(model, load.setting, build=load.build, dry_run_bytes=dry_run_bytes)
    sizes = {
        "weights": weights_bytes(model, mapped=True) if with_weights else 0,
        "kv": context.kv_full_bytes + context.kv_swa_bytes,
        "recurrent": context.recurrent_bytes,
        "output": output_bytes(model, load.slots),
        "compute": compute.bytes,
        "prompt_cache": load.cache_ram_mib * MIB,
    }
    return tuple(MemoryPart(CPU_DEVICE, kind, size) for kind, size in sizes.items() if size)
