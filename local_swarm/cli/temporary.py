"""A swarm for the length of one command."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from local_swarm.config import Config
from local_swarm.config.paths import user_paths
from local_swarm.swarm.control import Client
from local_swarm.swarm.lifecycle import running
from local_swarm.swarm.planning import prepare
from local_swarm.swarm.signals import interruptible

T = TypeVar("T")


def with_swarm(config: Config, model: str | None, work: Callable[[Client], T]) -> T:
    """Starts a swarm, runs `work` on it in a thread, stops it. Main thread only."""
    prepared = prepare(config, model=model)

    async def run(logs: Path) -> T:
        async with interruptible(), running(prepared, user_paths(), logs=logs) as swarm:
            return await asyncio.to_thread(work, Client(swarm.url, swarm.control_key))

    with tempfile.TemporaryDirectory(prefix="lswarm-") as logs:
        return asyncio.run(run(Path(logs)))
