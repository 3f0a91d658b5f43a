"""A serving gateway, from the first request to the last."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from local_swarm.gateway.access import Reporter
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.ballots import VoteProcess
from local_swarm.gateway.building import Shared, build
from local_swarm.gateway.counting import Counting
from local_swarm.gateway.events import Events
from local_swarm.gateway.learning import Learner
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.listening import Switch, listen, listening, url_of
from local_swarm.gateway.metrics import Metrics
from local_swarm.gateway.observed import ObservedLedger, WorkerWatch
from local_swarm.gateway.ports import Ballots, Control, Fleet
from local_swarm.gateway.settings import GatewaySettings
from local_swarm.gateway.upstream import Upstream

__all__ = ["Gateway", "GatewaySettings", "listen", "serving", "url_of"]


class Gateway:
    """A serving gateway: its address, what it is busy with, and how to tell it otherwise."""

    def __init__(self, url: str, shared: Shared, switch: Switch) -> None:
        self.url = url
        self.activity = shared.activity
        self._shared = shared
        self._switch = switch

    def busy(self, worker: str) -> int:
        """How many slots of the worker are taken."""
        return self._shared.ledger.busy(worker)

    async def reconfigure(self, settings: GatewaySettings) -> None:
        """Requests that begin from now on are answered as `settings` say, another model included;
        those in flight end as they began, and connections stay. Blocks nobody, loses nothing.

        The address it listens on stays, and so does the book of skills (`votes.skills`).
        """
        app, door = build(settings, self._shared)
        await self._switch.turn(app, door, settings.connections)
        self._shared.ledger.max_waiting = settings.max_queue
        self._shared.reporter.lines = settings.access_log


@asynccontextmanager
async def serving(
    settings: GatewaySettings,
    fleet: Fleet,
    listener: socket.socket,
    control: Control | None = None,
) -> AsyncIterator[Gateway]:
    """Serves on `listener` while the context is open, from the main thread.

    `control` makes the changes that clients with the control key ask for. Leaving ends what is in
    flight and closes the listener.
    """
    learner = Learner(settings.votes.skills)
    async with VoteProcess() as ballots, learner.keeping():
        shared = _shared(fleet, control, ballots, learner)
        watch = WorkerWatch(fleet, shared.reporter.events)
        switch = Switch()
        gateway = Gateway(url_of(listener), shared, switch)
        await gateway.reconfigure(settings)

        def sync() -> None:
            shared.ledger.sync(fleet.endpoints(), fleet.expected(), fleet.draining())
            watch()

        unsubscribe = fleet.subscribe(sync)
        sync()
        try:
            async with listening(switch, listener, shared.reporter):
                yield gateway
        finally:
            unsubscribe()


def _shared(fleet: Fleet, control: Control | None, ballots: Ballots, learner: Learner) -> Shared:
    metrics, upstream = Metrics(), Upstream()
    activity = Activity(fleet.wanted)
    events = Events(lambda: _as_it_is(fleet, ledger, activity))
    ledger = ObservedLedger(
        metrics=metrics, events=events, waiting=activity.queued, on_drained=fleet.drained
    )
    return Shared(
        fleet=fleet,
        ledger=ledger,
        upstream=upstream,
        counting=Counting(fleet, ledger, upstream),
        activity=activity,
        ballots=ballots,
        learner=learner,
        reporter=Reporter(metrics, events, lines=False),
        control=control,
    )


def _as_it_is(fleet: Fleet, ledger: Ledger, activity: Activity) -> dict[str, Any]:
    """What a new reader of the events is told first."""
    return {
        "workers": {worker: state.value for worker, state in fleet.states().items()},
        "waiting": ledger.waiting,
        "in_flight": activity.in_flight,
    }
