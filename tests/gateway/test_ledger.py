from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.launch import Capabilities
from local_swarm.errors import DeadlineExceeded, Overloaded
from local_swarm.gateway.ledger import Lease, Ledger, Need


def endpoint(name: str = "w0", *, slots: int = 4, lanes: int = 1, generation: int = 1) -> Endpoint:
    return Endpoint(name, "http://x", "", slots, lanes, 1024, generation)


def ledger(*endpoints: Endpoint, max_waiting: int = 64) -> Ledger:
    made = Ledger(max_waiting=max_waiting)
    made.sync(endpoints, endpoints)
    return made


async def take(book: Ledger, need: Need) -> tuple[Lease, ...]:
    return await book.acquire(need, within_s=5)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


VOTE = Need(want=3, minimum=2)
SOLO = Need(want=1, solo=True)


async def test_a_vote_takes_the_voting_slots_and_a_title_the_lane() -> None:
    book = ledger(endpoint())
    (vote,) = await take(book, VOTE)
    (solo,) = await take(book, SOLO)
    assert sorted(vote.slots) == [0, 1, 2]
    assert solo.slots == (3,)


async def test_a_conversation_keeps_its_slot() -> None:
    book = ledger(endpoint())
    first = await take(book, Need(want=1, conversation="a"))
    book.release(first)
    other = await take(book, Need(want=1, conversation="b"))
    book.release(other)
    assert other[0].slots != first[0].slots
    again = await take(book, Need(want=3, conversation="a"))
    assert again[0].slots[0] == first[0].slots[0]


async def test_a_conversation_keeps_its_worker() -> None:
    book = ledger(endpoint("w0"), endpoint("w1"))
    first = await take(book, Need(want=1, conversation="a"))
    blocker = await take(book, Need(want=1, conversation="b"))
    book.release(first)
    assert blocker[0].endpoint.id != first[0].endpoint.id
    again = await take(book, Need(want=1, conversation="a"))
    assert again[0].endpoint.id == first[0].endpoint.id


async def test_a_vote_spreads_over_workers_when_one_has_too_few_slots() -> None:
    book = ledger(endpoint("w0", slots=2), endpoint("w1", slots=2))
    leases = await take(book, Need(want=2))
    assert sorted(lease.endpoint.id for lease in leases) == ["w0", "w1"]


async def test_an_engine_without_n_gets_one_lease_per_slot() -> None:
    plain = Endpoint("w0", "", "", 3, 0, 1024, 1, Capabilities(n=False))
    leases = await take(ledger(plain), Need(want=3))
    assert sorted(lease.slots for lease in leases) == [(0,), (1,), (2,)]


async def test_a_waiting_vote_is_not_starved_by_solo_requests() -> None:
    book = ledger(endpoint())
    running = await take(book, Need(want=1))
    vote = asyncio.ensure_future(take(book, VOTE))
    await settled()
    lane = await take(book, SOLO)
    solo = asyncio.ensure_future(take(book, SOLO))
    await settled()
    assert not vote.done()
    assert not solo.done()  # voting slots are free, but a vote waits for them
    book.release(running)
    assert len((await vote)[0].slots) == 3
    book.release(lane)
    assert (await solo)[0].slots == (3,)


async def test_votes_do_not_overtake_each_other() -> None:
    book = ledger(endpoint())
    running = await take(book, Need(want=2))
    big = asyncio.ensure_future(take(book, Need(want=3)))
    small = asyncio.ensure_future(take(book, Need(want=1)))
    await settled()
    assert not small.done()
    book.release(running)
    book.release(await big)
    await small


async def test_without_a_lane_votes_and_solo_requests_take_turns() -> None:
    book = ledger(endpoint(slots=2, lanes=0))
    vote = await take(book, Need(want=2))
    solo = asyncio.ensure_future(take(book, SOLO))
    next_vote = asyncio.ensure_future(take(book, Need(want=2)))
    await settled()
    book.release(vote)
    first = await solo
    assert not next_vote.done()
    book.release(first)
    await next_vote


async def test_a_vote_goes_ahead_with_a_quorum_while_a_worker_is_away() -> None:
    a, b = endpoint("w0", slots=3), endpoint("w1", slots=3)
    book = Ledger()
    book.sync([a], [a, b])
    (lease,) = await take(book, Need(want=4, minimum=2))
    assert len(lease.slots) == 2


async def test_a_vote_waits_while_fewer_than_the_quorum_are_there() -> None:
    a, b = endpoint("w0", slots=2), endpoint("w1", slots=2)
    book = Ledger()
    book.sync([a], [a, b])
    vote = asyncio.ensure_future(take(book, Need(want=2, minimum=2)))
    await settled()
    assert not vote.done()
    book.sync([a, b], [a, b])
    assert len(await vote) == 2


async def test_what_waits_for_workers_that_are_away_keeps_no_slot_from_others() -> None:
    a, b = endpoint("w0", slots=1, lanes=0), endpoint("w1", slots=4, lanes=0)
    book = Ledger()
    book.sync([a], [a, b])
    vote = asyncio.ensure_future(take(book, Need(want=2, minimum=2)))
    together = asyncio.ensure_future(take(book, Need(want=2, together=True)))
    await settled()
    solo = await asyncio.wait_for(take(book, SOLO), 5)
    book.release(solo)
    book.release(await asyncio.wait_for(take(book, Need(want=1)), 5))
    assert not vote.done()
    assert not together.done()
    book.sync([a, b], [a, b])
    book.release(await vote)
    book.release(await together)


async def test_the_quorum_shrinks_with_workers_that_will_not_come_back() -> None:
    a = endpoint("w0", slots=2)
    book = ledger(a)
    (lease,) = await take(book, Need(want=2, minimum=2))
    assert lease.slots == (0,)


async def test_a_new_life_begins_with_free_slots_and_old_leases_mean_nothing() -> None:
    book = ledger(endpoint())
    old = await take(book, VOTE)
    book.sync([endpoint(generation=2)], [endpoint(generation=2)])
    new = await take(book, VOTE)
    book.release(old)
    assert book.busy("w0") == 3
    book.release(new)
    assert book.busy("w0") == 0


async def test_a_full_queue_refuses_with_an_estimate() -> None:
    book = ledger(endpoint(), max_waiting=1)
    await take(book, VOTE)
    waiting = asyncio.ensure_future(take(book, VOTE))
    await settled()
    with pytest.raises(Overloaded) as caught:
        await take(book, VOTE)
    assert caught.value.retry_after_s >= 1
    waiting.cancel()


async def test_a_request_that_comes_again_goes_ahead_and_is_never_refused() -> None:
    book = ledger(endpoint(), max_waiting=1)
    held = await take(book, VOTE)
    waiting = asyncio.ensure_future(take(book, VOTE))
    await settled()
    again = asyncio.ensure_future(book.acquire(VOTE, within_s=5, again=True))
    await settled()
    book.release(held)
    book.release(await again)
    await waiting


async def test_waiting_ends_with_the_deadline_and_leaves_no_trace() -> None:
    book = ledger(endpoint())
    await take(book, VOTE)
    with pytest.raises(DeadlineExceeded):
        await book.acquire(VOTE, within_s=0.01)
    assert book.waiting == 0


async def test_a_swarm_without_a_worker_asks_to_come_again() -> None:
    book = Ledger()
    book.sync([], [endpoint()])
    with pytest.raises(Overloaded) as caught:
        await book.acquire(VOTE, within_s=0.01)
    assert caught.value.retry_after_s >= 1
    assert book.waiting == 0


async def test_a_client_that_leaves_the_queue_leaves_no_trace() -> None:
    book = ledger(endpoint())
    held = await take(book, VOTE)
    vote = asyncio.ensure_future(take(book, VOTE))
    await settled()
    vote.cancel()
    await asyncio.gather(vote, return_exceptions=True)
    assert book.waiting == 0
    book.release(held)
    assert book.busy("w0") == 0


async def test_a_client_that_leaves_at_the_moment_of_the_grant_gives_its_slots_back() -> None:
    book = ledger(endpoint())
    held = await take(book, VOTE)
    vote = asyncio.ensure_future(take(book, VOTE))
    await settled()
    book.release(held)  # grants the waiting vote ...
    vote.cancel()  # ... which leaves before it has noticed
    await asyncio.gather(vote, return_exceptions=True)
    assert book.busy("w0") == 0


@given(
    workers=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1)), min_size=1, max_size=3),
    needs=st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_no_slot_is_held_twice_and_everyone_is_served(
    workers: list[tuple[int, int]], needs: list[tuple[int, bool]], order: object
) -> None:
    async def scenario() -> None:
        endpoints = [
            endpoint(f"w{i}", slots=slots, lanes=min(lanes, slots - 1))
            for i, (slots, lanes) in enumerate(workers)
        ]
        book = ledger(*endpoints)
        held: list[tuple[Lease, ...]] = []
        tasks = [
            asyncio.ensure_future(take(book, Need(want=1 if solo else want, solo=solo)))
            for want, solo in needs
        ]
        served = 0
        while served < len(tasks):
            await settled()
            for task in [t for t in tasks if t.done() and t.result() not in held]:
                held.append(task.result())
            used = [
                (lease.endpoint.id, s) for leases in held for lease in leases for s in lease.slots
            ]
            assert len(used) == len(set(used))
            assert held, "nobody is served although slots are free"
            order.shuffle(held)  # type: ignore[attr-defined]
            done = held.pop()
            tasks.remove(next(t for t in tasks if t.done() and t.result() is done))
            book.release(done)

    asyncio.run(scenario())


ALL = Need(want=4, minimum=4, together=True)


async def test_slots_together_are_of_one_worker() -> None:
    book = ledger(endpoint("w0", slots=3), endpoint("w1", slots=4))
    (lease,) = await take(book, Need(want=3, together=True))
    assert (lease.endpoint.id, sorted(lease.slots)) == ("w1", [0, 1, 2])


async def test_slots_together_take_lanes_only_where_they_must() -> None:
    book = ledger(endpoint())
    (lease,) = await take(book, ALL)
    assert sorted(lease.slots) == [0, 1, 2, 3]
    book.release([lease])
    (lease,) = await take(book, Need(want=3, together=True))
    assert sorted(lease.slots) == [0, 1, 2]


async def test_slots_together_do_not_starve_behind_solo_requests() -> None:
    book = ledger(endpoint())
    first = await take(book, SOLO)
    waiting = asyncio.ensure_future(take(book, ALL))
    await settled()
    later = asyncio.ensure_future(take(book, SOLO))
    await settled()
    assert not later.done()
    book.release(first)
    await settled()
    assert waiting.done()
    book.release(waiting.result())
    book.release(await later)
    assert book.busy("w0") == 0


async def test_slots_together_keep_the_lanes_that_they_need_from_later_solo_requests() -> None:
    book = ledger(endpoint())
    first = await take(book, Need(want=1))
    waiting = asyncio.ensure_future(take(book, ALL))
    few = asyncio.ensure_future(take(book, SOLO))
    await settled()
    assert not few.done()
    book.release(first)
    book.release(await waiting)
    book.release(await few)


async def test_slots_together_that_need_no_lane_leave_it_to_solo_requests() -> None:
    book = ledger(endpoint())
    first = await take(book, Need(want=1))
    waiting = asyncio.ensure_future(take(book, Need(want=3, together=True)))
    await settled()
    book.release(await asyncio.wait_for(take(book, SOLO), 5))
    book.release(first)
    book.release(await waiting)


async def test_a_vote_waits_behind_slots_together() -> None:
    book = ledger(endpoint())
    first = await take(book, SOLO)
    waiting = asyncio.ensure_future(take(book, ALL))
    await settled()
    vote = asyncio.ensure_future(take(book, VOTE))
    await settled()
    assert not vote.done()
    book.release(first)
    book.release(await waiting)
    assert sorted((await vote)[0].slots) == [0, 1, 2]
