"""All workers of one swarm: started, kept, changed and stopped together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp

from local_swarm.domain.worker import Death, WorkerState
from local_swarm.errors import WorkerStartError
from local_swarm.hardware import process_memory
from local_swarm.supervisor import state as life
from local_swarm.supervisor.gate import StartGate
from local_swarm.supervisor.job import Job, LogSettings, Where
from local_swarm.supervisor.keeper import Keeper, Rest
from local_swarm.supervisor.oom import Count, OomKills
from local_swarm.supervisor.restart import RestartPolicy, is_crowded
from local_swarm.supervisor.roster import MemoryOf, Roster
from local_swarm.supervisor.warden import Warden
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

WATCH_AGAIN_S = 5.0  # after a watch has failed

Mourner = Callable[[Death, str], None]
"""Told of each death, and what followed."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What clients want now, and when (monotonic) they last wanted anything."""

    in_flight: int = 0
    waiting: int = 0
    last: float = 0.0


class Fleet(Roster):
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
        oom_kills: Count = lambda: None,
        memory_of: MemoryOf = process_memory,
        mourner: Mourner = lambda death, what: None,
    ) -> None:
        super().__init__(memory_of)
        self.policy = policy
        self.run_token = run_token
        self.logs = logs or LogSettings()
        self.oom_kills = OomKills(oom_kills)
        self.mourn = mourner
        self.gate = StartGate()
        self.warden = Warden(run_token)
        self.keepers.update({job.id: Keeper(job, self) for job in jobs})
        self.demand = Demand(last=time.monotonic())
        self.session: aiohttp.ClientSession
        self._watches = (*watches, self.oom_kills.watch)
        self._watching: list[asyncio.Task[None]] = []
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
        keeper.in_vain = 0
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
                if state is WorkerState.STOPPED or keeper.cannot_start:
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
        keeper.rest = None  # nobody wakes it
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
        """Ends the worker once its requests are over; `rouse` brings it back. None falls asleep
        while there are requests."""
        self._refuse_when_ended()
        if rest is Rest.ASLEEP and self.demand.in_flight:
            return  # a request came meanwhile, and nobody would wake them for it
        keeper = self.keepers[worker]
        keeper.rest = rest
        await self._stopped(keeper, rest.value)

    def rouse(self, worker: str) -> None:
        """Starts a worker that rests; nothing happens to another."""
        keeper = self.keepers[worker]
        if keeper.rest is not None and not self._ended:
            keeper.rest = None
            keeper.handle(life.Drain(life.Then.RESTART, "woken"))

    async def shrink(self, worker: str, where: Where) -> bool:
        """Drains the worker and starts it again with less memory; False where nothing is left to
        give. Raises WorkerStartError; its next try is then what it was before."""
        keeper = self.keepers[worker]
        if not keeper.shrink(where):
            return False
        smaller = keeper.job
        try:
            await self._again(keeper, f"gives up {smaller.given_up}")
        except WorkerStartError:
            if keeper.job is smaller:
                keeper.grow()
            raise
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

    def is_crowded(self) -> bool:
        """Whether the workers together have spent the swarm's restart budget."""
        charged = [t for keeper in self.keepers.values() for t in keeper.worker.charged]
        return is_crowded(self.policy, charged, time.monotonic())


def start_error(keeper: Keeper) -> WorkerStartError:
    """With the last words of a worker that could not start."""
    tail = "\n".join(f"  {line}" for line in keeper.log.tail())
    return WorkerStartError(
        f"Worker {keeper.job.id} could not start. The last lines of its log:\n{tail}\n",
        hint=f"The whole log is in {keeper.log.path}.",
    )
