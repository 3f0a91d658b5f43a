from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_swarm.domain.worker import WorkerState
from local_swarm.swarm import notify as notifying
from local_swarm.swarm.notify import notify, status_line
from tests.swarm.listener import Listener, listening

READY, STARTING, FAILED = WorkerState.READY, WorkerState.STARTING, WorkerState.FAILED


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    with listening(tmp_path, monkeypatch) as listener:
        yield listener


class Crew:
    """Workers whose states a test sets."""

    def __init__(self, *states: WorkerState) -> None:
        self._change = asyncio.Event()
        self._states = states

    def states(self) -> dict[str, WorkerState]:
        return {f"w{number}": state for number, state in enumerate(self._states)}

    def next_change(self) -> asyncio.Event:
        return self._change

    def become(self, *states: WorkerState) -> None:
        self._states = states
        self._change.set()
        self._change = asyncio.Event()


def test_systemd_is_told_where_it_listens(systemd: Listener) -> None:
    assert notify("READY=1")
    assert systemd.waiting() == ["READY=1"]


def test_an_abstract_address_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("")  # the kernel draws one
        name = receiver.getsockname()
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:].decode())
        assert notify("READY=1")
        assert receiver.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "relative", "/no/such/socket"])
def test_nobody_listening_is_no_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")


def test_every_message_is_as_sd_notify_has_it(systemd: Listener) -> None:
    before = time.monotonic_ns() // 1000
    notifying.ready("m at u")
    notifying.reloading()
    notifying.reloaded()
    notifying.reloaded("done")
    notifying.stopping(1.5)
    notifying.extend(2)
    lines = systemd.waiting()
    clock = lines.pop(3)
    assert before <= int(clock.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    assert lines == [
        *("READY=1", "STATUS=m at u", "RELOADING=1", "READY=1", "READY=1", "STATUS=done"),
        *("STOPPING=1", "STATUS=stopping", "EXTEND_TIMEOUT_USEC=1500000"),
        "EXTEND_TIMEOUT_USEC=2000000",
    ]


def test_a_status_cannot_smuggle_in_another_assignment(systemd: Listener) -> None:
    notifying.status("a\nWATCHDOG=1")
    assert systemd.waiting() == ["STATUS=a WATCHDOG=1"]


@pytest.mark.parametrize(
    ("states", "line"),
    [
        ((READY, READY, STARTING), "ready: 2 of 3 workers, 1 starting"),
        ((READY,), "ready: 1 of 1 workers"),
        ((STARTING, FAILED), "not ready: 0 of 2 workers, 1 starting, 1 failed"),
        ((), "not ready: 0 of 0 workers"),
    ],
)
def test_the_status_line_counts_the_workers(states: tuple[WorkerState, ...], line: str) -> None:
    assert status_line({str(n): state for n, state in enumerate(states)}) == line


async def test_the_status_line_follows_the_workers_and_repeats_nothing(systemd: Listener) -> None:
    crew = Crew(STARTING)
    async with notifying.following(crew, lambda: "m at u"):
        assert await systemd.next() == ["STATUS=not ready: 0 of 1 workers, 1 starting; m at u"]
        crew.become(STARTING)
        for _ in range(3):  # turns of the loop, in which it looks
            await asyncio.sleep(0)
        crew.become(READY)
        assert await systemd.next() == ["STATUS=ready: 1 of 1 workers; m at u"]
    crew.become(FAILED)
    await asyncio.sleep(0)
    assert systemd.waiting() == []


async def test_a_start_is_given_more_time_again_and_again(systemd: Listener) -> None:
    async with notifying.starting(Crew(STARTING), every_s=0.01):
        for _ in range(3):
            await systemd.until("EXTEND_TIMEOUT_USEC=30000000")
    systemd.waiting()
    await asyncio.sleep(0)
    assert systemd.waiting() == []


async def test_blocking_work_is_given_more_time_by_a_thread(systemd: Listener) -> None:
    with notifying.preparing(every_s=0.01):
        for _ in range(3):
            await systemd.until("EXTEND_TIMEOUT_USEC=30000000")
    systemd.waiting()
    assert systemd.waiting() == []


def test_without_a_manager_blocking_work_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    before = threading.active_count()
    with notifying.preparing():
        assert threading.active_count() == before


async def test_a_task_beside_tells_its_failure_and_leaves_a_cancellation_alone() -> None:
    async def fails() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        async with notifying.beside(fails(), "x"):
            await asyncio.sleep(0)

    async def outer() -> None:
        async with notifying.beside(asyncio.Event().wait(), "y"):  # type: ignore[arg-type]
            await asyncio.Event().wait()

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [t for t in asyncio.all_tasks() if t.get_name() in "xy"]
