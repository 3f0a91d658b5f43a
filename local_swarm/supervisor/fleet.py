"""All workers of one swarm: started, kept, changed and stopped together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.worker import Death, WorkerState, WorkerStatus
from local_swarm.errors import WorkerStartError
from local_swarm.hardware import ProcessMemory, process_memory
from local_swarm.supervisor import state as life
from local_swarm.supervisor import view
from local_swarm.supervisor.gate import StartGate
from local_swarm.supervisor.job import Job, LogSettings
from local_swarm.supervisor.keeper import Keeper, Rest
from local_swarm.supervisor.restart import RestartPolicy, is_crowded
from local_swarm.supervisor.warden import Warden
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

WATCH_AGAIN_S = 5.0  # after a watch has failed

Listener = Callable[[], None]
Mourner = Callable[[Death, str], None]
"""Told of each death, and what followed."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What clients want now, and when (monotonic) they last wanted anything."""

    in_flight: int = 0
    waiting: int = 0
    last: float = 0.0


class Fleet:
    """Use as an async context manager, from the main thread; leaving it stops every worker.

    `watches` are run as long as it lives, each as a task of its own: what looks after the workers
    beyond their exit and readiness. `oom_kills` counts what the kernel has killed for memory, None
    where it does not tell. `memory_of` tells what processes hold, by pid; it may block.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        policy: RestartPolicy,
        *,
        run_token: str,
        logs: LogSettings | None = None,
        watches: Sequence[Callable[[Fleet], Awaitable[None]]] = (),
        oom_kills: Callable[[], int | None] = lambda: None,
        memory_of: Callable[[Collection[int]], Mapping[int, ProcessMemory]] = process_memory,
        mourner: Mourner = lambda death, what: None,
    ) -> None:
        self.policy = policy
        self.run_token = run_token
        self.logs = logs or LogSettings()
        self.oom_kills = oom_kills
        self.mourn = mourner
        self._memory_of = memory_of
        self.gate = StartGate()
        self.warden = Warden(run_token)
        self.keepers = {job.id: Keeper(job, self) for job in jobs}
        self.demand = Demand(last=time.monotonic())
        self.session: aiohttp.ClientSession
        self._watches = watches
        self._watching: list[asyncio.Task[None]] = []
        self._listeners: list[Listener] = []
        self._change = asyncio.Event()
        self._hurry = False
        self._ended = False

    async def __aenter__(self) -> Fleet:
        await self.warden.__aenter__()
        # Connections to children are never pooled: a broken one must speak of this life only.
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        self.session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self.stop()
        finally:
            await self.warden.__aexit__()
            await self.session.close()

    def start(self) -> None:
        for keeper in self.keepers.values():
            keeper.handle(life.Start())
        for watch in self._watches:
            name = f"watch-{getattr(watch, '__name__', type(watch).__name__)}"
            self._watching.append(asyncio.create_task(self._watch(watch), name=name))

    async def _watch(self, watch: Callable[[Fleet], Awaitable[None]]) -> None:
        while True:
            try:
                await watch(self)
                return
            except Exception:
                log.exception("a watch over the workers failed; it begins again")
                await asyncio.sleep(WATCH_AGAIN_S)

    async def stop(self) -> None:
        """The stop ladder for all workers at once: SIGTERM, `term_grace_s`, SIGKILL.

        Returns when every process is gone. The caller has drained the gateway before.
        """
        self._ended = True
        for task in self._watching:
            task.cancel()
        keepers = list(self.keepers.values())
        for keeper in keepers:
            keeper.handle(life.Stop())
        if self._hurry:
            self._kill()
        waiting = [asyncio.ensure_future(keeper.finish()) for keeper in keepers]
        try:
            await asyncio.gather(*self._watching, return_exceptions=True)
            await asyncio.gather(*waiting)
        except asyncio.CancelledError:
            self._kill()
            await asyncio.gather(*waiting, return_exceptions=True)
            raise

    def hurry(self) -> None:
        """From now on, `stop` kills at once (a second Ctrl-C)."""
        self._hurry = True
        if self._ended:
            self._kill()

    def _kill(self) -> None:
        for keeper in self.keepers.values():
            if keeper.child is not None:
                keeper.child.kill()

    # Changes ------------------------------------------------------------------------------

    async def cycle(self, worker: str, job: Job | None = None, *, why: str = "restart") -> None:
        """Drains the worker, ends it and starts it again, as `job` from then on.

        Returns once it is ready. Raises WorkerStartError when it fails, or the fleet stops.
        """
        keeper = self.keepers[worker]
        if job is not None:
            keeper.job, keeper.larger = job, []
        await self._again(keeper, why)

    async def _again(self, keeper: Keeper, why: str) -> None:
        self._refuse_when_ended()
        generation = keeper.worker.generation
        keeper.handle(life.Drain(life.Then.RESTART, why))
        await self._until_ready(keeper, generation + 1)

    async def _until_ready(self, keeper: Keeper, generation: int) -> None:
        """Raises WorkerStartError when it fails or stops before that life, or a later, is ready."""
        while True:
            change = self.next_change()
            state = keeper.worker.state
            if keeper.worker.generation >= generation:
                if state is WorkerState.READY:
                    return
                if state in (WorkerState.FAILED, WorkerState.STOPPED):
                    raise start_error(keeper)
            elif state is WorkerState.STOPPED:
                raise start_error(keeper)
            await change.wait()

    async def add(self, job: Job) -> None:
        """One more worker. Returns once it is ready; raises WorkerStartError, and the worker is
        gone again."""
        self._refuse_when_ended()
        keeper = self.keepers[job.id] = Keeper(job, self)
        keeper.handle(life.Start())
        try:
            await self._until_ready(keeper, 1)
        except WorkerStartError:
            await self.remove(job.id)
            raise

    async def remove(self, worker: str) -> None:
        """One worker less, once its requests are over."""
        keeper = self.keepers[worker]
        await self._stopped(keeper, "removed")
        await keeper.finish()
        self.keepers.pop(worker, None)
        self.changed()

    async def _stopped(self, keeper: Keeper, why: str) -> None:
        keeper.handle(life.Drain(life.Then.STOP, why))
        while keeper.worker.state is not WorkerState.STOPPED:
            if keeper.worker.comes_back:
                return  # it was roused meanwhile
            await self.next_change().wait()

    async def put_to_rest(self, worker: str, rest: Rest) -> None:
        """Ends the worker once its requests are over; `rouse` brings it back."""
        self._refuse_when_ended()
        keeper = self.keepers[worker]
        keeper.rest = rest
        await self._stopped(keeper, rest.value)

    def rouse(self, worker: str) -> None:
        """Starts a worker that rests; nothing happens to another."""
        keeper = self.keepers[worker]
        if keeper.rest is not None and not self._ended:
            keeper.rest = None
            keeper.handle(life.Drain(life.Then.RESTART, "woken"))

    async def shrink(self, worker: str, where: str) -> bool:
        """Drains the worker and starts it again with less memory; False where nothing is left to
        give. Raises WorkerStartError."""
        keeper = self.keepers[worker]
        if not keeper.shrink("device" if where == "device" else "host"):
            return False
        await self._again(keeper, f"gives up {keeper.job.given_up}")
        return True

    async def grow(self, worker: str) -> bool:
        """Drains the worker and starts it again with what it gave up last; False where it lacks
        nothing. Raises WorkerStartError."""
        keeper = self.keepers[worker]
        if not keeper.grow():
            return False
        await self._again(keeper, "takes memory back")
        return True

    def hung(self, worker: str, generation: int, why: str) -> None:
        """That life neither answers nor works: it is killed, and comes back."""
        keeper = self.keepers.get(worker)
        if keeper is not None:
            keeper.handle(life.Hung(generation, why))

    def _refuse_when_ended(self) -> None:
        if self._ended:
            raise WorkerStartError("The swarm is stopping.")

    # What the gateway tells ---------------------------------------------------------------

    def served(self, worker: str, generation: int) -> None:
        """A request finished on this life of the worker."""
        keeper = self.keepers.get(worker)
        if keeper is not None and not keeper.worker.served:
            keeper.handle(life.Served(generation))

    def heard(self, worker: str) -> None:
        """Something of an answer has come from the worker."""
        keeper = self.keepers.get(worker)
        if keeper is not None:
            keeper.heard += 1

    def drained(self, worker: str, generation: int) -> None:
        """Nothing runs on this life of a draining worker any more."""
        keeper = self.keepers.get(worker)
        if keeper is not None:
            keeper.drained(generation)

    def wanted(self, in_flight: int, waiting: int) -> None:
        """So many requests are being answered, so many of them wait for a slot. What sleeps is
        woken by the first."""
        self.demand = Demand(in_flight, waiting, time.monotonic())
        if in_flight and self.is_asleep:
            for worker, keeper in self.keepers.items():
                if keeper.rest is Rest.ASLEEP:
                    self.rouse(worker)

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

    @property
    def is_asleep(self) -> bool:
        """Whether workers wait for the next request to be started."""
        return any(keeper.rest is Rest.ASLEEP for keeper in self.keepers.values())

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The workers that may take traffic now."""
        return self._those(lambda keeper: keeper.worker.state is WorkerState.READY)

    def draining(self) -> tuple[Endpoint, ...]:
        """The workers that finish what they have."""
        return self._those(lambda keeper: keeper.worker.state is WorkerState.DRAINING)

    def expected(self) -> tuple[Endpoint, ...]:
        """The workers that take traffic now or will again without anybody's help soon."""
        return self._those(lambda keeper: keeper.is_expected)

    def _those(self, such: Callable[[Keeper], bool]) -> tuple[Endpoint, ...]:
        return tuple(view.endpoint(keeper) for keeper in self.keepers.values() if such(keeper))

    def states(self) -> dict[str, WorkerState]:
        """What every worker is doing now, by its id."""
        return {worker: keeper.worker.state for worker, keeper in self.keepers.items()}

    def unsound(self) -> str | None:
        """Why a worker would be left alone for ever; None where all is well."""
        return next(filter(None, (keeper.unsound() for keeper in self.keepers.values())), None)

    def is_crowded(self) -> bool:
        """Whether the workers together have spent the swarm's restart budget."""
        charged = [t for keeper in self.keepers.values() for t in keeper.worker.charged]
        return is_crowded(self.policy, charged, time.monotonic())

    async def status(self) -> tuple[WorkerStatus, ...]:
        """What `lswarm status` shows of each worker; memory is read in a thread (milliseconds)."""
        keepers = list(self.keepers.values())
        pids = [keeper.child.pid if keeper.child else None for keeper in keepers]
        held = await asyncio.to_thread(self._memory_of, [pid for pid in pids if pid])
        return tuple(
            view.status(keeper, held.get(pid) if pid else None)
            for keeper, pid in zip(keepers, pids, strict=True)
        )

    async def death_of(self, worker: str, generation: int, within_s: float) -> Death | None:
        """The end of that life, waiting for it up to `within_s` seconds; None if it lives on."""
        keeper = self.keepers.get(worker)
        deadline = time.monotonic() + within_s
        while keeper is not None:
            change = self.next_change()
            for death in keeper.deaths:
                if death.generation == generation:
                    return death
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            await _set_within(change, left)
        return None


def start_error(keeper: Keeper) -> WorkerStartError:
    """With the last words of a worker that could not start."""
    tail = "\n".join(f"  {line}" for line in keeper.log.tail())
    return WorkerStartError(
        f"Worker {keeper.job.id} could not start. The last lines of its log:\n{tail}\n",
        hint=f"The whole log is in {keeper.log.path}.",
    )


async def _set_within(event: asyncio.Event, within_s: float) -> None:
    """Waits so long at most. Not `wait_for`: before Python 3.12 it loses a cancellation that comes
    as the event is set, and whoever asks goes on for a client that has left."""
    waiter = asyncio.create_task(event.wait(), name="change")
    try:
        await asyncio.wait({waiter}, timeout=within_s)
    finally:
        waiter.cancel()
