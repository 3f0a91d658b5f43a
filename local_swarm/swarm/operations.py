"""Changes of a running swarm, one at a time: restart, scale, reload."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from msgspec import structs

from local_swarm.config import Config, Loaded
from local_swarm.config.effects import Effect, changed, of_effect, taking
from local_swarm.config.load import refuse_between
from local_swarm.domain.report import Report
from local_swarm.errors import NotRunningError, UsageError
from local_swarm.swarm import notify
from local_swarm.swarm.changes import Runs
from local_swarm.swarm.moving import Mover, Takes
from local_swarm.swarm.planning import check, name_of_model
from local_swarm.swarm.starting import check_sandbox
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)


class Operations:
    """The gateway's `Control`. Use as an async context manager around whatever asks for changes.

    An operation waits for the one before it, is finished even when whoever asked has gone, and is
    given up when the swarm stops. Those that come before `begin` wait for it. `read` reads the
    configuration, and blocks.
    """

    def __init__(self, mover: Mover, read: Callable[[], Loaded]) -> None:
        self._mover = mover
        self._read = read
        self._as_read = mover.prepared.config
        self._begun = asyncio.Event()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Report]] = set()
        self._ended = False

    async def __aenter__(self) -> Operations:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def begin(self, live: Takes) -> None:
        """The swarm is ready; `live` takes its settings from now on."""
        self._mover.live = live
        self._begun.set()

    async def stop(self) -> None:
        """Gives up what is under way. Workers that are being restarted go on to be so."""
        self._ended = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    @property
    def config(self) -> Config:
        """The settings that hold now; `swarm.workers` is what `scale` has set, if it has."""
        return self._mover.prepared.config

    @property
    def model_id(self) -> str:
        """What is served now, or until the change that is under way is done."""
        return self._mover.prepared.plan.model_id

    @property
    def is_busy(self) -> bool:
        """Whether workers are being changed, or the swarm is not ready yet: nobody else should
        stop or start any."""
        return self._lock.locked() or not self._begun.is_set()

    # What can be asked --------------------------------------------------------------------

    async def restart(self, worker: str | None) -> Report:
        """One worker, or all of them one by one. Raises UsageError where there is none of that
        name; WorkerStartError, and the workers after the one that failed are as they were."""
        return await _result(self._task("restart", lambda: self._restart(worker)))

    async def scale(self, workers: int) -> Report:
        """So many workers, until the swarm ends or a reload changes `swarm.workers`. Raises
        FitError and UsageError, and WorkerStartError after which all is as it was."""
        return await _result(self._task("scale", lambda: self._scale(workers)))

    async def reload(self) -> Report:
        """Applies the configuration as it is now. Raises what `load` and `prepare` do, and then
        nothing has changed; WorkerStartError after which all is as it was."""
        return await _result(self._task("reload", self._reload))

    def reload_soon(self) -> None:
        """The same for nobody: what comes of it is logged."""
        if not self._ended:
            self._task("reload", self._reload)

    def _task(self, what: str, work: Callable[[], Awaitable[Report]]) -> asyncio.Task[Report]:
        if self._ended:
            raise _stopping()
        task = asyncio.create_task(self._alone(what, work), name=f"operation-{what}")
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    async def _alone(self, what: str, work: Callable[[], Awaitable[Report]]) -> Report:
        await self._begun.wait()
        async with self._lock:
            log.info("a change begins", change=what)
            report = await work()
            log.info("a change is done", change=what, **_told(report))
            return report

    def _over(self, task: asyncio.Task[Report]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            what = task.get_name().removeprefix("operation-")
            log.error("a change was not made", change=what, why=str(error))

    # How it is done -----------------------------------------------------------------------

    async def _restart(self, worker: str | None) -> Report:
        crew = self._mover.crew
        chosen = tuple(runs for runs in crew if self._is_meant(runs, worker))
        if worker is not None and not chosen:
            names = ", ".join(runs.id for runs in crew)
            raise UsageError(f"There is no worker {worker!r}.", hint=f"Workers: {names}.")
        roll = await self._mover.restart(chosen)
        done = roll.done if chosen else ["All workers are at rest; none was restarted."]
        return Report(done=tuple(done), workers=tuple(roll.cycled))

    def _is_meant(self, runs: Runs, worker: str | None) -> bool:
        """What rests will be started anew anyway."""
        if worker is None:
            return self._mover.fleet.keepers[runs.id].rest is None
        return runs.id == worker

    async def _scale(self, workers: int) -> Report:
        if workers < 1:
            raise UsageError(
                f"A swarm cannot have {workers} workers.", hint="Stop it with `lswarm down`."
            )
        model = await asyncio.to_thread(name_of_model, self._mover.prepared)
        to = await self._mover.next(_with_workers(self.config, workers), model)
        roll = await self._mover.move(to)
        count = len(self._mover.crew)
        now = "There is 1 worker now." if count == 1 else f"There are {count} workers now."
        return Report(done=(*roll.done, now), workers=tuple(roll.cycled))

    async def _reload(self) -> Report:
        notify.reloading()
        try:
            return await self._applied(await asyncio.to_thread(self._read))
        finally:
            notify.reloaded()

    async def _applied(self, loaded: Loaded) -> Report:
        names = changed(self._as_read, loaded.config)
        waiting = of_effect(names, Effect.RESTART)
        target = taking(loaded.config, self._as_read, waiting)
        refuse_between(target, loaded.origins)
        check(target)
        if target.consensus.execute:
            await asyncio.to_thread(check_sandbox)
        done, workers = await self._become(self._scaled(target, names), names)
        self._as_read = target
        applied = of_effect(names, Effect.LIVE, Effect.PLAN)
        if not done:
            done = ("No worker was restarted.",) if applied else ("Nothing has changed.",)
        return Report(done, applied, waiting, workers)

    def _scaled(self, target: Config, names: Sequence[str]) -> Config:
        """What `scale` has set holds until the setting itself is changed."""
        if "swarm.workers" in names:
            return target
        return _with_workers(target, self.config.swarm.workers)

    async def _become(
        self, config: Config, names: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was done to the workers, and which were restarted."""
        mover = self._mover
        if not of_effect(names, Effect.PLAN) and not await mover.is_outdated():
            await mover.take(config)
            return (), ()
        was, said = mover.prepared.plan.model_id, mover.prepared.said.model
        roll = await mover.move(await mover.next(config, said))
        model = mover.prepared.plan.model_id
        told = [*roll.done]
        if model != was:
            told.append(f"The model is {model} now.")
        elif said and "models.preferred" in names:
            told.append(f"The model stays {said}, which the command line names.")
        return tuple(told), tuple(roll.cycled)


async def _result(task: asyncio.Task[Report]) -> Report:
    """Of a task that goes on when whoever waits for it leaves."""
    await asyncio.wait({task})
    if task.cancelled():
        raise _stopping()
    return task.result()


def _stopping() -> NotRunningError:
    return NotRunningError("The swarm is stopping; the change was given up.")


def _with_workers(config: Config, workers: object) -> Config:
    return structs.replace(config, swarm=structs.replace(config.swarm, workers=workers))


def _told(report: Report) -> dict[str, str]:
    told = {
        "done": " ".join(report.done),
        "applied": ", ".join(report.applied),
        "needs_restart": ", ".join(report.needs_restart),
    }
    return {name: text for name, text in told.items() if text}
