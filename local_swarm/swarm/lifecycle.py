"""Runs a composed swarm: start, announce, serve, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from local_swarm.config.paths import Paths, chosen, ensured
from local_swarm.domain.worker import WorkerState
from local_swarm.errors import BusyError, WorkerStartError
from local_swarm.gateway.app import Gateway, listen, serving
from local_swarm.supervisor import runfile
from local_swarm.supervisor.fleet import Fleet, Keeper
from local_swarm.supervisor.runfile import ProcessId, RunFile
from local_swarm.swarm.compose import (
    gateway_settings,
    jobs,
    log_settings,
    restart_policy,
)
from local_swarm.swarm.notify import notify
from local_swarm.swarm.planning import Prepared
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

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
    the port is taken, WorkerStartError when no worker comes up.
    """
    config = prepared.config
    token, control_key = secrets.token_hex(16), secrets.token_urlsafe(24)
    _refuse_second(paths, config.server.port)
    listener = listen(config.server.host, config.server.port)
    port = listener.getsockname()[1]
    logs = logs or chosen(config.logs.dir, paths.state / "logs") / str(port)
    fleet = Fleet(
        jobs(prepared),
        restart_policy(config),
        run_token=token,
        logs=log_settings(config, ensured(logs)),
    )
    settings = gateway_settings(prepared, control_key=control_key)
    with listener:
        async with fleet, serving(settings, fleet, listener) as gateway:
            with _run_file(paths, gateway, fleet, prepared.plan.model_id, control_key):
                fleet.start()
                await _started(fleet)
                ready = fleet.endpoints()
                yield Running(
                    url=gateway.url,
                    model_id=prepared.plan.model_id,
                    control_key=control_key,
                    workers=len(ready),
                    slots=sum(endpoint.slots for endpoint in ready),
                    gateway=gateway,
                    fleet=fleet,
                )


async def serve(prepared: Prepared, paths: Paths, announce: Callable[[Running], None]) -> None:
    """Serves until SIGTERM or Ctrl-C, then lets running requests finish; a second one kills."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None

    def asked() -> None:
        if stop.is_set() or not up:
            main.cancel()
        stop.set()

    up = False
    with _signals(loop, asked):
        async with running(prepared, paths) as swarm:
            up = True
            announce(swarm)
            notify(f"READY=1\nSTATUS=serving {swarm.model_id} at {swarm.url}")
            await stop.wait()
            notify("STOPPING=1")
            timeout = prepared.config.swarm.stop_timeout_s
            if not await swarm.gateway.activity.drain(timeout):
                log.warning("requests cut off", still_running=swarm.gateway.activity.in_flight)


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, handler: Callable[[], None]):  # type: ignore[no-untyped-def]
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _started(fleet: Fleet) -> None:
    """Waits until every worker is ready or has failed often; at least one must be ready.

    Raises WorkerStartError with the last words of the one that failed.
    """
    while True:
        change = asyncio.ensure_future(fleet.wait_change())
        try:
            keepers = list(fleet.keepers.values())
            hopeless = [k for k in keepers if _is_hopeless(k)]
            ready = fleet.endpoints()
            if ready and len(ready) + len(hopeless) == len(keepers):
                return
            if len(hopeless) == len(keepers):
                raise _start_error(hopeless[0])
            await change
        finally:
            change.cancel()


def _is_hopeless(keeper: Keeper) -> bool:
    state, charged = keeper.worker.state, len(keeper.worker.charged)
    return state is not WorkerState.READY and (
        state is WorkerState.FAILED or charged >= FIRST_TRIES
    )


def _start_error(keeper: Keeper) -> WorkerStartError:
    tail = "\n".join(f"  {line}" for line in keeper.log.tail())
    return WorkerStartError(
        f"Worker {keeper.job.id} could not start. The last lines of its log:\n{tail}\n",
        hint=f"The whole log is in {keeper.log.path}.",
    )


def run_file_path(paths: Paths, port: int) -> Path:
    return paths.run / f"swarm-{port}.json"


def _refuse_second(paths: Paths, port: int) -> None:
    run = runfile.read(run_file_path(paths, port))
    if run is not None and run.supervisor.process() is not None:
        raise BusyError(
            f"A swarm is running already at {run.url} (pid {run.supervisor.pid}).",
            hint=f"Stop it with `lswarm down --port {port}`, or choose another port with --port.",
        )
    if run is not None and (ended := runfile.reap(run)):
        log.warning("ended workers that an earlier swarm left behind", pids=ended)


@contextlib.contextmanager
def _run_file(paths: Paths, gateway: Gateway, fleet: Fleet, model_id: str, control_key: str):  # type: ignore[no-untyped-def]
    """Keeps the run file true to the running children, and removes it at the end."""
    port = int(gateway.url.rsplit(":", 1)[1])
    path = ensured(paths.run) / f"swarm-{port}.json"
    own = ProcessId.of(psutil.Process().pid)
    written: frozenset[int] | None = None

    def update() -> None:
        nonlocal written
        pids = frozenset(k.child.pid for k in fleet.keepers.values() if k.child is not None)
        if pids == written:
            return
        children = []
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                children.append(ProcessId.of(pid))
        run = RunFile(
            supervisor=own,
            url=reachable(gateway.url),
            token=fleet.run_token,
            control_key=control_key,
            model=model_id,
            children=tuple(children),
        )
        try:
            runfile.write(path, run)
            written = pids
        except OSError as exc:
            log.warning("cannot write the run file", path=str(path), error=str(exc))

    update()
    unsubscribe = fleet.subscribe(update)
    try:
        yield
    finally:
        unsubscribe()
        runfile.remove(path, fleet.run_token)


def reachable(url: str) -> str:
    """The address from this machine's point of view: a wildcard is reached through loopback."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
