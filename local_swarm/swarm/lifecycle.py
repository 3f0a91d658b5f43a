"""Runs a composed swarm: start, announce, serve, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local_swarm import sandbox
from local_swarm.config.paths import Paths, chosen, ensured
from local_swarm.domain.worker import WorkerState
from local_swarm.errors import BusyError, Interrupted, SandboxUnavailable
from local_swarm.gateway.app import Gateway, listen, serving, url_of
from local_swarm.supervisor import runfile
from local_swarm.supervisor.fleet import Fleet, start_error
from local_swarm.supervisor.keeper import Keeper
from local_swarm.supervisor.runfile import ProcessId, RunFile
from local_swarm.swarm.compose import (
    gateway_settings,
    jobs,
    log_settings,
    restart_policy,
)
from local_swarm.swarm.notify import notify
from local_swarm.swarm.planning import Prepared
from local_swarm.swarm.skills import SkillFile
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_TRIES = 3  # deaths before a worker was ever ready, until the start is given up


@dataclass(frozen=True, slots=True)
class Running:
    """A swarm that takes requests at `url`; `workers` and `slots` are the ready ones."""

    url: str
    model_id: str
    control_key: str
    workers: int
    slots: int
    gateway: Gateway
    fleet: Fleet

    @property
    def ready_line(self) -> str:
        return (
            f"READY {self.url}/v1 model={self.model_id} workers={self.workers} slots={self.slots}"
        )


@asynccontextmanager
async def running(
    prepared: Prepared, paths: Paths, *, logs: Path | None = None
) -> AsyncIterator[Running]:
    """A swarm that is ready, stopped when the context closes. From the main thread only.

    `logs` is where the workers' logs go, a folder for each port by default. Raises BusyError when
    the port is taken, WorkerStartError when no worker comes up, SandboxUnavailable where answers
    are to be run and this machine has no safe place for it.
    """
    config = prepared.config
    if config.consensus.execute:
        await asyncio.to_thread(_check_sandbox)
    _refuse_second(paths, config.server.port)
    token, control_key = secrets.token_hex(16), secrets.token_urlsafe(24)
    with listen(config.server.host, config.server.port) as listener:
        url = url_of(listener)
        run = RunFile(
            supervisor=ProcessId.of(os.getpid()),
            url=reachable(url),
            token=token,
            control_key=control_key,
            model=prepared.plan.model_id,
        )
        port = listener.getsockname()[1]
        logs = logs or chosen(config.logs.dir, paths.state / "logs") / str(port)
        fleet = Fleet(
            jobs(prepared),
            restart_policy(config),
            run_token=token,
            logs=log_settings(config, ensured(logs)),
        )
        skills = SkillFile.of(paths)
        settings = gateway_settings(prepared, control_key=control_key, skills=skills)
        # The run file outlives the workers: whatever ends us while they stop, they are found.
        with _run_file(paths, port, run):
            async with fleet, serving(settings, fleet, listener) as gateway:
                fleet.start()
                await _started(fleet)
                ready = fleet.endpoints()
                yield Running(
                    url=url,
                    model_id=prepared.plan.model_id,
                    control_key=control_key,
                    workers=len(ready),
                    slots=sum(endpoint.slots for endpoint in ready),
                    gateway=gateway,
                    fleet=fleet,
                )
    if config.server.port == 0:
        shutil.rmtree(logs, ignore_errors=True)  # nobody will look for a port drawn by lot


def _check_sandbox() -> None:
    if (why := sandbox.unavailable()) is not None:
        raise SandboxUnavailable(
            f"consensus.execute is true, and answers cannot be run safely here: {why}",
            hint="Leave the setting out; votes then compare what the answers say.",
        )


async def serve(prepared: Prepared, paths: Paths, announce: Callable[[Running], None]) -> None:
    """Serves until a signal asks it to end, then lets running requests finish.

    A second signal, or one before it is ready, ends it at once: raises Interrupted.
    """
    stop = asyncio.Event()
    swarm: Running | None = None

    def asked() -> bool:
        first = not stop.is_set() and swarm is not None
        stop.set()
        if swarm is not None and not first:
            swarm.fleet.hurry()
        return first

    async with interruptible(asked), running(prepared, paths) as ready:
        swarm = ready
        announce(swarm)
        notify(f"READY=1\nSTATUS=serving {swarm.model_id} at {swarm.url}")
        await stop.wait()
        notify("STOPPING=1")
        timeout = prepared.config.swarm.stop_timeout_s
        if not await swarm.gateway.activity.drain(timeout):
            log.warning("requests cut off", still_running=swarm.gateway.activity.in_flight)


@asynccontextmanager
async def interruptible(asked: Callable[[], bool] = lambda: False) -> AsyncIterator[None]:
    """SIGINT, SIGTERM and SIGHUP cancel what runs inside, which cleans up; raises Interrupted.

    `asked` is called first; when it returns True it has taken care of the signal itself.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    interrupted = False

    def handle() -> None:
        nonlocal interrupted
        if not asked():
            interrupted = True
            task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, handle)
    try:
        yield
    except asyncio.CancelledError:
        if not interrupted:
            raise
        raise Interrupted("Interrupted.") from None
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


async def _started(fleet: Fleet) -> None:
    """Waits until every worker is ready or has failed often; at least one must be ready.

    Raises WorkerStartError with the last words of the one that failed.
    """
    while True:
        change = fleet.next_change()
        keepers = list(fleet.keepers.values())
        hopeless = [k for k in keepers if _is_hopeless(k)]
        ready = fleet.endpoints()
        if ready and len(ready) + len(hopeless) == len(keepers):
            return
        if len(hopeless) == len(keepers):
            raise start_error(hopeless[0])
        await change.wait()


def _is_hopeless(keeper: Keeper) -> bool:
    state, charged = keeper.worker.state, len(keeper.worker.charged)
    return state is not WorkerState.READY and (
        state is WorkerState.FAILED or charged >= FIRST_TRIES
    )


def run_file_path(paths: Paths, port: int) -> Path:
    return paths.run / f"swarm-{port}.json"


def _refuse_second(paths: Paths, port: int) -> None:
    """Cleans up after swarms that ended badly. Raises BusyError when one runs on the port."""
    if ended := runfile.clean_up(paths.run):
        log.warning("ended what an earlier swarm left behind", pids=ended)
    run = runfile.read(run_file_path(paths, port))
    if run is not None:
        raise BusyError(
            f"A swarm is running already at {run.url} (pid {run.supervisor.pid}).",
            hint=f"Stop it with `lswarm down --port {port}`, or choose another port with --port.",
        )


@contextlib.contextmanager
def _run_file(paths: Paths, port: int, run: RunFile) -> Iterator[None]:
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
