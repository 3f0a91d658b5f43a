"""The workers as they are now: those that take traffic, those that drain, those that will be back.

A worker that drains gets nothing new and keeps what it has; once that is over, it is told of. A
worker may come back with fewer slots or a shorter context than it had, so nothing of that is kept
beyond its life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import InvalidRequest, RequestError
from local_swarm.gateway.cells import too_long
from local_swarm.gateway.seats import Need, Seat, roomy

CUT_LINGERS_S = 1.5
"""How long a request may go on in its worker after we have cut it off: llama-server looks once a
second whether its client is there (server-context.cpp `HTTP_POLLING_SECONDS`)."""


class Present:
    """`on_drained` is told of a worker (its id and generation) that drains and has nothing left to
    do, maybe more than once."""

    def __init__(self, on_drained: Callable[[str, int], None], clock: Callable[[], float]) -> None:
        self._on_drained = on_drained
        self._clock = clock
        self.ready: dict[str, Seat] = {}
        self.expected: tuple[Endpoint, ...] = ()
        self._draining: dict[str, Seat] = {}
        self._parents: dict[str, dict[int, int]] = {}  # of each worker, what `Seat.parent_used` is

    def sync(
        self, ready: Iterable[Endpoint], expected: Iterable[Endpoint], draining: Iterable[Endpoint]
    ) -> None:
        """A new life of a worker begins with free slots."""
        seats = {endpoint.id: self._seat(endpoint) for endpoint in ready}
        self._draining = {endpoint.id: self._seat(endpoint) for endpoint in draining}
        self.ready, self.expected = seats, tuple(expected)

    def _seat(self, endpoint: Endpoint) -> Seat:
        known = self.of(endpoint.id)
        if known is not None and known.endpoint.generation == endpoint.generation:
            return known
        return Seat(endpoint, parent_used=self._parents.setdefault(endpoint.id, {}))

    def of(self, worker: str) -> Seat | None:
        return self.ready.get(worker) or self._draining.get(worker)

    # What there is room for ---------------------------------------------------------------

    @property
    def slots(self) -> int:
        """When every expected worker is there."""
        return sum(e.slots for e in self.expected)

    @property
    def most_slots(self) -> int:
        """Of one worker, when every expected worker is there."""
        return max((e.slots for e in self.expected), default=0)

    def voting(self, need: Need) -> int:
        """Slots that can vote on it when every expected worker is there."""
        return sum(e.slots - e.lanes for e in roomy(self.expected, need))

    def seats(self, need: Need) -> tuple[Seat, ...]:
        """Of the workers that take traffic, those with room for its prompt."""
        able = {endpoint.id for endpoint in roomy(self.expected, need)}
        return tuple(seat for worker, seat in self.ready.items() if worker in able)

    def refusal(self, need: Need) -> RequestError | None:
        """Why no worker that is expected could ever serve it; None where one may."""
        if not self.expected:
            return None
        if not roomy(self.expected, need):
            return too_long(need.prompt_tokens or 0, max(e.ctx for e in self.expected))
        if need.together and need.want > self.most_slots:
            return too_many(need.want, self.most_slots)
        return None

    # Workers that drain -------------------------------------------------------------------

    @contextmanager
    def visit(self, endpoint: Endpoint) -> Iterator[None]:
        """Around a request that takes no slot: the worker has not drained before its end."""
        seat = self.of(endpoint.id)
        if seat is None or seat.endpoint.generation != endpoint.generation:
            yield
            return
        seat.guests += 1
        try:
            yield
        finally:
            seat.guests -= 1
            self.tell_drained()

    def tell_drained(self) -> None:
        """To be called whenever a worker may have drained."""
        for seat in tuple(self._draining.values()):
            if seat.busy or seat.guests:
                continue  # the end of the last of them leads here again
            lingers_s = seat.cut_at + CUT_LINGERS_S - self._clock()
            if lingers_s <= 0:
                self._on_drained(seat.endpoint.id, seat.endpoint.generation)
            else:
                asyncio.get_running_loop().call_later(lingers_s, self.tell_drained)


def too_many(slots: int, most: int) -> InvalidRequest:
    """The refusal of more slots together than a worker has."""
    return InvalidRequest(f"n is {slots}, and a worker here has {most} slots.", param="n")
