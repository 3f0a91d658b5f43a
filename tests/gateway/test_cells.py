"""Where slots share a pool, no more is let in than the pool can hold to the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import ContextExceeded
from local_swarm.gateway import ledger as ledger_module
from local_swarm.gateway.cells import answer_tokens, limited
from local_swarm.gateway.ledger import Lease, Ledger, Need

POOLED = Endpoint("w0", "", "", slots=4, lanes=1, ctx=1000, generation=1, pool=1800)
SPLIT = replace(POOLED, pool=0)


def book_of(*endpoints: Endpoint) -> Ledger:
    book = Ledger()
    book.sync(endpoints, endpoints)
    return book


async def take(book: Ledger, need: Need) -> tuple[Lease, ...]:
    return await book.acquire(need, within_s=5)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def vote(prompt: int | None, answer: int | None = None) -> Need:
    return Need(want=3, minimum=2, prompt_tokens=prompt, answer_tokens=answer)


def solo(prompt: int | None, answer: int | None = None) -> Need:
    return Need(want=1, solo=True, prompt_tokens=prompt, answer_tokens=answer)


async def test_the_answers_of_one_request_share_its_prompt() -> None:
    book = book_of(POOLED)
    (lease,) = await take(book, vote(500, 100))
    assert (lease.cells, lease.answer_tokens) == (500 + 3 * 100, 100)
    assert book.cells_used("w0") == 800
    book.release([lease])
    assert book.cells_used("w0") == 0


async def test_a_request_for_no_answer_takes_only_its_prompt() -> None:
    (lease,) = await take(book_of(POOLED), solo(400, 0))
    assert (lease.cells, lease.answer_tokens) == (400, 0)


async def test_an_answer_without_a_limit_gets_what_a_slot_has_left() -> None:
    (lease,) = await take(book_of(POOLED), solo(400))
    assert (lease.cells, lease.answer_tokens) == (1000, 600)


async def test_answers_get_no_more_than_all_of_them_have_in_an_empty_pool() -> None:
    (lease,) = await take(book_of(POOLED), vote(300, 700))
    assert (lease.cells, lease.answer_tokens) == (1800, 500)


async def test_requests_that_do_not_fit_beside_each_other_take_turns() -> None:
    book = book_of(POOLED)
    first = await take(book, vote(600, 300))
    beside = await take(book, solo(100, 200))
    waiting = asyncio.ensure_future(take(book, solo(100, 200)))
    await settled()
    assert not waiting.done()  # a lane would not help: 1800 of 1800 cells are kept
    book.release(beside)
    await settled()
    assert waiting.done()
    book.release(first)


async def test_a_request_of_which_nothing_is_known_has_the_pool_to_itself() -> None:
    book = book_of(POOLED)
    first = await take(book, solo(100, 100))
    waiting = asyncio.ensure_future(take(book, solo(None)))
    await settled()
    assert not waiting.done()
    book.release(first)
    (lease,) = await waiting
    assert (lease.cells, lease.answer_tokens) == (1800, None)


async def test_several_answers_to_an_unknown_prompt_do_not_outgrow_the_pool() -> None:
    book = book_of(POOLED)
    (lease,) = await take(book, vote(None, 5000))
    assert (lease.cells, lease.answer_tokens) == (1800, (1800 - 1000) // 3)
    book.release([lease])
    (lease,) = await take(book, vote(None, 7))
    assert lease.answer_tokens == 7
    book.release([lease])
    assert (await take(book, solo(None, 5000)))[0].answer_tokens == 5000


async def test_a_long_request_does_not_starve_behind_short_ones() -> None:
    book = book_of(replace(POOLED, slots=5, lanes=2))
    held = await take(book, solo(100, 100))
    long = asyncio.ensure_future(take(book, vote(900)))
    await settled()
    assert long.done()  # 900 + 3 * 100: it fits beside the short one
    book.release(long.result())
    longest = asyncio.ensure_future(take(book, vote(300)))
    await settled()
    short = [asyncio.ensure_future(take(book, solo(10, 10))) for _ in range(3)]
    await settled()
    assert not longest.done()
    assert not any(one.done() for one in short)  # there is room, but it is not theirs yet
    book.release(held)
    book.release(await longest)
    for one in short:
        book.release(await one)
    assert (book.busy("w0"), book.cells_used("w0")) == (0, 0)


async def test_a_short_request_does_not_starve_behind_votes() -> None:
    book = book_of(POOLED)
    running = await take(book, vote(900))
    first = asyncio.ensure_future(take(book, solo(900, 900)))
    votes = [asyncio.ensure_future(take(book, vote(900))) for _ in range(3)]
    await settled()
    book.release(running)
    await settled()
    assert first.done()
    book.release(first.result())
    for one in votes:
        book.release(await one)


async def test_what_can_never_fit_is_refused_at_once() -> None:
    book = book_of(POOLED)
    with pytest.raises(ContextExceeded) as caught:
        await book.acquire(solo(1000, 1), within_s=0)
    assert caught.value.extra == {"n_prompt_tokens": 1000, "n_ctx": 1000}
    assert book.waiting == 0


async def test_where_one_worker_has_no_pool_nothing_is_refused() -> None:
    book = book_of(POOLED, replace(SPLIT, id="w1"))
    (lease,) = await take(book, Need(1, prompt_tokens=1000))
    assert (lease.endpoint.id, lease.cells) == ("w1", 0)


async def test_without_a_pool_cells_mean_nothing() -> None:
    book = book_of(SPLIT)
    (lease,) = await take(book, vote(5000))
    assert (lease.cells, lease.answer_tokens) == (0, None)
    assert await take(book, solo(None))


async def test_a_vote_spreads_where_one_pool_has_too_few_cells() -> None:
    book = book_of(POOLED, replace(POOLED, id="w1"))
    first = await take(book, vote(500, 400))
    assert [len(lease.slots) for lease in first] == [3]
    await take(book, Need(1, prompt_tokens=900, answer_tokens=50))
    spread = await take(book, Need(want=2, minimum=2, prompt_tokens=50, answer_tokens=50))
    assert sum(len(lease.slots) for lease in spread) == 2


async def test_the_cells_of_a_request_that_was_cut_off_are_free_a_moment_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger_module, "CUT_LINGERS_S", 0.01)
    book = book_of(POOLED)
    cut = await take(book, vote(None))
    book.release(cut, cut=True)
    assert (book.busy("w0"), book.cells_used("w0")) == (0, 1800)
    (lease,) = await take(book, vote(None))
    assert lease.cells == 1800
    book.release([lease])
    assert book.cells_used("w0") == 0


async def test_a_new_life_begins_with_an_empty_pool() -> None:
    book = book_of(POOLED)
    old = await take(book, vote(None))
    born = [replace(POOLED, generation=2)]
    book.sync(born, born)
    await take(book, vote(500, 100))
    book.release(old)
    assert book.cells_used("w0") == 800


needs = st.builds(
    Need,
    want=st.integers(1, 3),
    solo=st.booleans(),
    together=st.booleans(),
    prompt_tokens=st.none() | st.integers(1, 990),
    answer_tokens=st.none() | st.integers(0, 2000),
).map(lambda need: replace(need, want=1, together=False) if need.solo else need)


@given(st.lists(needs, max_size=14), st.integers(1, 2), st.randoms(use_true_random=False))
def test_a_pool_is_never_overdrawn_and_everyone_is_served(
    asked: list[Need], workers: int, order: object
) -> None:
    async def scenario() -> None:
        endpoints = [replace(POOLED, id=f"w{i}") for i in range(workers)]
        book = book_of(*endpoints)
        tasks = [asyncio.ensure_future(take(book, need)) for need in asked]
        while tasks:
            await settled()
            granted = [task for task in tasks if task.done()]
            assert granted, "nobody is served although nothing is held"
            for endpoint in endpoints:
                leases = [one for t in granted for one in t.result() if one.endpoint is endpoint]
                kept = sum(lease.cells for lease in leases)
                assert kept == book.cells_used(endpoint.id) <= endpoint.pool
                for lease in leases:
                    alone = lease.cells == endpoint.pool
                    assert alone or lease.answer_tokens is not None
                    assert not alone or len(leases) == 1
            order.shuffle(granted)  # type: ignore[attr-defined]
            tasks.remove(granted[0])
            book.release(granted[0].result())

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({}, None),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 7, "max_tokens": 9}, 7),
        ({"n_predict": -1, "max_tokens": 9}, None),
        ({"max_tokens": None, "max_output_tokens": 5.0}, 5),
        ({"max_tokens": True}, None),
    ],
)
def test_the_limit_of_an_answer_is_read_as_the_worker_reads_it(
    body: dict[str, object], most: int | None
) -> None:
    assert answer_tokens(body) == most


async def test_the_worker_is_told_how_long_an_answer_may_be() -> None:
    body = {"prompt": "x", "n_predict": -1, "max_completion_tokens": 4000}
    (lease,) = await take(book_of(POOLED), solo(400))
    assert limited(body, lease) == {"prompt": "x", "max_tokens": 600}
    (lease,) = await take(book_of(SPLIT), solo(400))
    assert limited(body, lease) is body
