"""What engines said in dry runs, kept on disk: the same engine, model and plan say the same again.

One small JSON file per question, named by its key. A cache that cannot be read or written is one
that knows nothing: it never fails anybody.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.engines.base import Engine
from local_swarm.engines.dry_run import ANY_PORT, HOST, TIMEOUT_S, dry_run
from local_swarm.engines.printed import on_devices
from local_swarm.storage import Damaged, Newer, decode, encode, make_directory, replace_file, sweep

FORMAT = 3  # changes when what is kept, or how it is read from the engine, changes
HEAD_BYTES = 1 << 20
MAX_ENTRIES = 200
REFUSAL_KEPT_S = 3600.0
WRITTEN_WITHIN_S = 3600.0  # what is older and still being written belongs to a killed program

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    asked_at: float  # seconds since 1970
    parts: tuple[MemoryPart, ...]

    def __post_init__(self) -> None:
        if any(part.bytes < 0 for part in self.parts):
            raise ValueError("no part takes less than nothing")


@dataclass(frozen=True, slots=True)
class DryRunCache:
    """Keeps at most `most` answers in `directory`, the latest; a refusal for an hour only."""

    directory: Path
    most: int = MAX_ENTRIES
    now: Callable[[], float] = time.time

    def get(self, key: str) -> tuple[MemoryPart, ...] | None:
        """None where the answer is not known, empty where the engine would not give one.

        Blocks for the reading of one small file. One that is damaged is removed, with a warning.
        """
        file = self._file(key)
        try:
            kept = decode(file.read_bytes(), _Kept, FORMAT)
        except FileNotFoundError:
            return None
        except Damaged as error:
            log.warning("a dry run kept in %s cannot be used: %s; it is asked anew", file, error)
            self._remove(file)
            return None
        except (OSError, Newer) as error:
            log.debug("a dry run kept in %s cannot be used: %s", file, error)
            return None
        refused_long_ago = not kept.parts and not (0 <= self.now() - kept.asked_at < REFUSAL_KEPT_S)
        return None if refused_long_ago else kept.parts

    def put(self, key: str, parts: Sequence[MemoryPart]) -> None:
        """Blocks for the writing of one small file."""
        try:
            make_directory(self.directory)
            sweep(self.directory, older_than_s=WRITTEN_WITHIN_S)
            replace_file(self._file(key), encode(_Kept(self.now(), tuple(parts)), FORMAT))
            self._prune()
        except OSError as error:
            log.debug("a dry run could not be kept in %s: %s", self.directory, error)

    def _prune(self) -> None:
        """Drops the oldest."""
        files = [(entry.stat().st_mtime_ns, entry) for entry in self.directory.glob("*.json")]
        for _, entry in sorted(files)[: -self.most]:
            entry.unlink(missing_ok=True)

    def _remove(self, file: Path) -> None:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            log.debug("%s cannot be removed: %s", file, error)

    def _file(self, key: str) -> Path:
        return self.directory / f"{key}.json"


async def cached_dry_run(
    worker: WorkerPlan,
    engine: Engine,
    cache: DryRunCache,
    *,
    version: str | None,
    api_key: str,
    files: Sequence[str] = (),
    extra_args: Sequence[str] = (),
    timeout_s: float = TIMEOUT_S,
) -> tuple[MemoryPart, ...]:
    """`dry_run`, asked once for each engine, model and shape; devices are named as in `worker`.

    Empty where the engine did not say. `version` is the engine's, `files` all parts of the model
    where it has several. With an engine that does not tell its version nothing is kept, nor where
    the engine could not be heard. Raises what `engine.launch` raises.
    """
    spec = engine.launch(worker, host=HOST, port=ANY_PORT, api_key=api_key, extra_args=extra_args)
    model, program = model_identity(files or (worker.model_path,)), program_identity(spec.argv[0])
    known = key = None
    if version and model and program:
        key = cache_key(f"{engine.name} {version} {program}", model, worker, extra_args)
        known = cache.get(key)
    if known is None:
        known = await dry_run(
            worker, engine, api_key=api_key, extra_args=extra_args, timeout_s=timeout_s
        )
        if key and known is not None:
            cache.put(key, known)
    return on_devices(known or (), worker.devices)


def cache_key(
    engine_build: str, model: str, worker: WorkerPlan, extra_args: Sequence[str] = ()
) -> str:
    """A name for the question; the same for workers whose memory is alike."""
    shape = replace(worker.shape, model_path="")  # where the model lies does not matter
    asked = repr((FORMAT, engine_build, model, shape, tuple(extra_args)))
    return hashlib.sha256(asked.encode()).hexdigest()


def model_identity(files: Sequence[str]) -> str | None:
    """What changes when the model does: sizes, times and first bytes. None where one is missing.

    Reads a MiB of each file: a millisecond.
    """
    digest = hashlib.sha256()
    try:
        for name in files:
            with open(name, "rb") as file:
                found = os.fstat(file.fileno())
                digest.update(f"{found.st_size} {found.st_mtime_ns}\n".encode())
                digest.update(file.read(HEAD_BYTES))
    except OSError as error:
        log.debug("the model has no identity: %s", error)
        return None
    return digest.hexdigest()


def program_identity(path: str) -> str | None:
    """What changes when the program is replaced; None where it is missing."""
    try:
        found = os.stat(path)
    except OSError as error:
        log.debug("the engine has no identity: %s", error)
        return None
    return f"{path} {found.st_size} {found.st_mtime_ns}"
