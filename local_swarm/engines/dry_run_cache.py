"""What engines said in dry runs, kept on disk: the same engine, model and plan say the same again.

One small JSON file per question, named by its key. A cache that cannot be read or written is one
that knows nothing: it never fails anybody.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.engines.base import Engine
from local_swarm.engines.dry_run import ANY_PORT, HOST, TIMEOUT_S, dry_run
from local_swarm.engines.printed import on_devices

FORMAT = 2  # changes when what is kept, or how it is read from the engine, changes
HEAD_BYTES = 1 << 20
MAX_ENTRIES = 200
REFUSAL_KEPT_S = 3600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DryRunCache:
    """Keeps at most `most` answers in `directory`, the latest; a refusal for an hour only."""

    directory: Path
    most: int = MAX_ENTRIES
    now: Callable[[], float] = time.time

    def get(self, key: str) -> tuple[MemoryPart, ...] | None:
        """None where the answer is not known, empty where the engine would not give one.

        Blocks for the reading of one small file.
        """
        try:
            kept = json.loads(self._file(key).read_bytes())
            parts, asked_at = _parts(kept["parts"]), float(kept["asked_at"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            log.debug("the dry run kept as %s cannot be used: %s", key, error)
            return None
        refused_long_ago = not parts and not (0 <= self.now() - asked_at < REFUSAL_KEPT_S)
        return None if refused_long_ago else parts

    def put(self, key: str, parts: Sequence[MemoryPart]) -> None:
        """Blocks for the writing of one small file."""
        kept = {"asked_at": self.now(), "parts": [astuple(part) for part in parts]}
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            _write(self._file(key), json.dumps(kept).encode())
            self._prune()
        except OSError as error:
            log.debug("a dry run could not be kept in %s: %s", self.directory, error)

    def _prune(self) -> None:
        """Drops the oldest."""
        files = [(entry.stat().st_mtime_ns, entry) for entry in self.directory.glob("*.json")]
        for _, entry in sorted(files)[: -self.most]:
            entry.unlink(missing_ok=True)

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


def _parts(kept: object) -> tuple[MemoryPart, ...]:
    """Raises TypeError or ValueError for what no `put` has written."""
    if not isinstance(kept, list):
        raise TypeError("the parts are no list")
    return tuple(_part(*item) for item in kept)


def _part(device: object, kind: object, size: object) -> MemoryPart:
    if not (isinstance(device, str) and isinstance(kind, str) and type(size) is int and size >= 0):
        raise ValueError(f"no part of memory: {device!r}, {kind!r}, {size!r}")
    return MemoryPart(device, kind, size)


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing, whoever else writes or reads."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
