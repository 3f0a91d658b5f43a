"""The engine's own word on memory, before anything is loaded.

The engine that will run is started in a throw-away child with the flags of the plan and its own
dry run (`--fit on`), in which llama.cpp builds the model and the context without allocating
either: its graph is the server's own (one output per slot, split or unified), it reads the header
alone, and it takes a fraction of a second and next to no memory whatever the model. The child is
ended before it goes on to load.

Two other ways are worse. A real start allocates what the plan has not yet been found to allow, and
populates the page cache with the whole file (also with one that is a hole: 10 s for 4.7 GB here).
`llama-fit-params` knows no `-kvu` and reserves an output per token of the batch, up to hundreds of
MiB too much.

Source: llama.cpp common/fit.cpp `common_get_device_memory_data`, src/llama-context.cpp
`sched_reserve`, as of xllamacpp 2026.10.11549.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.engines.base import Engine
from local_swarm.engines.flags import dry_flags
from local_swarm.engines.printed import reckoned_sizes
from local_swarm.engines.throwaway import size_lines

TIMEOUT_S = 20.0
QUIET_S = 2.0  # how long people wait without being told what for
HOST = "127.0.0.1"
ANY_PORT = 0

log = logging.getLogger(__name__)


async def dry_run(
    worker: WorkerPlan,
    engine: Engine,
    *,
    api_key: str,
    extra_args: Sequence[str] = (),
    timeout_s: float = TIMEOUT_S,
) -> tuple[MemoryPart, ...] | None:
    """What the engine says `worker` would allocate: compute, output, recurrent state, and the cache
    where one device has all of it (weights it does not tell); to 0.01 MiB.

    That is for the model: a draft's and a projector's own memory are not in it. Devices are named
    as the child numbers them: see `printed.on_devices`. Empty when it would not say: it crashed,
    refused the model, or has no dry run. None when it could not, and another time it may: it took
    too long, was killed, or did not start. Logs what is waited for where that takes long. Leaves no
    process behind, also when cancelled. Raises what `engine.launch` raises.
    """
    bare = replace(worker, mmproj="")  # the engine would measure it first, in the same words
    spec = engine.launch(bare, host=HOST, port=ANY_PORT, api_key=api_key, extra_args=extra_args)
    argv = dry_flags(spec.argv)
    if argv is None:
        return ()
    told = asyncio.get_running_loop().call_later(QUIET_S, _tell, engine.name, worker, timeout_s)
    try:
        lines = await size_lines(replace(spec, argv=argv), timeout_s=timeout_s)
    finally:
        told.cancel()
    return None if lines is None else reckoned_sizes(lines)


def _tell(engine: str, worker: WorkerPlan, timeout_s: float) -> None:
    log.info(
        "waiting for %s to say how much memory %s takes (%g s at most)",
        engine,
        worker.model_id,
        timeout_s,
    )
