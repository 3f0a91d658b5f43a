"""Whoever is cancelled while it waits ends there, also when what it waits for comes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from local_swarm.gateway.activity import Activity
from local_swarm.gateway.asked import AnyWorker
from local_swarm.gateway.attempts import Attempts
from local_swarm.gateway.events import Subscription
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.upstream import Upstream
from local_swarm.gateway.within import result_within, set_within
from local_swarm.supervisor.fleet import Fleet
from tests.swarms import PATIENCE_S, QUICK, Shape

Started = tuple[Coroutine[Any, Any, Any], Callable[[], Any]]
"""What waits, and how that which it waits for comes."""


def an_event() -> Started:
    event = asyncio.Event()
    return set_within(event, PATIENCE_S), event.set


def a_result() -> Started:
    event = asyncio.Event()
    return result_within(event.wait(), PATIENCE_S), event.set


def the_next_event_of_a_reader() -> Started:
    subscription = Subscription()
    return subscription.wait(PATIENCE_S), lambda: subscription.put({})


def the_death_of_a_worker() -> Started:
    fleet = Fleet([Shape().job(0)], QUICK, run_token="test")
    return fleet.death_of("w0", 1, PATIENCE_S), fleet.changed


def a_ready_worker() -> Started:
    fleet: Any = Fleet([Shape().job(0)], QUICK, run_token="test")
    workers = AnyWorker(fleet, Ledger(), Upstream(), Activity(), timeout_s=PATIENCE_S)
    return workers.ready(Attempts(fleet, PATIENCE_S)), fleet.changed


@pytest.mark.parametrize("ticks", range(6))
@pytest.mark.parametrize(
    "begin",
    [an_event, a_result, the_next_event_of_a_reader, the_death_of_a_worker, a_ready_worker],
)
async def test_a_cancellation_is_never_lost(begin: Callable[[], Started], ticks: int) -> None:
    waiting, comes = begin()
    task = asyncio.create_task(waiting)
    for _ in range(3):
        await asyncio.sleep(0)  # until it waits
    comes()
    for _ in range(ticks):
        await asyncio.sleep(0)
    accepted = task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE_S)
    assert task.cancelled() == accepted


async def test_what_does_not_come_in_time_is_cancelled() -> None:
    never = asyncio.create_task(asyncio.Event().wait())
    with pytest.raises(asyncio.TimeoutError):
        await result_within(never, 0.01)
    await asyncio.wait({never}, timeout=PATIENCE_S)
    assert never.cancelled()
    assert await set_within(asyncio.Event(), 0.01) is False
    assert await result_within(asyncio.sleep(0, "x"), PATIENCE_S) == "x"
