"""Where a run keeps the prompts of its workers' slots over their restarts (`engine.keep_slots`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local_swarm.config.paths import Paths
from local_swarm.storage import remove_left_behind, run_directory
from local_swarm.telemetry.logs import get_logger

FOLDER = "slots"

log = get_logger(__name__)


def directory_of(paths: Paths) -> Path:
    """What the directories of all runs are in."""
    return paths.cache / FOLDER


@contextmanager
def slot_directory(paths: Paths, *, keep: bool) -> Iterator[Path | None]:
    """A directory of this run, removed with all that is in it when the context closes; None where
    slots are not kept, or it cannot be made. What killed runs left is removed in any case.
    """
    parent = directory_of(paths)
    remove_left_behind(parent)
    with ExitStack() as stack:
        directory = None
        if keep:
            try:
                directory = stack.enter_context(run_directory(parent))
            except (OSError, NotImplementedError) as error:
                log.warning("slots are not kept", directory=str(parent), error=str(error))
        yield directory
