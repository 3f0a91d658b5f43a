"""All workers of one swarm: the owner loop of each, and what others may ask about them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import aiohttp
import psutil

from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.plan import Observed
from local_swarm.domain.worker import Death, DeviceMemory, WorkerState, WorkerStatus
from local_swarm.supervisor import state as life
from local_swarm.supervisor.logs import WorkerLog
from local_swarm.supervisor.process import ChildProcess, spawn
from local_swarm.supervisor.readiness import wait_ready
from local_swarm.supervisor.restart import RestartPolicy
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

Listener = Callable[[], None]


class Launcher(Protocol):
    """Says how to start a worker; called once per life, because each life gets a fresh port."""

    def __call__(self) -> LaunchSpec: ...


class Observer(Protocol):
    """Reads from the first lines of a life what the engine allocated; None when they do not
    tell."""

    def __call__(self, lines: Sequence[str], /) -> Observed | None: ...


class StartWatch(Protocol):
    """Measures the devices of a worker around one start. `before` is called before the process is
    made, `ready` once it takes traffic (unless it ended first), both in a thread, for they may
    block; `ended` in any case. None of them raises."""

    def before(self) -> None: ...

    def ready(self) -> tuple[DeviceMemory, ...]: ...

    def ended(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """One worker to keep alive: its name, its slots, and how to launch it.

    `pool` and `token_bytes` are for its `Endpoint`. `watch` gives a watch for each life; None where
    there is nothing to measure.
    """

    id: str
    slots: int
    lanes: int
    ctx: int
    api_key: str
    planned_bytes: int
    launch: Launcher
    pool: int = 0
    token_bytes: int = 0
    observe: Observer = lambda lines: None
    watch: Callable[[], StartWatch] | None = None


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where and how much of the workers' output is kept; `directory` None keeps only the tail."""

    directory: Path | None = None
    lines: int = 50
    max_bytes: int = 10 * 1024 * 1024
    backups: int = 3


class Keeper:
    """Owns one worker: takes events in order, steps the pure state machine, does its commands."""

    def __init__(self, job: Job, fleet: Fleet) -> None:
        self.job = job
        self.worker = life.Worker(job.id)
        self.spec: LaunchSpec | None = None
        self.child: ChildProcess | None = None
        self.deaths: list[Death] = []
        self.observed: Observed | None = None
        self.device_memory: tuple[DeviceMemory, ...] = ()
        settings = fleet.logs
        path = settings.directory / f"{job.id}.log" if settings.directory else None
        self.log = WorkerLog(
            job.id,
            path,
            lines=settings.lines,
            max_bytes=settings.max_bytes,
            backups=settings.backups,
        )
        self._fleet = fleet
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, event: life.Event) -> None:
        """One event, from the event loop's thread. Raises life.IllegalTransition."""
        before = self.worker
        self.worker, commands = life.step(before, event, self._fleet.policy, time.monotonic())
        if self.worker.state is not before.state:
            line = self.worker.story[-1].split(" ", 1)[1]
            log.info("worker", worker=self.job.id, change=line)
            self.log.note(line)
        for command in commands:
            self._do(command)
        if self.worker.state is WorkerState.STOPPED:
            self._disarm()
        if self.worker != before:
            self._fleet.changed()

    def _do(self, command: life.Command) -> None:
        match command:
            case life.Spawn(generation):
                self._spawn_task(self._live(generation), f"life-{self.job.id}-{generation}")
            case life.Terminate():
                if self.child is not None:
                    self.child.terminate()
            case life.Kill():
                if self.child is not None:
                    self.child.kill()
            case life.Arm(generation, delay_s):
                self._disarm()
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(delay_s, self.handle, life.TimerFired(generation))

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _spawn_task(self, coroutine: object, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self, generation: int) -> None:
        """One life, from spawn to exit. Always ends in exactly one Exited event."""
        exit_code: int | None = 127
        signal: int | None = None
        watch = self.job.watch() if self.job.watch else None
        try:
            self.log.begin()
            if watch:
                await asyncio.to_thread(watch.before)
            self.spec = self.job.launch()
            self.child = await spawn(self.spec, self.log, run_token=self._fleet.run_token)
            self._fleet.changed()
            if self.worker.state is WorkerState.STOPPING:
                self.child.terminate()  # asked to stop while it was being spawned
            exit_code, signal = await self._until_exit(generation, self.spec, self.child, watch)
        except Exception as exc:
            self.log.note(f"could not be run: {exc}")
        finally:
            if watch:
                watch.ended()
        self.child = None
        death = Death(self.job.id, generation, exit_code, signal, self.log.tail())
        self.deaths = [*self.deaths, death][-8:]
        self.handle(life.Exited(generation, death.cause, random.random()))

    async def _until_exit(
        self, generation: int, spec: LaunchSpec, child: ChildProcess, watch: StartWatch | None
    ) -> tuple[int | None, int | None]:
        ready = asyncio.create_task(self._watch_ready(generation, spec, watch))
        try:
            return await child.wait()
        finally:
            ready.cancel()

    async def _watch_ready(
        self, generation: int, spec: LaunchSpec, watch: StartWatch | None
    ) -> None:
        await wait_ready(self._fleet.session, spec)
        if watch:
            self.device_memory = await asyncio.to_thread(watch.ready)
        self.observed = self.job.observe(self.log.start())
        for drift in self.observed.drift if self.observed else ():
            log.warning("allocated other than planned", worker=self.job.id, **asdict(drift))
        self.handle(life.Readied(generation))

    async def finish(self) -> None:
        """Waits until the worker's tasks are over."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        self._disarm()
        self.log.close()


class Fleet:
    """Use as an async context manager, from the main thread; leaving it stops every worker."""

    def __init__(
        self,
        jobs: Sequence[Job],
        policy: RestartPolicy,
        *,
        run_token: str,
        logs: LogSettings | None = None,
    ) -> None:
        self.policy = policy
        self.run_token = run_token
        self.logs = logs or LogSettings()
        self.keepers = {job.id: Keeper(job, self) for job in jobs}
        self.session: aiohttp.ClientSession
        self._listeners: list[Listener] = []
        self._change = asyncio.Event()
        self._hurry = False

    async def __aenter__(self) -> Fleet:
        # Connections to children are never pooled: a broken one must speak of this life only.
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        self.session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self.stop()
        finally:
            await self.session.close()

    def start(self) -> None:
        for keeper in self.keepers.values():
            keeper.handle(life.Start())

    async def stop(self) -> None:
        """The stop ladder for all workers at once: SIGTERM, `term_grace_s`, SIGKILL.

        Returns when every process is gone. The caller has drained the gateway before.
        """
        for keeper in self.keepers.values():
            keeper.handle(life.Stop())
        if self._hurry:
            self._kill()
        waiting = [asyncio.ensure_future(keeper.finish()) for keeper in self.keepers.values()]
        try:
            await asyncio.gather(*waiting)
        except asyncio.CancelledError:
            self._kill()
            await asyncio.gather(*waiting, return_exceptions=True)
            raise

    def hurry(self) -> None:
        """From now on, `stop` kills at once (a second Ctrl-C)."""
        self._hurry = True

    def _kill(self) -> None:
        for keeper in self.keepers.values():
            if keeper.child is not None:
                keeper.child.kill()

    # What others ask ----------------------------------------------------------------------

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Calls `listener` after every change of any worker; returns how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def changed(self) -> None:
        for listener in tuple(self._listeners):
            listener()
        change, self._change = self._change, asyncio.Event()
        change.set()

    def next_change(self) -> asyncio.Event:
        """Set at the next change of any worker. Take it first, then look, then wait: so no
        change is missed."""
        return self._change

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The workers that may take traffic now."""
        return tuple(
            _endpoint(keeper)
            for keeper in self.keepers.values()
            if keeper.worker.state is WorkerState.READY
        )

    def expected(self) -> tuple[Endpoint, ...]:
        """The workers that take traffic now or will again without anybody's help soon."""
        gone = (WorkerState.FAILED, WorkerState.STOPPING, WorkerState.STOPPED, WorkerState.DRAINING)
        return tuple(
            _endpoint(keeper) for keeper in self.keepers.values() if keeper.worker.state not in gone
        )

    def states(self) -> dict[str, WorkerState]:
        """What every worker is doing now, by its id."""
        return {worker: keeper.worker.state for worker, keeper in self.keepers.items()}

    async def status(self) -> tuple[WorkerStatus, ...]:
        """What `lswarm status` shows of each worker; memory is read in a thread (milliseconds)."""
        keepers = list(self.keepers.values())
        pids = [keeper.child.pid if keeper.child else None for keeper in keepers]
        held = await asyncio.to_thread(lambda: [_memory_of(pid) for pid in pids])
        return tuple(map(_status, keepers, pids, held))

    def served(self, worker: str, generation: int) -> None:
        """A request finished on this life of the worker."""
        keeper = self.keepers.get(worker)
        if keeper is not None and not keeper.worker.served:
            keeper.handle(life.Served(generation))

    async def death_of(self, worker: str, generation: int, within_s: float) -> Death | None:
        """The end of that life, waiting for it up to `within_s` seconds; None if it lives on."""
        keeper = self.keepers[worker]
        deadline = time.monotonic() + within_s
        while True:
            change = self.next_change()
            for death in keeper.deaths:
                if death.generation == generation:
                    return death
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            await _set_within(change, left)


async def _set_within(event: asyncio.Event, within_s: float) -> None:
    """Waits so long at most. Not `wait_for`: before Python 3.12 it loses a cancellation that comes
    as the event is set, and whoever asks goes on for a client that has left."""
    waiter = asyncio.create_task(event.wait(), name="change")
    try:
        await asyncio.wait({waiter}, timeout=within_s)
    finally:
        waiter.cancel()


def _endpoint(keeper: Keeper) -> Endpoint:
    job, spec = keeper.job, keeper.spec
    endpoint = Endpoint(
        id=job.id,
        base_url=f"http://{spec.host}:{spec.port}" if spec else "",
        api_key=job.api_key,
        slots=job.slots,
        lanes=job.lanes,
        ctx=job.ctx,
        generation=keeper.worker.generation,
        pool=job.pool,
        token_bytes=job.token_bytes,
    )
    return replace(endpoint, capabilities=spec.capabilities) if spec else endpoint


def _status(keeper: Keeper, pid: int | None, held_bytes: int | None) -> WorkerStatus:
    job, spec, worker = keeper.job, keeper.spec, keeper.worker
    return WorkerStatus(
        id=job.id,
        engine=spec.engine if spec else None,
        state=worker.state,
        pid=pid,
        port=spec.port if spec and pid else None,
        slots=job.slots,
        ctx=job.ctx,
        restarts=worker.restarts,
        planned_bytes=job.planned_bytes,
        observed_bytes=keeper.observed.total_bytes if keeper.observed else held_bytes,
        drift=keeper.observed.drift if keeper.observed else (),
        device_memory=keeper.device_memory,
    )


def _memory_of(pid: int | None) -> int | None:
    """PSS where the system tells it, RSS elsewhere; None for no process."""
    if pid is None:
        return None
    try:
        memory = psutil.Process(pid).memory_full_info()
    except psutil.Error:
        return None
    return int(getattr(memory, "pss", 0) or memory.rss)
