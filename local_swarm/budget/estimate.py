"""What one start of the engine on the CPU takes, counted and added up."""

from __future__ import annotations

from dataclasses import dataclass

from local_swarm.budget.architectures import architecture, llama_cpp_version
from local_swarm.budget.compute import Compute, compute_size
from local_swarm.budget.context import ContextSize, Setting, context_size
from local_swarm.budget.weights import output_bytes, weights_bytes
from local_swarm.domain.model import ModelFacts


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
