"""Who holds which slot of which worker.

Nothing that generates is sent to a worker unless the ledger has the slots free, so no request
ever waits inside a worker behind others (a request for several slots would starve there), and
every request can name its slot, so that a conversation finds its prefix where it left it.

The last `lanes` slots of a worker serve unvoted requests (solo). Votes are served in order of
arrival and never overtake each other. A solo request takes a lane; when all lanes are busy it
takes a voting slot, but only while no vote waits. A request for several slots of one worker
(`together`) queues with the votes. Where it needs lanes too, no solo request takes a slot while it
is the first to wait. What needs more than the workers that are there have, idle or not, waits for
those that are away and keeps nothing from the others. Where slots share a pool of cells (`seats`),
a request that has slots but not cells lets nobody behind it into a pool, so that a long one does
not starve behind short ones.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import DeadlineExceeded, Overloaded
from local_swarm.gateway.choice import Choice, Homes
from local_swarm.gateway.present import CUT_LINGERS_S, Present
from local_swarm.gateway.seats import Lease, Need, Seat
from local_swarm.gateway.waits import Waits

__all__ = ["Lease", "Ledger", "Need"]

ANY = Need(1)


@dataclass(slots=True, eq=False)
class _Waiter:
    need: Need
    granted: asyncio.Future[tuple[Lease, ...]]
    since_s: float


@dataclass(slots=True)
class _Barred:
    """What those who wait keep from those behind them."""

    voting: bool = False
    lanes: bool = False
    pools: bool = False


class Ledger:
    """Lives on one event loop. `sync` keeps it in step with the workers.

    `on_wait` is told how many seconds each request waited that got its slots, 0.0 most of the time;
    `on_drained` of workers that have nothing left to do (`Present`).
    """

    def __init__(
        self,
        *,
        max_waiting: int = 64,
        on_wait: Callable[[float], None] = lambda seconds: None,
        on_drained: Callable[[str, int], None] = lambda worker, generation: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_waiting = max_waiting
        self._on_wait = on_wait
        self._clock = clock
        self._present = Present(on_drained, clock)
        self._waiting: deque[_Waiter] = deque()
        self._homes = Homes()
        self._tick = 0
        self._waits = {True: Waits(), False: Waits()}  # by whether they are solo
        self._held: dict[int, tuple[float, bool]] = {}

    # What others see ----------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def voting_capacity(self) -> int:
        """Slots that can vote when every expected worker is there."""
        return self._present.voting(ANY)

    @property
    def slots(self) -> int:
        """All slots when every expected worker is there."""
        return self._present.slots

    @property
    def most_slots(self) -> int:
        """Of one worker, when every expected worker is there."""
        return self._present.most_slots

    def busy(self, worker: str) -> int:
        return len(self.busy_slots(worker))

    def busy_slots(self, worker: str) -> frozenset[int]:
        """Also of one that drains."""
        seat = self._present.of(worker)
        return frozenset(seat.busy) if seat else frozenset()

    def cells_used(self, worker: str) -> int:
        """Cells of the worker's pool that are kept for requests; 0 where it has none."""
        seat = self._present.of(worker)
        return seat.cells_used if seat else 0

    def expected_wait_s(self, need: Need) -> float:
        """How long a request that has to wait, and comes now, is likely to."""
        ahead = sum(waiter.need.solo == need.solo for waiter in self._waiting)
        slots = self.slots if need.solo else self.voting_capacity
        return self._waits[need.solo].expected_s(ahead, slots // need.want)

    def retry_after_s(self, need: Need = ANY) -> int:
        """When such a request would likely be served, in whole seconds, at least one."""
        return max(1, math.ceil(self.expected_wait_s(need)))

    def sync(
        self,
        ready: Iterable[Endpoint],
        expected: Iterable[Endpoint],
        draining: Iterable[Endpoint] = (),
    ) -> None:
        """Takes the workers as they are now. What waits and would find no room is refused."""
        self._present.sync(ready, expected, draining)
        self._refuse_the_hopeless()
        self._dispatch()
        self._present.tell_drained()

    def visit(self, endpoint: Endpoint) -> AbstractContextManager[None]:
        """Around a request that takes no slot of this worker: it has not drained before."""
        return self._present.visit(endpoint)

    async def acquire(
        self, need: Need, *, within_s: float, again: bool = False
    ) -> tuple[Lease, ...]:
        """Slots for `need`, waiting up to `within_s` seconds.

        The leases hold together at most `need.want` slots; fewer only where workers are away. A
        request that was admitted before comes `again`, ahead of the others: its worker died.
        Raises Overloaded when too many wait already or no worker is there in the end,
        DeadlineExceeded when the time is up, ContextExceeded for a prompt that no pool has room
        for, InvalidRequest for more slots together than a worker has.
        """
        if (refusal := self._present.refusal(need)) is not None:
            raise refusal
        loop = asyncio.get_running_loop()
        waiter = _Waiter(need, loop.create_future(), self._clock())
        if again:
            self._waiting.appendleft(waiter)
        else:
            self._waiting.append(waiter)
        self._dispatch()
        if waiter.granted.done():
            return waiter.granted.result()
        if not again:
            self._refuse_what_is_too_many(waiter)
        try:
            done, _ = await asyncio.wait({waiter.granted}, timeout=within_s)
        except asyncio.CancelledError:
            self._abandon(waiter)
            raise
        if not done:
            self._abandon(waiter)
            if not self._present.ready:
                retry_after_s = self.retry_after_s(need)
                raise Overloaded("No worker is ready.", retry_after_s=retry_after_s)
            raise DeadlineExceeded(f"No slot became free within {within_s:.0f} s.")
        return waiter.granted.result()

    def release(self, leases: Iterable[Lease], *, cut: bool = False) -> None:
        """Gives slots back. Of a life that has ended, that means nothing.

        `cut`: an answer had not ended when we closed its connection. The worker may not have
        noticed yet, so the cells of its pool are free a moment later, and it has drained then.
        """
        for lease in leases:
            lease.seat.busy.difference_update(lease.slots)
            lease.seat.cut_at = self._clock() if cut else lease.seat.cut_at
            if cut and lease.cells:
                loop = asyncio.get_running_loop()
                loop.call_later(CUT_LINGERS_S, self._free_cells, lease)
            else:
                lease.seat.cells_used -= lease.cells
            since_s, solo = self._held.pop(id(lease), (None, False))
            if since_s is not None:
                self._waits[solo].held(self._clock() - since_s)
        self._dispatch()
        self._present.tell_drained()

    # How slots are given ------------------------------------------------------------------

    def _free_cells(self, lease: Lease) -> None:
        lease.seat.cells_used -= lease.cells
        self._dispatch()

    def _refuse_the_hopeless(self) -> None:
        for waiter in tuple(self._waiting):
            if (refusal := self._present.refusal(waiter.need)) is not None:
                self._waiting.remove(waiter)
                self._note_who_waits()
                waiter.granted.set_exception(refusal)

    def _refuse_what_is_too_many(self, waiter: _Waiter) -> None:
        if len(self._waiting) <= self.max_waiting:
            return
        self._waiting.remove(waiter)
        raise Overloaded(
            f"{self.max_waiting} requests wait already.",
            retry_after_s=self.retry_after_s(waiter.need),
        )

    def _abandon(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            self._note_who_waits()
        elif waiter.granted.done() and waiter.granted.exception() is None:
            self.release(waiter.granted.result())
        self._dispatch()

    def _dispatch(self) -> None:
        barred = _Barred()
        for waiter in tuple(self._waiting):
            need = waiter.need
            if barred.lanes if need.solo else barred.voting:
                continue
            if (picked := self._pick(need, barred)) is not None:
                self._waiting.remove(waiter)
                self._grant(waiter, picked)
                continue
            barred.pools = barred.pools or self._pick(need, barred, cells=False) is not None
            if not need.solo and self._could_be_served(need):
                barred.voting = True
                barred.lanes = need.together and self._needs_lanes(need)

    def _pick(self, need: Need, barred: _Barred, *, cells: bool = True) -> tuple[Lease, ...] | None:
        seats = self._present.seats(need)
        choice = Choice(seats, self._homes, cells=cells, pooled=not barred.pools)
        if need.solo:
            return choice.solo(need, lanes_only=barred.voting)
        if need.together:
            return choice.together(need)
        return choice.vote(need, self._present.voting(need))

    def _could_be_served(self, need: Need) -> bool:
        """Whether the workers that are there would do, were they idle."""
        idle = tuple(Seat(seat.endpoint) for seat in self._present.seats(need))
        choice = Choice(idle, self._homes)
        if need.together:
            return choice.together(need) is not None
        return choice.vote(need, self._present.voting(need)) is not None

    def _grant(self, waiter: _Waiter, leases: tuple[Lease, ...]) -> None:
        now_s = self._clock()
        self._tick += 1
        for lease in leases:
            lease.seat.busy.update(lease.slots)
            lease.seat.cells_used += lease.cells
            lease.seat.parent_used[lease.slots[0]] = self._tick
            self._held[id(lease)] = (now_s, waiter.need.solo)
        self._homes.remember(waiter.need.conversation, leases[0])
        self._on_wait(now_s - waiter.since_s)
        self._note_served(waiter, now_s)
        waiter.granted.set_result(leases)

    def _note_served(self, waiter: _Waiter, now_s: float) -> None:
        solo = waiter.need.solo
        waiting = sum(other.need.solo == solo for other in self._waiting)
        if waiting or now_s > waiter.since_s:
            self._waits[solo].served(now_s, waiting=waiting)

    def _note_who_waits(self) -> None:
        for solo, waits in self._waits.items():
            if not any(waiter.need.solo == solo for waiter in self._waiting):
                waits.emptied()

    def _needs_lanes(self, need: Need) -> bool:
        """Whether no worker has voting slots enough."""
        return need.want > max((seat.voting for seat in self._present.ready.values()), default=0)
