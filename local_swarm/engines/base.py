"""What an engine is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from local_swarm.domain.launch import Capabilities, LaunchSpec
from local_swarm.domain.plan import WorkerPlan

LIST_TIMEOUT_S = 5.0
# What a list of devices is asked with: CUDA's numbers by PCI address, as everywhere else here.
LIST_ENVIRONMENT = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether an engine can be used here. `reason` says why not, `install` what to do about it."""

    found: bool
    version: str | None = None
    reason: str = ""
    install: str = ""


class Engine(Protocol):
    """One way to run a worker."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def finds_devices(self) -> bool:
        """Whether its list may name devices that no probe of ours knows; else it is only worth
        asking about devices that were found."""
        ...

    def available(self) -> Availability:
        """Never raises. May run the engine's program for its version (seconds at the worst)."""
        ...

    def devices(self) -> str | None:
        """The accelerators that this build can drive, as `llama-server --list-devices` prints
        them; None when it does not tell.

        Never raises. Blocks LIST_TIMEOUT_S at the most, and once for every build: what is free on
        a device is as of the first call in this process.
        """
        ...

    def launch(
        self,
        worker: WorkerPlan,
        *,
        host: str,
        port: int,
        api_key: str,
        extra_args: Sequence[str] = (),
    ) -> LaunchSpec:
        """How to start `worker` listening on `host:port`. Pure: starts nothing.

        The key travels in the environment. Raises UsageError for an extra argument that the plan
        or safety own, or that the engine does not know; EngineError when the engine cannot do
        what the plan asks.
        """
        ...
