"""Which free slots a request gets. Decides over seats, changes nothing but what it remembers.

A conversation keeps its worker and slot, and so its prefix; others go to the worker with most free
slots. A worker gives the further choices of one request its lowest free slots and overwrites them,
so the slots in which conversations live are taken from the top.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from local_swarm.gateway.seats import Lease, Need, Seat, lease_of

REMEMBERED_CONVERSATIONS = 1024


class Homes:
    """Where conversations were answered last: a worker and a slot, whatever life of it. A restart
    may have brought the slot's prompt back; where not, a home costs nothing."""

    def __init__(self) -> None:
        self._slots: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def remember(self, conversation: str, lease: Lease) -> None:
        if not conversation:
            return
        self._slots[conversation] = (lease.endpoint.id, lease.slots[0])
        self._slots.move_to_end(conversation)
        while len(self._slots) > REMEMBERED_CONVERSATIONS:
            self._slots.popitem(last=False)

    def is_of(self, seat: Seat, need: Need) -> bool:
        home = self._slots.get(need.conversation)
        return home is not None and home[0] == seat.endpoint.id

    def slot(self, seat: Seat, need: Need) -> int | None:
        return self._slots[need.conversation][1] if self.is_of(seat, need) else None


class Choice:
    """Picks among `seats`, all of which have room for the prompt. With `cells` False as if every
    pool were empty; with `pooled` False only among workers without a pool."""

    def __init__(
        self, seats: Sequence[Seat], homes: Homes, *, cells: bool = True, pooled: bool = True
    ) -> None:
        self._seats = [seat for seat in seats if pooled or not seat.endpoint.pool]
        self._homes = homes
        self._cells = cells

    def solo(self, need: Need, *, lanes_only: bool) -> tuple[Lease, ...] | None:
        """One slot: a lane, else, unless votes wait, a voting slot."""
        for seat, free in self._solo_places(need, lanes_only):
            lease = lease_of(seat, (self._home(seat, free, need, 1),), need)
            if self._has_cells(seat, (lease,)):
                return (lease,)
        return None

    def vote(self, need: Need, expected_voting: int) -> tuple[Lease, ...] | None:
        """Exactly `need.want` voting slots, or all there are where that is the minimum at least."""
        seats = self._by_preference(need)
        ready = sum(seat.voting for seat in seats)
        if ready == 0 or ready < min(need.minimum, expected_voting):
            return None
        missing = min(need.want, ready)
        leases: list[Lease] = []
        for seat in seats:
            found = self._most(seat, missing, need)
            leases.extend(found)
            missing -= sum(len(lease.slots) for lease in found)
        return tuple(leases) if missing == 0 else None

    def together(self, need: Need) -> tuple[Lease, ...] | None:
        """`need.want` slots of one worker for one request, its lanes too where it must be."""
        for seat in self._by_preference(need):
            free = seat.free_voting()
            if len(free) < need.want and seat.voting < need.want:
                free = free + seat.free_lanes()
            if len(free) >= need.want:
                lease = lease_of(seat, self._slots(seat, free, need, need.want), need)
                if self._has_cells(seat, (lease,)):
                    return (lease,)
        return None

    def _solo_places(self, need: Need, lanes_only: bool) -> Iterator[tuple[Seat, list[int]]]:
        seats = self._by_preference(need)
        yield from ((seat, lanes) for seat in seats if (lanes := seat.free_lanes()))
        if not lanes_only:
            yield from ((seat, free) for seat in seats if (free := seat.free_voting()))

    def _most(self, seat: Seat, wanted: int, need: Need) -> list[Lease]:
        """As many voting slots of one worker as are free and have cells."""
        free = seat.free_voting()
        for count in range(min(wanted, len(free)), 0, -1):
            slots = self._slots(seat, free, need, count)
            requests = [slots] if seat.endpoint.capabilities.n else [(slot,) for slot in slots]
            leases = [lease_of(seat, each, need) for each in requests]
            if self._has_cells(seat, leases):
                return leases
        return []

    def _slots(self, seat: Seat, free: list[int], need: Need, count: int) -> tuple[int, ...]:
        parent = self._home(seat, free, need, count)
        return (parent, *[s for s in free if s != parent][: count - 1])

    def _has_cells(self, seat: Seat, leases: Sequence[Lease]) -> bool:
        return not self._cells or seat.has_cells(leases)

    def _by_preference(self, need: Need) -> list[Seat]:
        """The conversation's own worker first, then the one with most free slots."""

        def rank(seat: Seat) -> tuple[bool, int]:
            return (not self._homes.is_of(seat, need), len(seat.busy) - seat.endpoint.slots)

        return sorted(self._seats, key=rank)

    def _home(self, seat: Seat, free: list[int], need: Need, count: int) -> int:
        """The conversation's own slot, else the one whose prefix is the oldest, the lowest slots
        left to the further choices."""
        slot = self._homes.slot(seat, need)
        if slot in free:
            return slot
        return min(free[count - 1 :], key=lambda s: (seat.parent_used.get(s, 0), -s))
