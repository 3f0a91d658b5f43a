"""Owns one worker: takes events in order, steps the pure state machine, does its commands."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.plan import Observed
from local_swarm.domain.worker import Cause, Death, DeviceMemory, WorkerState
from local_swarm.supervisor import state as life
from local_swarm.supervisor.causes import Exit, diagnose
from local_swarm.supervisor.gate import Turn
from local_swarm.supervisor.job import Job, StartWatch, Where
from local_swarm.supervisor.kept_slots import SlotKeeping
from local_swarm.supervisor.logs import WorkerLog
from local_swarm.supervisor.process import ChildProcess, spawn
from local_swarm.supervisor.readiness import wait_ready
from local_swarm.supervisor.restart import Cure, cure_of
from local_swarm.telemetry.logs import get_logger

if TYPE_CHECKING:
    from local_swarm.supervisor.fleet import Fleet

log = get_logger(__name__)

KEPT_DEATHS = 8
TRIES = 3
"""Lives that end before they are ready, until whoever waits for it gives up."""
NOT_BEGUN = 1
"""The exit code of a life without a process; another try may find what was missing."""


class Rest(str, Enum):
    """Why a worker that is stopped will be started again."""

    ASLEEP = "asleep: it wakes with the next request"
    SPARE = "resting: there is little to do"
    MEMORY = "resting: memory is short"
    CHANGE = "waiting: the workers are being changed"


@dataclass(slots=True)
class Life:
    """One life: what it runs, since when (monotonic), and what is known of its memory."""

    job: Job
    began: float
    oom_kills: int | None  # of the machine, when it began
    spec: LaunchSpec | None = None
    child: ChildProcess | None = None
    observed: Observed | None = None
    device_memory: tuple[DeviceMemory, ...] = ()


class Keeper:
    """`job` is what the next life will run, `life` the present one or the last."""

    def __init__(self, job: Job, fleet: Fleet) -> None:
        self.job = job
        self.worker = life.Worker(job.id)
        self.life: Life | None = None
        self.deaths: list[Death] = []
        self.crashes = 0
        self.in_vain = 0  # lives in a row that were never ready, when the next is not smaller
        self.heard = 0  # grows with whatever the gateway gets from it
        self.rest: Rest | None = None
        self.larger: list[Job] = []  # what it was before it gave memory up, the latest last
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
        self._slots = SlotKeeping()
        self._saving = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # What others see ----------------------------------------------------------------------

    @property
    def child(self) -> ChildProcess | None:
        """The process, while there is one."""
        return self.life.child if self.life else None

    @property
    def spec(self) -> LaunchSpec | None:
        return self.life.spec if self.life else None

    @property
    def running(self) -> Job:
        """What the present life runs, or the next where there is none."""
        return self.life.job if self.life and self.worker.has_process else self.job

    @property
    def is_expected(self) -> bool:
        """Whether it takes traffic now, or will again soon without anybody's help."""
        return self.worker.comes_back or self.rest is Rest.ASLEEP

    @property
    def cannot_start(self) -> bool:
        """Whether it has failed, or died so often without being ready that nobody should wait. What
        takes minutes to die never spends its restart budget, for that looks at the last minute."""
        state = self.worker.state
        tired = self.in_vain >= TRIES and state is not WorkerState.READY
        return state is WorkerState.FAILED or tired

    def unsound(self) -> str | None:
        """Why nothing would ever happen to it again; None where all is well."""
        waits = self.worker.state in (WorkerState.BACKOFF, WorkerState.FAILED)
        if waits and self._timer is None:
            return f"{self.job.id} is in {self.worker.state.value} and nothing will wake it"
        if self.worker.has_process and not self._tasks:
            return f"{self.job.id} is {self.worker.state.value} and nobody watches it"
        return None

    # What happens to it -------------------------------------------------------------------

    def handle(self, event: life.Event) -> None:
        """One event, from the event loop's thread. Raises life.IllegalTransition."""
        before = self.worker
        self.worker, commands = life.step(before, event, self._fleet.policy, time.monotonic())
        if self.worker.story != before.story:
            line = self.worker.story[-1].split(" ", 1)[1]
            log.info("worker", worker=self.job.id, change=line)
            self.log.note(line)
        for command in commands:
            self._do(command)
        if self.worker != before:
            self._fleet.changed()

    def shrink(self, where: Where) -> bool:
        """The next life takes less of the memory that is short; False where nothing is left."""
        smaller = self.job.shrink(where)
        if smaller is None:
            return False
        self.larger.append(self.job)
        self.job = smaller
        log.warning("worker gives memory up", worker=self.job.id, without=smaller.given_up)
        return True

    def grow(self) -> bool:
        """The next life takes back what was given up last; False where it lacks nothing."""
        if not self.larger:
            return False
        self.job = self.larger.pop()
        return True

    def drained(self, generation: int) -> None:
        """Nothing runs on that life any more. Where it will come back, its slots are kept first."""
        here = self.worker.state is WorkerState.DRAINING and generation == self.worker.generation
        if not here or self._saving:
            return
        comes_back = self.worker.then is life.Then.RESTART or self.rest is not None
        if self.running.slot_bytes and comes_back:
            self._saving = True
            self.do(self._save_slots(generation), f"save-{self.job.id}-{generation}")
        else:
            self.handle(life.Drained(generation))

    async def _save_slots(self, generation: int) -> None:
        assert self.spec is not None
        try:
            await self._slots.save(self._fleet.session, self.spec, self.running)
        finally:
            self._saving = False
            self.handle(life.Drained(generation))

    async def _restore_slots(self, generation: int, present: Life) -> None:
        if self._slots.kept and present.spec is not None:
            self.handle(life.Spawned(generation))  # the time to start begins anew
            await self._slots.restore(self._fleet.session, present.spec, present.job)

    async def finish(self) -> None:
        """Waits until the worker's tasks are over."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._slots.forget()
        self._disarm()
        self.log.close()

    def _do(self, command: life.Command) -> None:
        match command:
            case life.Spawn(generation):
                self.rest = None
                self.do(self._live(generation), f"life-{self.job.id}-{generation}")
            case life.Terminate():
                if self.child is not None:
                    self.child.terminate()
            case life.Kill():
                if self.child is not None:
                    self.child.kill()
            case life.Arm(generation, delay_s):
                self._disarm()
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(delay_s, self._fired, generation)
            case life.Disarm():
                self._disarm()

    def _fired(self, generation: int) -> None:
        self._timer = None
        self.handle(life.TimerFired(generation))

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def do(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Runs `work` as long as it takes; `finish` waits for it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # One life -----------------------------------------------------------------------------

    async def _live(self, generation: int) -> None:
        """From spawn to exit. Always ends in exactly one Exited event."""
        present = Life(self.job, time.monotonic(), self._fleet.oom_kills.count())
        self.life = present
        exit_code: int | None = NOT_BEGUN
        signal: int | None = None
        try:
            self.log.begin()
            async with self._fleet.gate.turn(present.job.devices) as turn:
                exit_code, signal = await self._run(generation, present, turn)
        except Exception as exc:
            self.log.note(f"could not be run: {exc}")
        present.child = None
        await self._mourn(generation, present, exit_code, signal)

    async def _run(
        self, generation: int, present: Life, turn: Turn
    ) -> tuple[int | None, int | None]:
        watch = present.job.watch() if present.job.watch else None
        try:
            if watch and not self._is_called_off():
                await asyncio.to_thread(watch.before)
            if self._is_called_off():
                return NOT_BEGUN, None
            present.spec = present.job.launch()
            present.child = await spawn(
                present.spec,
                self.log,
                run_token=self._fleet.run_token,
                warden=self._fleet.warden,
            )
            self.handle(life.Spawned(generation))
            self._fleet.changed()
            if self._is_called_off():
                present.child.kill()
            ready = asyncio.create_task(self._watch_ready(generation, present, watch, turn))
            try:
                return await present.child.wait()
            finally:
                ready.cancel()
                (trouble,) = await asyncio.gather(ready, return_exceptions=True)
                if isinstance(trouble, Exception):
                    self.log.note(f"nobody could tell that it was ready: {trouble!r}")
        finally:
            if watch:
                watch.ended()

    def _is_called_off(self) -> bool:
        """Whether it was asked to stop before its process existed."""
        return self.worker.state is not WorkerState.STARTING

    async def _watch_ready(
        self, generation: int, present: Life, watch: StartWatch | None, turn: Turn
    ) -> None:
        assert present.spec is not None
        assert present.child is not None
        await wait_ready(self._fleet.session, present.spec, present.child.pid)
        if watch:
            present.device_memory = await asyncio.to_thread(watch.ready)
        turn.over()
        present.observed = present.job.observe(self.log.start())
        for drift in present.observed.drift if present.observed else ():
            log.warning("allocated other than planned", worker=self.job.id, **asdict(drift))
        await self._restore_slots(generation, present)
        self.handle(life.Readied(generation))

    async def _mourn(
        self, generation: int, present: Life, exit_code: int | None, signal: int | None
    ) -> None:
        """Finds out why the life ended, and lets the state machine decide what follows."""
        death = Death(
            self.job.id,
            generation,
            exit_code,
            signal,
            self.log.tail(),
            self.worker.blame or self._diagnosed(present, exit_code, signal),
            time.monotonic() - present.began,
        )
        self.deaths = [*self.deaths, death][-KEPT_DEATHS:]
        smaller = False
        if death.kind is not Cause.ASKED:
            await self._slots.forget()
            self.crashes += 1
            smaller = self._made_smaller(death)
            ready = self.worker.ready_since is not None
            self.in_vain = 0 if ready or smaller else self.in_vain + 1
        crowded, jitter = self._fleet.is_crowded(), random.random()
        event = life.Exited(generation, death.cause, death.kind, smaller, crowded, jitter)
        self.handle(event)
        self._fleet.mourn(death, self.worker.why)

    def _diagnosed(self, present: Life, exit_code: int | None, signal: int | None) -> Cause:
        kills = self._fleet.oom_kills
        oom_killed = kills.recent() and kills.count() != present.oom_kills
        ready = self.worker.ready_since is not None
        return diagnose(Exit(exit_code, signal, self.log.life(), ready, oom_killed))

    def _made_smaller(self, death: Death) -> bool:
        if cure_of(death.kind) is not Cure.SMALLER:
            return False
        return self.shrink("device" if death.kind is Cause.DEVICE_MEMORY else "host")
