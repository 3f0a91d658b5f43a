"""What swarms left behind that ended badly. It is told, not ended: the next start does that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec
import psutil

from local_swarm.storage import left_behind
from local_swarm.supervisor import runfile
from local_swarm.supervisor.identity import ProcessId, Standing
from local_swarm.supervisor.orphans import RUN_OWNER
from local_swarm.swarm.doctor.finding import Context, Finding, note, ok, warning
from local_swarm.swarm.slot_directory import directory_of

CURE = "The next `lswarm up` ends and removes them, where it keeps its files in the same place."


def check(context: Context) -> Iterator[Finding]:
    wrong = [*_processes(), *_run_files(context), *prompts(context), *_damaged(context)]
    yield from wrong or [ok("Nothing is left of swarms that ended.")]


def _processes() -> Iterator[Finding]:
    pids = list(orphans())
    if pids:
        told = ", ".join(map(str, pids))
        yield warning(f"Processes of a swarm that is gone still run: {told}.", CURE)


def orphans() -> Iterator[int]:
    """The processes whose supervisor is gone beyond doubt, as far as this user may see."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError, msgspec.DecodeError):
            owner = process.environ().get(RUN_OWNER)
            if owner and msgspec.json.decode(owner, type=ProcessId).standing() is Standing.GONE:
                yield process.pid


def _run_files(context: Context) -> Iterator[Finding]:
    for path in sorted(context.paths.run.glob("swarm-*.json")):
        run = runfile.read(path)
        if run is None:
            yield note(
                f"The run file {path} cannot be read.",
                "Remove it, unless a swarm of another version runs on that port.",
            )
        elif run.supervisor.standing() is Standing.GONE:
            yield note(f"A swarm ended and left its run file {path}.", CURE)


def prompts(context: Context) -> Iterator[Finding]:
    """Of killed swarms that kept their files where this one does."""
    for directory in left_behind(directory_of(context.paths)):
        if any(directory.iterdir()):
            yield warning(f"A swarm was killed and left prompts of its slots in {directory}.", CURE)


def _damaged(context: Context) -> Iterator[Finding]:
    names = sorted(path.name for path in context.paths.state.glob("*.damaged*"))
    if names:
        yield note(
            f"Damaged files were set aside in {context.paths.state}: {', '.join(names)}.",
            "Remove them when they are of no use for a report.",
        )
