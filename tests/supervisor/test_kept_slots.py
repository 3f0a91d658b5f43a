"""Saving and restoring slots where something goes wrong. (With real engines:
tests/engines/test_slot_files.py.)"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from local_swarm.domain.launch import LaunchSpec, SlotFiles
from local_swarm.domain.memory import GIB
from local_swarm.supervisor.kept_slots import KeptSlot, forget, leaves_room, restore, save

KEY = "key-of-this-run"
TOKENS = 100


def slot(number: int, tokens: int | None = TOKENS, busy: bool = False) -> dict[str, Any]:
    told = {} if tokens is None else {"n_prompt_tokens": tokens}
    return {"id": number, "is_processing": busy, **told}


@dataclass
class Worker:
    """Answers as a worker's slots would; `answer` may answer something else."""

    directory: Path
    slots: Any = field(default_factory=lambda: [slot(n) for n in range(4)])
    answer: Callable[[int, str], web.StreamResponse | None] = lambda slot, action: None
    asked: list[tuple[int, str]] = field(default_factory=list)
    hold: asyncio.Event | None = None
    hold_from: int = 0

    async def get(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        return web.json_response(self.slots)

    async def act(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        number, action = int(request.match_info["slot"]), request.query["action"]
        self.asked.append((number, action))
        name = (await request.json())["filename"]
        if action == "save":
            (self.directory / name).write_bytes(b"prompt")
        if self.hold and number >= self.hold_from:
            await self.hold.wait()
        if (other := self.answer(number, action)) is not None:
            return other
        done = {"save": {"n_saved": TOKENS, "n_written": 6}, "restore": {"n_restored": TOKENS}}
        return web.json_response(done[action])


@dataclass
class Life:
    worker: Worker
    session: aiohttp.ClientSession
    spec: LaunchSpec

    async def save(self, slots: Any = range(4), **words: Any) -> tuple[KeptSlot, ...]:
        words = {"slot_bytes": 1, **words}
        return await save(self.session, self.spec, KEY, slots, **words)

    async def restore(self, kept: Any, **words: Any) -> tuple[int, ...]:
        return await restore(self.session, self.spec, KEY, kept, **words)

    @property
    def files(self) -> list[str]:
        return os.listdir(self.worker.directory)


@asynccontextmanager
async def life_of(worker: Worker) -> AsyncIterator[Life]:
    app = web.Application()
    app.add_routes([web.get("/slots", worker.get), web.post("/slots/{slot}", worker.act)])
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        files = SlotFiles(str(worker.directory), "same")
        assert server.port is not None
        spec = LaunchSpec("fake", ("fake",), "127.0.0.1", server.port, slot_files=files)
        yield Life(worker, session, spec)


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    async with life_of(Worker(tmp_path)) as life:
        yield life


def refused(status: int) -> Callable[[int, str], web.StreamResponse | None]:
    def answer(number: int, action: str) -> web.StreamResponse | None:
        return web.json_response({"error": {}}, status=status) if number == 1 else None

    return answer


async def test_idle_slots_that_hold_anything_are_saved_the_longest_first(life: Life) -> None:
    life.worker.slots = [slot(0, 5), slot(1, busy=True), slot(2, 0), slot(3, 9), slot(4, None)]
    kept = await life.save(range(5))
    assert [one.slot for one in kept] == [3, 0, 4]
    assert len(life.files) == 3
    assert await life.save([0])
    assert life.worker.asked[-1] == (0, "save")
    forget(kept)
    assert len(life.files) == 1


async def test_one_that_turns_out_to_be_empty_leaves_no_file(life: Life) -> None:
    life.worker.answer = lambda *_: web.json_response({"n_saved": 0, "n_written": 48})
    assert await life.save() == ()
    assert life.files == []


async def test_what_is_restored_is_removed(life: Life) -> None:
    kept = await life.save()
    assert await life.restore(kept) == (0, 1, 2, 3)
    assert life.files == []


async def test_one_that_is_refused_costs_the_others_nothing(life: Life) -> None:
    life.worker.answer = refused(500)
    kept = await life.save()
    assert [one.slot for one in kept] == [0, 2, 3]
    assert len(life.files) == 3
    life.worker.answer = lambda *_: None
    kept = await life.save()
    life.worker.answer = refused(400)
    assert await life.restore(kept) == (0, 2, 3)


async def test_one_that_comes_back_shorter_does_not_count(life: Life) -> None:
    kept = await life.save()
    life.worker.answer = lambda *_: web.json_response({"n_restored": TOKENS - 1})
    assert await life.restore(kept) == ()
    assert life.files == []


@pytest.mark.parametrize("slots", [{"error": 1}, [{}], [[]], "words", None, [{"id": 0}]])
async def test_what_no_worker_says_costs_the_prompts_only(life: Life, slots: Any) -> None:
    life.worker.slots = slots
    assert await life.save() == ()


async def test_an_answer_that_is_no_json_costs_the_prompts_only(life: Life) -> None:
    kept = await life.save()
    life.worker.answer = lambda *_: web.Response(text="words")
    assert await life.save() == ()
    assert len(life.files) == len(kept)
    assert await life.restore(kept) == ()
    assert life.files == []


async def test_a_worker_that_is_gone_costs_the_prompts_only(tmp_path: Path) -> None:
    async with life_of(Worker(tmp_path)) as life:
        kept = await life.save()
        session, spec = life.session, life.spec
    async with aiohttp.ClientSession() as session:
        assert await save(session, spec, KEY, range(4), slot_bytes=1) == ()
        assert await restore(session, spec, KEY, kept) == ()
    assert os.listdir(tmp_path) == []


async def test_a_worker_that_hangs_is_left_when_the_time_is_up(life: Life) -> None:
    kept = await life.save()
    life.worker.hold = asyncio.Event()
    assert await life.save(within_s=0.2) == ()
    assert await life.restore(kept, within_s=0.2) == ()
    assert life.files == []
    assert len(life.worker.asked) == len(kept) + 2
    life.worker.hold.set()


@pytest.mark.parametrize("doing", ["save", "restore"])
async def test_who_is_cancelled_leaves_no_prompts(life: Life, doing: str) -> None:
    kept = await life.save()
    life.worker.hold, life.worker.hold_from = asyncio.Event(), 2
    life.worker.asked.clear()
    task = asyncio.create_task(life.save() if doing == "save" else life.restore(kept))
    while len(life.worker.asked) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # until the worker was asked for the third
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(life.files) == (len(kept) if doing == "save" else 0)
    life.worker.hold.set()


async def test_a_disk_without_room_keeps_nothing(life: Life) -> None:
    assert await life.save(slot_bytes=1 << 60) == ()
    assert life.worker.asked == []


async def test_files_of_another_life_are_removed_and_not_read(life: Life) -> None:
    kept = await life.save()
    life.spec = LaunchSpec("fake", ("fake",), life.spec.host, life.spec.port)
    assert await life.restore(kept) == ()
    assert life.files == []
    assert not [each for each in life.worker.asked if each[1] == "restore"]
    assert await life.save() == ()


@pytest.mark.parametrize(
    ("free", "total", "file", "leaves"),
    [
        (3 * GIB, 100 * GIB, GIB, True),
        (3 * GIB, 100 * GIB, GIB + 1, False),
        (2 * GIB, 10 * GIB, GIB, True),
        (2 * GIB, 10 * GIB, GIB + 1, False),
        (0, 10 * GIB, 0, False),
    ],
)
def test_two_gigabytes_or_a_tenth_of_the_disk_stay_free(
    free: int, total: int, file: int, leaves: bool
) -> None:
    assert leaves_room(free, total, file) is leaves
