"""Asks the engine what it would reserve for a worker, and remembers what it said."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from local_swarm.config.paths import user_paths
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.engines import Engine
from local_swarm.engines.dry_run_cache import DryRunCache, cached_dry_run

FOLDER = "dry-runs"


@dataclass(frozen=True, slots=True)
class Asker:
    """Not from a running event loop: each call has one of its own."""

    engine: Engine
    engine_args: tuple[str, ...]

    def __call__(self, worker: WorkerPlan, model: ModelFacts) -> tuple[MemoryPart, ...]:
        """What the engine would reserve, by kind; its devices named by their place among the
        worker's. Empty where it does not say.

        Blocks while the engine reads the model's header, or a file where it was asked before.
        """
        said = asyncio.run(
            cached_dry_run(
                worker,
                self.engine,
                DryRunCache(user_paths().cache / FOLDER),
                version=self.engine.available().version,
                api_key=secrets.token_urlsafe(24),
                files=model.parts,
                extra_args=self.engine_args,
            )
        )
        return by_place(said, worker.devices)


def by_place(parts: Sequence[MemoryPart], devices: Sequence[str]) -> tuple[MemoryPart, ...]:
    """Devices by their place among a worker's: `CUDA3` of a worker on it alone is `0`."""
    places = {device: str(at) for at, device in enumerate(devices) if device != "cpu"}
    return tuple(replace(part, device=places.get(part.device, part.device)) for part in parts)
