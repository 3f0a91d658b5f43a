"""A launch whose slots can be saved to files and restored in the next life (`engine.keep_slots`).

The flag opens slot actions of the engine. They need its key; the gateway refuses them to clients.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from local_swarm.domain.launch import LaunchSpec, SlotFiles
from local_swarm.domain.plan import WorkerPlan
from local_swarm.engines.dry_run_cache import program_identity

FLAG = "--slot-save-path"
SAVED_KINDS = ("kv", "recurrent")
CELL_BYTES = 32  # of a file besides the cache: each token and where it is, measured 16


def with_slot_files(spec: LaunchSpec, worker: WorkerPlan, directory: Path) -> LaunchSpec:
    """`spec` of `worker`, with files for its slots in `directory`, made anew if it has gone.

    The spec as it was where the engine cannot, or the directory cannot be: the native engine does
    not start without it. Blocks for a look at a few files.
    """
    if not spec.capabilities.slot_files:
        return spec
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return spec
    files = SlotFiles(str(directory), _identity(spec, worker))
    return replace(spec, argv=(*spec.argv, FLAG, files.directory), slot_files=files)


def slot_file_bytes(worker: WorkerPlan) -> int:
    """The most that the file of one slot takes, as planned: all cells that the slot may fill."""
    cells, sharing = (worker.pool, 1) if worker.pool else (worker.ctx, worker.slots)
    cache = sum(part.bytes for part in worker.parts if part.kind in SAVED_KINDS)
    return cache // sharing + cells * CELL_BYTES


def _identity(spec: LaunchSpec, worker: WorkerPlan) -> str:
    """Equal where the program, its flags but for the port, and what it loads are."""
    loaded = [path for path in (worker.model_path, worker.mmproj, worker.draft) if path]
    stamps = [program_identity(path) for path in (spec.argv[0], *loaded)]
    known = repr((spec.engine, _without(spec.argv, "--port"), stamps))
    return hashlib.sha256(known.encode()).hexdigest()


def _without(argv: Sequence[str], flag: str) -> tuple[str, ...]:
    """The words without a flag and its value."""
    pairs = zip(("", *argv), argv, strict=False)
    return tuple(word for before, word in pairs if flag not in (before, word))
