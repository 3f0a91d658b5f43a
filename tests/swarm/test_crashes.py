"""The history of crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from local_swarm.config.paths import Paths
from local_swarm.domain.worker import Cause, Death
from local_swarm.swarm.crashes import KEPT, Crash, CrashBook, CrashFile, crash_of
from local_swarm.telemetry.logs import hide

SECRET = "sk-of-the-crash-test"
NOON = datetime(2026, 1, 31, 13, 0, 0, 5, tzinfo=timezone(timedelta(hours=1)))


def crash(number: int) -> Crash:
    death = Death("w0", number, 1, None, ("died",), Cause.BAD_MODEL, 0.25)
    return crash_of(death, model="demo", engine="fake", action="again in 1 s", now=NOON)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "config", tmp_path / "state", tmp_path / "cache", tmp_path / "run")


@pytest.fixture
def file(paths: Paths) -> CrashFile:
    return CrashFile.of(paths)


class Counted(CrashFile):
    """Counts how often it is written, and how many crashes at most."""

    writes = most = 0

    def add(self, *crashes: Crash) -> None:
        self.writes += 1
        self.most = max(self.most, len(crashes))
        super().add(*crashes)


def test_a_crash_tells_what_happened() -> None:
    hide(SECRET)
    lines = ("too early", *(f"line {n} {SECRET} Bearer abc {'x' * 1000}" for n in range(5)))
    death = Death("w1", 7, None, 11, lines, Cause.CRASHED, 12.34567)
    found = crash_of(death, model="demo", engine="xllamacpp", action="restarted", now=NOON)
    assert found.time == "2026-01-31T12:00:00Z"
    assert (found.worker, found.generation, found.cause) == ("w1", 7, "crashed")
    assert (found.exit_code, found.signal, found.lived_s) == (None, 11, 12.346)
    assert (found.model, found.engine, found.action) == ("demo", "xllamacpp", "restarted")
    assert [line[:27] for line in found.log] == [f"line {n} [hidden] Bearer [hid" for n in range(5)]
    assert max(map(len, found.log)) == 400


def test_what_was_added_is_known_to_the_next_run(file: CrashFile, paths: Paths) -> None:
    assert file.read() == ()
    file.add(crash(1))
    CrashFile.of(paths).add(crash(2), crash(3))
    assert CrashFile.of(paths).read() == (crash(1), crash(2), crash(3))
    assert file.read() == CrashFile.of(paths).read()


def test_the_last_two_hundred_are_kept(file: CrashFile) -> None:
    file.add(*map(crash, range(150)))
    file.add(*map(crash, range(150, 300)))
    assert KEPT == 200
    assert [each.generation for each in file.read()] == list(range(100, 300))


async def test_a_thousand_crashes_in_a_row_are_written_in_two_goes(paths: Paths) -> None:
    file = Counted.of(paths)
    assert isinstance(file, Counted)
    async with CrashBook(file, every_s=3600.0).keeping() as book:
        for number in range(1000):
            book.note(crash(number))
            await asyncio.sleep(0)
    assert 1 <= file.writes <= 2
    assert file.most == KEPT
    assert [each.generation for each in file.read()] == list(range(1000 - KEPT, 1000))


async def test_they_are_written_while_the_swarm_runs(file: CrashFile) -> None:
    async with CrashBook(file, every_s=0.0).keeping() as book:
        for number in (1, 2):
            book.note(crash(number))

            async def written(number: int = number) -> None:
                while file.read()[-1:] != (crash(number),):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # a thread writes: there is no event to wait for

            await asyncio.wait_for(written(), 20.0)


async def test_nothing_is_written_where_nothing_crashed(file: CrashFile, paths: Paths) -> None:
    async with CrashBook(file).keeping():
        await asyncio.sleep(0)
    assert not paths.state.exists()


async def test_the_last_are_written_where_the_swarm_is_cancelled(file: CrashFile) -> None:
    noted = asyncio.Event()

    async def swarm() -> None:
        async with CrashBook(file, every_s=3600.0).keeping() as book:
            book.note(crash(1))
            noted.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(swarm())
    await noted.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert file.read() == (crash(1),)


class Refusing(CrashFile):
    """Fails once, as where the system gives no more threads."""

    refused = False

    def add(self, *crashes: Crash) -> None:
        if not self.refused:
            self.refused = True
            raise RuntimeError("can't start new thread")
        super().add(*crashes)


async def test_one_that_cannot_be_written_does_not_end_the_writing(paths: Paths) -> None:
    file = Refusing.of(paths)
    assert isinstance(file, Refusing)

    async def until(condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # as above

    async with CrashBook(file, every_s=0.0).keeping() as book:
        book.note(crash(1))
        await asyncio.wait_for(until(lambda: file.refused), 20.0)
        book.note(crash(2))
        await asyncio.wait_for(until(lambda: file.read() == (crash(2),)), 20.0)
