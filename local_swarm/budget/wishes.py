"""What the user asked of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from local_swarm.errors import UsageError

MAX_VOTERS = 32
MAX_SLOTS = 256  # LLAMA_MAX_SEQ, llama.cpp src/llama-cparams.h

Auto = Literal["auto"]
Count = int | Auto


@dataclass(frozen=True, slots=True)
class Wishes:
    """A number is kept or refused, never changed; "auto" leaves the choice to the plan.

    `slots` and `threads` are per worker, `ctx` is tokens per slot. `reserve_bytes` stay free on
    top of `ram_fraction`. `UsageError` when a value is out of range.
    """

    voters: Count = "auto"
    layout: Literal["auto", "processes"] = "auto"
    workers: Count = "auto"
    slots: Count = "auto"
    ctx: Count = "auto"
    threads: Count = "auto"
    ram_fraction: float = 0.5
    reserve_bytes: int = 0
    cache_ram_mib: int = 256
    ctx_checkpoints: int = 2

    def __post_init__(self) -> None:
        _within("voters", self.voters, 1, MAX_VOTERS)
        _within("workers", self.workers, 1, None)
        _within("slots", self.slots, 1, MAX_SLOTS)
        _within("ctx", self.ctx, 1, None)
        _within("threads", self.threads, 1, None)
        _within("reserve_bytes", self.reserve_bytes, 0, None)
        _within("cache_ram_mib", self.cache_ram_mib, 0, None)
        _within("ctx_checkpoints", self.ctx_checkpoints, 0, None)
        if not 0 < self.ram_fraction <= 1:
            raise UsageError(f"ram_fraction is {self.ram_fraction}.", hint="Give 0 < F <= 1.")
        if self.layout not in ("auto", "processes"):
            raise UsageError(
                f"There is no layout {self.layout!r}.", hint='Use "auto" or "processes".'
            )


def _within(name: str, value: int | str, least: int, most: int | None) -> None:
    if isinstance(value, str):
        if value != "auto":
            raise UsageError(f"{name} is {value!r}.", hint='Give a number or "auto".')
    elif value < least or (most is not None and value > most):
        bounds = f"{least} to {most}" if most is not None else f"{least} or more"
        raise UsageError(f"{name} is {value}.", hint=f"Give {bounds}.")
