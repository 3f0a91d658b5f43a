"""Which slots a conversation gets, and that it finds its prefix there again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local_swarm.domain.endpoint import Endpoint
from local_swarm.gateway.choice import Homes
from local_swarm.gateway.ledger import Ledger, Need
from local_swarm.gateway.seats import Lease, Seat


def book_of(slots: int, workers: int = 1) -> Ledger:
    ends = [Endpoint(f"w{i}", "", "", slots, 1, 1000, 1) for i in range(workers)]
    book = Ledger()
    book.sync(ends, ends)
    return book


async def turn(book: Ledger, conversation: str, want: int) -> tuple[str, tuple[int, ...]]:
    """One turn of a conversation: its worker and slots."""
    leases = await book.acquire(Need(want, want, conversation=conversation), within_s=1)
    book.release(leases)
    assert len(leases) == 1
    return leases[0].endpoint.id, leases[0].slots


@pytest.mark.parametrize(("slots", "want", "conversations"), [(6, 3, 3), (6, 4, 2), (5, 2, 3)])
async def test_conversations_in_turn_do_not_erase_each_others_prefixes(
    slots: int, want: int, conversations: int
) -> None:
    """Parents keep prefixes; the other slots of a vote are overwritten."""
    book = book_of(slots)
    names = [f"c{i}" for i in range(conversations)]
    homes = {name: (await turn(book, name, want))[1][0] for name in names}
    assert len(set(homes.values())) == conversations
    for _ in range(3):
        for name in names:
            _, (parent, *overwritten) = await turn(book, name, want)
            assert parent == homes[name]
            assert not set(overwritten) & set(homes.values())


async def test_the_further_choices_are_the_lowest_free_slots_as_the_worker_takes_them() -> None:
    book = book_of(8)
    _, slots = await turn(book, "a", 3)
    assert slots == (6, 0, 1)
    held = await book.acquire(Need(2, 2), within_s=1)
    assert held[0].slots == (5, 0)
    _, slots = await turn(book, "a", 3)
    assert slots == (6, 1, 2)


async def test_when_all_slots_are_taken_the_oldest_conversation_makes_room() -> None:
    book = book_of(6)
    homes = [(await turn(book, name, 3))[1][0] for name in "abcd"]
    assert homes[3] == homes[0]
    assert (await turn(book, "c", 3))[1][0] == homes[2]


async def test_a_new_conversation_goes_to_the_worker_with_most_free_slots() -> None:
    book = book_of(4, workers=2)
    held = await book.acquire(Need(1, conversation="a"), within_s=1)
    where, _ = await turn(book, "b", 2)
    assert where != held[0].endpoint.id
    assert (await turn(book, "b", 2))[0] == where
    book.release(held)
    assert (await turn(book, "a", 2))[0] == held[0].endpoint.id


async def test_a_solo_conversation_keeps_its_lane() -> None:
    book = book_of(4)
    need = Need(1, solo=True, conversation="titles")
    (first,) = await book.acquire(need, within_s=1)
    book.release([first])
    await turn(book, "a", 3)
    (again,) = await book.acquire(need, within_s=1)
    assert first.slots == again.slots == (3,)


def test_a_conversation_is_at_home_in_one_worker_whatever_life_of_it() -> None:
    endpoint = Endpoint("w0", "", "", slots=3, lanes=0, ctx=1, generation=1)
    seat, need = Seat(endpoint), Need(1, conversation="a")
    homes = Homes()
    homes.remember("a", Lease(seat, (1,)))
    assert homes.slot(seat, need) == 1
    assert homes.slot(Seat(replace(endpoint, generation=2)), need) == 1
    assert homes.slot(Seat(replace(endpoint, id="w1")), need) is None


async def test_a_restarted_worker_has_its_conversations_where_they_were() -> None:
    """Its slots may have been kept; then the oldest prefix makes room, as before."""
    book = book_of(4)
    homes = {name: (await turn(book, name, 1))[1] for name in "abc"}
    await turn(book, "a", 1)
    again = [Endpoint("w0", "", "", 4, 1, 1000, generation=2)]
    book.sync([], again)
    book.sync(again, again)
    assert (await turn(book, "c", 1))[1] == homes["c"]
    assert (await turn(book, "d", 1))[1] == homes["b"]
    smaller = [Endpoint("w0", "", "", 2, 1, 1000, generation=3)]
    book.sync(smaller, smaller)
    for name in "abcd":
        assert (await turn(book, name, 1))[1] == (0,)
