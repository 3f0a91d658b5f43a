"""What the ledger counts: slots of a worker, and the cells of a pool that its slots share.

With a split cache each slot has `ctx` cells of its own, and nothing but slots is counted. In a
unified pool an overflow ends every answer in it, so a request is only let in while the most that it
may come to use is free: its prompt, which the choices of one request share, and what each of them
may write. What idle slots keep of earlier prompts is not counted: the engine clears it when it
needs the cells (llama.cpp tools/server/server-context.cpp `try_clear_idle_slots`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from local_swarm.domain.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Need:
    """`want` slots, or at least `minimum` where workers are away; `solo` asks for one, unvoted.
    `together` asks for exactly `want` of one worker, of any kind.

    `conversation` is any stable key of the conversation, empty for none. `prompt_tokens` is what
    the prompt takes at most, and `answer_tokens` the most that each answer may write, None for as
    much as there is room for; both matter to pools only. A request of which the prompt is not known
    gets a pool to itself.
    """

    want: int
    minimum: int = 1
    solo: bool = False
    together: bool = False
    conversation: str = ""
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


@dataclass(slots=True, eq=False)
class Seat:
    """One life of one worker: which of its slots are taken, and how many cells of its pool.

    `parent_used` is the tick of each slot's last parent use. `guests` are requests without a slot.
    At `cut_at`, a time of the ledger's clock, the last answer was cut off.
    """

    endpoint: Endpoint
    busy: set[int] = field(default_factory=set)
    cells_used: int = 0
    parent_used: dict[int, int] = field(default_factory=dict)
    guests: int = 0
    cut_at: float = -math.inf

    @property
    def voting(self) -> int:
        return self.endpoint.slots - self.endpoint.lanes

    def free_voting(self) -> list[int]:
        return [s for s in range(self.voting) if s not in self.busy]

    def free_lanes(self) -> list[int]:
        return [s for s in range(self.voting, self.endpoint.slots) if s not in self.busy]

    def has_cells(self, leases: Iterable[Lease]) -> bool:
        """Whether its pool has room for these leases; a worker without a pool always has."""
        pool = self.endpoint.pool
        return not pool or self.cells_used + sum(lease.cells for lease in leases) <= pool


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """Slots of one worker for one upstream request; `slots[0]` is the one to name.

    `cells` of its pool are kept for it. `answer_tokens` is how much each answer may write there and
    must be put into the request (`cells.limited`); None where the worker itself sees to that.
    """

    seat: Seat
    slots: tuple[int, ...]
    cells: int = 0
    answer_tokens: int | None = None

    @property
    def endpoint(self) -> Endpoint:
        return self.seat.endpoint


def lease_of(seat: Seat, slots: tuple[int, ...], need: Need) -> Lease:
    """These slots with the cells that one request for them takes of the seat's pool."""
    pool = seat.endpoint.pool
    if not pool:
        return Lease(seat, slots)
    if need.prompt_tokens is None:
        return Lease(seat, slots, pool, _room_beside_any(seat.endpoint, need, len(slots)))
    room = _least(most_room(seat.endpoint, need.prompt_tokens, len(slots)), need.answer_tokens)
    return Lease(seat, slots, need.prompt_tokens + len(slots) * room, room)


def most_room(endpoint: Endpoint, prompt_tokens: int, answers: int) -> int:
    """The most tokens that each of so many answers to this prompt may have; below 1: it never fits.

    A slot's context has no room for more, and an empty pool not for more of all of them.
    """
    return min(endpoint.ctx - prompt_tokens, (endpoint.pool - prompt_tokens) // answers)


def never_fits(endpoint: Endpoint, need: Need) -> bool:
    """Whether not even an empty pool has room for this prompt and a word of each answer."""
    if not endpoint.pool or need.prompt_tokens is None:
        return False
    return most_room(endpoint, need.prompt_tokens, min(need.want, endpoint.slots)) < 1


def roomy(endpoints: Sequence[Endpoint], need: Need) -> list[Endpoint]:
    """Those with room for the prompt, as far as its size is known. Of slots with a context of their
    own it is known as a bound, so where none is surely large enough, none of these is too small."""
    able = [endpoint for endpoint in endpoints if not never_fits(endpoint, need)]
    most = need.prompt_tokens or 0
    return [endpoint for endpoint in able if endpoint.pool or most < endpoint.ctx] or able


def _room_beside_any(endpoint: Endpoint, need: Need, answers: int) -> int | None:
    """The room beside a prompt of which only is known that a slot has room for it. A single answer
    needs no limit: it ends where its slot does."""
    room = (endpoint.pool - endpoint.ctx) // answers
    return need.answer_tokens if answers == 1 or room < 1 else _least(room, need.answer_tokens)


def _least(room: int, asked: int | None) -> int:
    return room if asked is None else min(room, asked)
