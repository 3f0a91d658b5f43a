"""What the user asked of a plan."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from local_swarm.domain.launch import Capabilities
from local_swarm.domain.model import ModelFacts
from local_swarm.errors import UsageError

MAX_VOTERS = 32
MAX_SLOTS = 256  # LLAMA_MAX_SEQ, llama.cpp src/llama-cparams.h

Auto = Literal["auto"]
Count = int | Auto


@dataclass(frozen=True, slots=True)
class Wishes:
    """A number is kept or refused, never changed; "auto" leaves the choice to the plan.

    `slots`, `threads` and `gpu_layers` are per worker, `ctx` is tokens per slot. `devices` are the
    accelerators that may be used, in this order ("cpu" alone: none of them), empty for all;
    `tensor_split` are the parts of one worker over them. `reserve_bytes` of RAM stay free on top of
    `ram_fraction`. With `vectors` a model that answers makes embeddings too. `can` is what the
    engine that will run can do. `UsageError` when a value is out of range.
    """

    voters: Count = "auto"
    layout: Literal["auto", "processes"] = "auto"
    workers: Count = "auto"
    slots: Count = "auto"
    ctx: Count = "auto"
    threads: Count = "auto"
    devices: tuple[str, ...] = ()
    gpu_layers: Count = "auto"
    tensor_split: tuple[float, ...] = ()
    ram_fraction: float | Auto = "auto"
    gpu_memory_fraction: float = 0.9
    reserve_bytes: int = 0
    cache_ram_mib: Count = "auto"
    ctx_checkpoints: int = 2
    vectors: bool = False
    can: Capabilities = field(default_factory=Capabilities)

    @property
    def in_processes(self) -> bool:
        """Whether every slot is a worker of its own."""
        return self.layout == "processes" or not self.can.parallel

    def of(self, model: ModelFacts) -> Wishes:
        """The same for this model: one that does not answer is asked by one slot at a time."""
        if model.purpose == "chat" or self.voters != "auto":
            return self
        return replace(self, voters=1)

    def __post_init__(self) -> None:
        _within("voters", self.voters, 1, MAX_VOTERS)
        _within("workers", self.workers, 1, None)
        _within("slots", self.slots, 1, MAX_SLOTS)
        _within("ctx", self.ctx, 1, None)
        _within("threads", self.threads, 1, None)
        _within("gpu_layers", self.gpu_layers, 0, None)
        _within("reserve_bytes", self.reserve_bytes, 0, None)
        _within("cache_ram_mib", self.cache_ram_mib, 0, None)
        _within("ctx_checkpoints", self.ctx_checkpoints, 0, None)
        _share("ram_fraction", self.ram_fraction)
        _share("gpu_memory_fraction", self.gpu_memory_fraction)
        if self.layout not in ("auto", "processes"):
            raise UsageError(
                f"There is no layout {self.layout!r}.", hint='Use "auto" or "processes".'
            )
        if not self.can.parallel and self.slots not in ("auto", 1):
            raise UsageError(
                f"slots is {self.slots}, and this engine's workers have one each.",
                hint="Ask for more voters or workers, or for another engine.",
            )
        self._check_split()

    def _check_split(self) -> None:
        if not self.tensor_split:
            return
        if self.workers not in ("auto", 1) or self.layout != "auto":
            raise UsageError(
                "A tensor split spreads one worker over devices, and several are asked for.",
                hint="Leave out either tensor_split, or workers and layout.",
            )
        if not all(0 <= part < float("inf") for part in self.tensor_split) or not any(
            self.tensor_split
        ):
            raise UsageError(
                f"The tensor split {list(self.tensor_split)} makes no sense.",
                hint="Give one number of 0 or more for each device.",
            )


def _within(name: str, value: int | str, least: int, most: int | None) -> None:
    if isinstance(value, str):
        if value != "auto":
            raise UsageError(f"{name} is {value!r}.", hint='Give a number or "auto".')
    elif value < least or (most is not None and value > most):
        bounds = f"{least} to {most}" if most is not None else f"{least} or more"
        raise UsageError(f"{name} is {value}.", hint=f"Give {bounds}.")


def _share(name: str, value: float | str) -> None:
    if isinstance(value, str):
        if value != "auto":
            raise UsageError(f"{name} is {value!r}.", hint='Give a number or "auto".')
    elif not 0 < value <= 1:
        raise UsageError(f"{name} is {value}.", hint="Give 0 < F <= 1.")
