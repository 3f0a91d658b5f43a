"""What an engine is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from local_swarm.domain.launch import Capabilities, LaunchSpec
from local_swarm.domain.plan import WorkerPlan


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

    def available(self) -> Availability:
        """Never raises. May run the engine's program for its version (seconds at the worst)."""
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
