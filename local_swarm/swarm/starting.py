"""What comes before a swarm is ready, and who else may be there."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from local_swarm import sandbox
from local_swarm.config.paths import Paths, ensured
from local_swarm.errors import BusyError, SandboxUnavailable
from local_swarm.supervisor import runfile
from local_swarm.supervisor.fleet import Fleet, start_error
from local_swarm.supervisor.pagecache import is_worth_it, warm
from local_swarm.supervisor.runfile import RunFile
from local_swarm.swarm.crew import model_files
from local_swarm.swarm.planning import Prepared
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)


def check_sandbox() -> None:
    """Raises SandboxUnavailable where answers are to be run and cannot be run safely. Blocks."""
    if (why := sandbox.unavailable()) is not None:
        raise SandboxUnavailable(
            f"consensus.execute is true, and answers cannot be run safely here: {why}",
            hint="Leave the setting out; votes then compare what the answers say.",
        )


async def started(fleet: Fleet) -> None:
    """Waits until every worker is ready or has failed often; at least one must be ready.

    Raises WorkerStartError with the last words of the one that failed.
    """
    while True:
        change = fleet.next_change()
        keepers = list(fleet.keepers.values())
        hopeless = [k for k in keepers if k.cannot_start]
        ready = fleet.endpoints()
        if ready and len(ready) + len(hopeless) == len(keepers):
            return
        if len(hopeless) == len(keepers):
            raise start_error(hopeless[0])
        await change.wait()


@asynccontextmanager
async def warmed(prepared: Prepared) -> AsyncIterator[None]:
    """Reads the model's files once ahead of several workers that load them, meanwhile."""
    files = [path for path, *_ in model_files(prepared)]
    available = prepared.host.memory.available_bytes or 0
    if not is_worth_it(files, workers=len(prepared.plan.workers), available_bytes=available):
        yield
        return
    stop = threading.Event()
    reading = asyncio.create_task(asyncio.to_thread(warm, files, stop), name="warm-page-cache")
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait({reading})


def run_file_path(paths: Paths, port: int) -> Path:
    return paths.run / f"swarm-{port}.json"


def refuse_second(paths: Paths, port: int) -> None:
    """Raises BusyError when a swarm of this user runs on the port. Changes nothing."""
    run = runfile.read(run_file_path(paths, port))
    if run is not None and run.supervisor.process() is not None:
        raise BusyError(
            f"A swarm is running already at {run.url} (pid {run.supervisor.pid}).",
            hint=f"Stop it with `lswarm down --port {port}`, or choose another port with --port.",
        )


def clean_up(paths: Paths) -> None:
    """Ends what swarms left behind that ended badly."""
    if ended := runfile.clean_up(paths.run):
        log.warning("ended what an earlier swarm left behind", pids=ended)


@contextlib.contextmanager
def run_file(paths: Paths, port: int, run: RunFile) -> Iterator[None]:
    path = run_file_path(paths, port)
    try:
        ensured(paths.run)
        runfile.write(path, run)
    except OSError as exc:
        # Without it `status` and `down` find nothing, but it can serve.
        log.warning("cannot write the run file", path=str(path), error=str(exc))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            runfile.remove(path, run.token)


def reachable(url: str) -> str:
    """The address from this machine's point of view: a wildcard is reached through loopback."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
