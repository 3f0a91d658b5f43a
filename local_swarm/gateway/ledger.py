"""Who holds which slot of which worker.

Nothing that generates is sent to a worker unless the ledger has the slots free, so no request
ever waits inside a worker behind others (a request for several slots would starve there), and
every request can name its slot, so that a conversation finds its prefix where it left it.

The last `lanes` slots of a worker serve unvoted requests (solo). Votes are served in order of
arrival and never overtake each other. A solo request takes a lane; when all lanes are busy it
takes a voting slot, but only while no vote waits. A request for several slots of one worker
(`together`) queues with the votes. Where it needs lanes too, no solo request takes a slot while it
is the first to wait.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import DeadlineExceeded, Overloaded

REMEMBERED_CONVERSATIONS = 1024
SMOOTHING = 0.2  # weight of the newest hold time in the running mean


@dataclass(frozen=True, slots=True)
class Need:
    """`want` slots, or at least `minimum` where workers are away; `solo` asks for one, unvoted.
    `together` asks for exactly `want` of one worker, of any kind.

    `conversation` is any stable key of the conversation, empty for none.
    """

    want: int
    minimum: int = 1
    solo: bool = False
    together: bool = False
    conversation: str = ""


@dataclass(slots=True, eq=False)
class Seat:
    """One life of one worker, and which of its slots are taken."""

    endpoint: Endpoint
    busy: set[int] = field(default_factory=set)
    parent_used: dict[int, int] = field(default_factory=dict)  # slot -> tick of its last parent use

    @property
    def voting(self) -> int:
        return self.endpoint.slots - self.endpoint.lanes

    def free_voting(self) -> list[int]:
        return [s for s in range(self.voting) if s not in self.busy]

    def free_lanes(self) -> list[int]:
        return [s for s in range(self.voting, self.endpoint.slots) if s not in self.busy]


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """Slots of one worker for one upstream request; `slots[0]` is the one to name."""

    seat: Seat
    slots: tuple[int, ...]

    @property
    def endpoint(self) -> Endpoint:
        return self.seat.endpoint


@dataclass(slots=True, eq=False)
class _Waiter:
    need: Need
    granted: asyncio.Future[tuple[Lease, ...]]


class Ledger:
    """Lives on one event loop. `sync` keeps it in step with the workers."""

    def __init__(self, *, max_waiting: int = 64) -> None:
        self._max_waiting = max_waiting
        self._seats: dict[str, Seat] = {}
        self._expected_voting = self._expected_slots = self._expected_most = 0
        self._waiting: deque[_Waiter] = deque()
        self._memory: OrderedDict[str, tuple[Seat, int]] = OrderedDict()
        self._tick = 0
        self._mean_hold_s = 1.0
        self._held_since: dict[int, float] = {}

    # What others see ----------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def voting_capacity(self) -> int:
        """Slots that can vote when every expected worker is there."""
        return self._expected_voting

    @property
    def slots(self) -> int:
        """All slots when every expected worker is there."""
        return self._expected_slots

    @property
    def most_slots(self) -> int:
        """Of one worker, when every expected worker is there."""
        return self._expected_most

    def busy(self, worker: str) -> int:
        return len(self.busy_slots(worker))

    def busy_slots(self, worker: str) -> frozenset[int]:
        seat = self._seats.get(worker)
        return frozenset(seat.busy) if seat else frozenset()

    def sync(self, ready: Iterable[Endpoint], expected: Iterable[Endpoint]) -> None:
        """Takes the workers as they are now: a new life of a worker begins with free slots."""
        seats = {}
        for endpoint in ready:
            known = self._seats.get(endpoint.id)
            same = known is not None and known.endpoint.generation == endpoint.generation
            seats[endpoint.id] = known if known is not None and same else Seat(endpoint)
        self._seats = seats
        expected = list(expected)
        self._expected_voting = sum(e.slots - e.lanes for e in expected)
        self._expected_slots = sum(e.slots for e in expected)
        self._expected_most = max((e.slots for e in expected), default=0)
        self._dispatch()

    async def acquire(
        self, need: Need, *, within_s: float, again: bool = False
    ) -> tuple[Lease, ...]:
        """Slots for `need`, waiting up to `within_s` seconds.

        The leases hold together at most `need.want` slots; fewer only where workers are away. A
        request that was admitted before comes `again`, ahead of the others: its worker died.
        Raises Overloaded when too many wait already, DeadlineExceeded when the time is up.
        """
        waiter = _Waiter(need, asyncio.get_running_loop().create_future())
        if again:
            self._waiting.appendleft(waiter)
        else:
            self._waiting.append(waiter)
        self._dispatch()
        full = len(self._waiting) > self._max_waiting
        if full and not again and not waiter.granted.done():
            self._waiting.remove(waiter)
            raise Overloaded(
                f"{self._max_waiting} requests wait already.", retry_after_s=self.retry_after_s()
            )
        try:
            done, _ = await asyncio.wait({waiter.granted}, timeout=within_s)
        except asyncio.CancelledError:
            self._abandon(waiter)
            raise
        if not done:
            self._abandon(waiter)
            raise DeadlineExceeded(f"No slot became free within {within_s:.0f} s.")
        return waiter.granted.result()

    def release(self, leases: Iterable[Lease]) -> None:
        """Gives slots back. Of a life that has ended, that means nothing."""
        for lease in leases:
            lease.seat.busy.difference_update(lease.slots)
            since = self._held_since.pop(id(lease), None)
            if since is not None:
                held = time.monotonic() - since
                self._mean_hold_s += SMOOTHING * (held - self._mean_hold_s)
        self._dispatch()

    def retry_after_s(self) -> int:
        """When a slot is likely free again, in whole seconds, from how long slots were held."""
        turns = (self.waiting + 1) / max(1, self.slots)
        return max(1, math.ceil(turns * self._mean_hold_s))

    # How slots are given ------------------------------------------------------------------

    def _abandon(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif waiter.granted.done() and not waiter.granted.cancelled():
            self.release(waiter.granted.result())
        self._dispatch()

    def _dispatch(self) -> None:
        vote_waits = lanes_wanted = False
        for waiter in tuple(self._waiting):
            if waiter.need.solo:
                if lanes_wanted:
                    continue
                picked = self._pick_solo(waiter.need, lanes_only=vote_waits)
            elif vote_waits:
                continue
            elif waiter.need.together:
                picked = self._pick_together(waiter.need)
                vote_waits = picked is None
                lanes_wanted = vote_waits and self._needs_lanes(waiter.need)
            else:
                picked = self._pick_vote(waiter.need)
                vote_waits = picked is None
            if picked is not None:
                self._waiting.remove(waiter)
                self._grant(waiter, picked)

    def _grant(self, waiter: _Waiter, leases: tuple[Lease, ...]) -> None:
        now = time.monotonic()
        self._tick += 1
        for lease in leases:
            lease.seat.busy.update(lease.slots)
            lease.seat.parent_used[lease.slots[0]] = self._tick
            self._held_since[id(lease)] = now
        if waiter.need.conversation:
            self._memory[waiter.need.conversation] = (leases[0].seat, leases[0].slots[0])
            self._memory.move_to_end(waiter.need.conversation)
            while len(self._memory) > REMEMBERED_CONVERSATIONS:
                self._memory.popitem(last=False)
        waiter.granted.set_result(leases)

    def _pick_solo(self, need: Need, *, lanes_only: bool) -> tuple[Lease, ...] | None:
        seats = self._by_preference(need)
        for seat in seats:
            if lanes := seat.free_lanes():
                return (Lease(seat, (self._parent(seat, lanes, need),)),)
        if lanes_only:
            return None
        for seat in seats:
            if free := seat.free_voting():
                slot = self._remembered(seat, free, need)
                return (Lease(seat, (free[-1] if slot is None else slot,)),)
        return None

    def _pick_vote(self, need: Need) -> tuple[Lease, ...] | None:
        ready = sum(seat.voting for seat in self._seats.values())
        if ready == 0 or ready < min(need.minimum, self._expected_voting):
            return None
        missing = min(need.want, ready)
        leases: list[Lease] = []
        for seat in self._by_preference(need):
            free = seat.free_voting()
            take = min(missing, len(free))
            if take:
                leases.extend(self._lease(seat, free, take, need))
                missing -= take
        return tuple(leases) if missing == 0 else None

    def _pick_together(self, need: Need) -> tuple[Lease, ...] | None:
        for seat in self._by_preference(need):
            free = seat.free_voting()
            if len(free) < need.want and seat.voting < need.want:
                free = free + seat.free_lanes()
            if len(free) >= need.want:
                # Not _lease: one request, whatever the engine can do with `n`.
                parent = self._parent(seat, free, need)
                slots = (parent, *[s for s in free if s != parent][: need.want - 1])
                return (Lease(seat, slots),)
        return None

    def _needs_lanes(self, need: Need) -> bool:
        """Whether no worker has voting slots enough."""
        return need.want > max((seat.voting for seat in self._seats.values()), default=0)

    def _lease(self, seat: Seat, free: list[int], take: int, need: Need) -> list[Lease]:
        parent = self._parent(seat, free, need)
        # A worker gives the further choices of one request its lowest free slots.
        slots = (parent, *[s for s in free if s != parent][: take - 1])
        if seat.endpoint.capabilities.n:
            return [Lease(seat, slots)]
        return [Lease(seat, (slot,)) for slot in slots]

    def _by_preference(self, need: Need) -> list[Seat]:
        """The conversation's own worker first, then the one with most free slots."""
        home = self._memory.get(need.conversation) if need.conversation else None

        def rank(seat: Seat) -> tuple[bool, int]:
            return (home is None or home[0] is not seat, len(seat.busy) - seat.endpoint.slots)

        return sorted(self._seats.values(), key=rank)

    def _parent(self, seat: Seat, free: Sequence[int], need: Need) -> int:
        """The conversation's own slot, else the one whose prefix is the oldest."""
        slot = self._remembered(seat, free, need)
        if slot is not None:
            return slot
        return min(free, key=lambda s: (seat.parent_used.get(s, 0), s))

    def _remembered(self, seat: Seat, free: Sequence[int], need: Need) -> int | None:
        home = self._memory.get(need.conversation) if need.conversation else None
        return home[1] if home is not None and home[0] is seat and home[1] in free else None
