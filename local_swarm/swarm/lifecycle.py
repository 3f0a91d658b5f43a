"""Runs a composed swarm: start, announce, serve, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local_swarm.config import Config, Loaded
from local_swarm.config.paths import Paths, chosen, ensured
from local_swarm.domain.worker import Cause, Death
from local_swarm.gateway.app import Gateway, listen, serving, url_of
from local_swarm.supervisor.fleet import Fleet
from local_swarm.supervisor.orphans import new_token
from local_swarm.supervisor.runfile import ProcessId, RunFile
from local_swarm.swarm import notify
from local_swarm.swarm.compose import Watches, fleet_of, gateway_settings
from local_swarm.swarm.crashes import CrashBook, CrashFile, crash_of
from local_swarm.swarm.crew import crew_of
from local_swarm.swarm.live import Live
from local_swarm.swarm.moving import Mover
from local_swarm.swarm.operations import Operations
from local_swarm.swarm.planning import Prepared
from local_swarm.swarm.signals import interruptible
from local_swarm.swarm.skills import SkillFile
from local_swarm.swarm.slot_directory import slot_directory
from local_swarm.swarm.starting import (
    check_sandbox,
    clean_up,
    reachable,
    refuse_second,
    run_file,
    started,
    warmed,
)
from local_swarm.swarm.watchdog import sound_of, watched
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

KILL_MARGIN_S = 0.5
"""Of the time to stop, what is left when all that still runs is killed."""
REFUSING_S = 0.25
"""For so long at least new requests are refused before the port is closed."""
CUT_S = 1.0
"""To tell clients that their answers will not end."""
LADDER_S = 1.5 + CUT_S
"""What a stop takes beside the draining and `term_grace_s`: last bytes to clients, and the end of
the helper that votes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a running swarm comes by other settings: `read` reads them again (blocks; raises
    ConfigError), `log_as` begins to log as they say."""

    read: Callable[[], Loaded]
    log_as: Callable[[Config], None] = lambda config: None


@dataclass(frozen=True, slots=True)
class Running:
    """A swarm that takes requests at `url`; `workers` and `slots` are those ready at first."""

    url: str
    model_id: str
    control_key: str
    workers: int
    slots: int
    logs: Path
    gateway: Gateway
    fleet: Fleet
    operations: Operations

    @property
    def ready_line(self) -> str:
        return (
            f"READY {self.url}/v1 model={self.model_id} workers={self.workers} slots={self.slots}"
        )

    @property
    def about(self) -> str:
        """What it serves now."""
        return f"serving {self.operations.model_id} at {self.url}"


@asynccontextmanager
async def running(
    prepared: Prepared,
    paths: Paths,
    *,
    logs: Path | None = None,
    settings: Settings | None = None,
    listens: Callable[[Path], None] = lambda logs: None,
) -> AsyncIterator[Running]:
    """A swarm that is ready, stopped when the context closes. From the main thread only.

    `logs` is where the workers' logs go, a folder for each port by default; `listens` is told of it
    once the port is had. Without `settings` a reload finds nothing new. Raises BusyError when the
    port is taken, WorkerStartError when no worker comes up, SandboxUnavailable where answers are to
    be run and this machine has no safe place for it.
    """
    config = prepared.config
    settings = settings or Settings(lambda: Loaded(config))
    if config.consensus.execute:
        await asyncio.to_thread(check_sandbox)
    refuse_second(paths, config.server.port)
    await asyncio.to_thread(clean_up, paths)
    token, control_key = new_token(paths.run), secrets.token_urlsafe(24)
    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(listen(config.server.host, config.server.port))
        url = url_of(listener)
        run = RunFile(
            supervisor=ProcessId.of(os.getpid()),
            url=reachable(url),
            token=token,
            control_key=control_key,
            model=prepared.plan.model_id,
        )
        port = listener.getsockname()[1]
        logs = ensured(logs or log_directory(config, paths, port))
        listens(logs)
        slots = stack.enter_context(slot_directory(paths, keep=config.engine.keep_slots))
        crew, watches = crew_of(prepared, slots), Watches.of(prepared)
        book = await stack.enter_async_context(CrashBook(CrashFile.of(paths)).keeping())

        def mourn(death: Death, followed: str) -> None:
            if death.kind is not Cause.ASKED:
                now = mover.prepared
                model, engine = now.plan.model_id, now.engine.name
                book.note(crash_of(death, model=model, engine=engine, action=followed))

        fleet = fleet_of(prepared, crew, watches, run_token=token, logs=logs, mourner=mourn)
        mover = Mover(prepared, crew, fleet, slots)
        operations = Operations(mover, settings.read)
        watches.hold_while(lambda: operations.is_busy)
        skills = SkillFile.of(paths)
        first = gateway_settings(prepared, control_key=control_key, skills=skills)
        # The run file outlives the workers: whatever ends us while they stop, they are found.
        with run_file(paths, port, run):
            async with fleet, operations, serving(first, fleet, listener, operations) as gateway:
                watches.memory.busy = gateway.busy
                fleet.start()
                async with notify.starting(fleet), warmed(prepared):
                    await started(fleet)
                live = Live(fleet, watches, gateway, control_key, skills, settings.log_as)
                operations.begin(live)
                ready = fleet.endpoints()
                yield Running(
                    url=url,
                    model_id=prepared.plan.model_id,
                    control_key=control_key,
                    workers=len(ready),
                    slots=sum(endpoint.slots for endpoint in ready),
                    logs=logs,
                    gateway=gateway,
                    fleet=fleet,
                    operations=operations,
                )
    if config.server.port == 0:
        shutil.rmtree(logs, ignore_errors=True)  # nobody will look for a port drawn by lot


def log_directory(config: Config, paths: Paths, port: int) -> Path:
    """Where the logs of the swarm on a port are."""
    return chosen(config.logs.dir, paths.state / "logs") / str(port)


async def serve(
    prepared: Prepared,
    paths: Paths,
    announce: Callable[[Running], None],
    *,
    settings: Settings | None = None,
    listens: Callable[[Path], None] = lambda logs: None,
) -> None:
    """Serves until a signal asks it to end, then lets running requests finish.

    A second signal, or one before it is ready, ends it at once: raises Interrupted. SIGHUP applies
    the settings as they are then, or when it is ready.
    """
    stop, hung_up = asyncio.Event(), asyncio.Event()
    swarm: Running | None = None

    def asked() -> bool:
        first = not stop.is_set() and swarm is not None
        stop.set()
        if swarm is not None and not first:
            swarm.fleet.hurry()
        return first

    def reload() -> None:
        hung_up.set()
        if swarm is not None:
            swarm.operations.reload_soon()

    with contextlib.ExitStack() as timers:
        async with (
            interruptible(asked, reload),
            running(prepared, paths, settings=settings, listens=listens) as ready,
        ):
            swarm = ready
            announce(swarm)
            notify.ready(ready.about)
            if hung_up.is_set():
                swarm.operations.reload_soon()
            async with (
                watched(sound_of(swarm.fleet, reachable(swarm.url))),
                notify.following(swarm.fleet, lambda: ready.about),
            ):
                await stop.wait()
            config = swarm.operations.config
            times = StopTimes.of(config)
            loop = asyncio.get_running_loop()
            timers.callback(loop.call_later(times.kill_s, swarm.fleet.hurry).cancel)
            await swarm.operations.stop()
            # After the end of a reload: READY=1 would take it back, and systemd think it runs on.
            notify.stopping(config.swarm.stop_timeout_s)
            began = loop.time()
            if not await swarm.gateway.activity.drain(times.drain_s):
                log.warning("requests cut off", still_running=swarm.gateway.activity.in_flight)
                await swarm.gateway.activity.cut(CUT_S)
            # What was on its way when the stop began is refused, not dropped.
            refusing_s = min(REFUSING_S, times.drain_s)
            await asyncio.sleep(max(0.0, began + refusing_s - loop.time()))


@dataclass(frozen=True, slots=True)
class StopTimes:
    """How the time to stop is shared: requests may run for `drain_s`, and after `kill_s` in all
    what has not ended is killed."""

    drain_s: float
    kill_s: float

    @classmethod
    def of(cls, config: Config) -> StopTimes:
        whole = config.swarm.stop_timeout_s
        ladder = config.supervisor.term_grace_s + LADDER_S
        return cls(max(whole - ladder, whole / 2), max(whole - KILL_MARGIN_S, whole / 2))
