"""The warden ends what a supervisor left, however that ended, and only that."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from local_swarm.domain.launch import LaunchSpec
from local_swarm.supervisor import reaper, warden
from local_swarm.supervisor.logs import WorkerLog
from local_swarm.supervisor.process import ChildProcess, spawn
from local_swarm.supervisor.reaper import RUN_CHILD, RUN_TOKEN, KqueueChildren
from local_swarm.supervisor.warden import Warden
from tests.supervisor.living import eventually, holders, lives, runs, waiting
from tests.swarms import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a job does this there")
GONE_S = 3.0
PAUSE = (sys.executable, "-I", "-S", "-c", "import signal; signal.pause()")


@pytest.fixture
def token() -> Iterator[str]:
    """Whoever holds it is gone at the end, or the test fails."""
    token = uuid.uuid4().hex
    yield token
    try:
        eventually(lambda: not holders(token), "an end without orphans", GONE_S)
    finally:
        reaper.end_all(reaper.marked((RUN_TOKEN, token)))


async def started(token: str, guard: Warden, *command: str) -> ChildProcess:
    spec = LaunchSpec("x", command or PAUSE, "127.0.0.1", 1)
    return await spawn(spec, WorkerLog("w", None), run_token=token, warden=guard)


# Told by hand -----------------------------------------------------------------------------


@contextlib.contextmanager
def program(words: str) -> Iterator[subprocess.Popen[bytes]]:
    """The warden's program, told this; its leash is let go at the end, and it has ended."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(warden.PROGRAM)], stdin=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(words.encode())
        process.stdin.flush()
        yield process
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


def test_at_the_end_of_the_leash_the_groups_and_the_holders_of_the_token_end(token: str) -> None:
    with contextlib.ExitStack() as stack:
        # One without the token, as where there is no /proc; one that has left every group.
        bare = subprocess.Popen(PAUSE, start_new_session=True)
        stack.callback(bare.kill)
        away = stack.enter_context(waiting(**{RUN_TOKEN: token}))
        stranger = stack.enter_context(waiting(**{RUN_TOKEN: "another's"}))
        with program(f"{token}\n+{bare.pid} {reaper.started(bare.pid)}\n"):
            pass
        assert bare.wait(PATIENCE_S) == -signal.SIGKILL
        assert away.wait(PATIENCE_S) == -signal.SIGKILL
        assert stranger.poll() is None


@pytest.mark.parametrize("told", ["-{pid}", "+{pid} 1", "+{pid}", "+", "nonsense", "", "+{pid} "])
def test_who_is_not_a_living_child_is_not_touched(token: str, told: str) -> None:
    """A child that has ended, a pid that came again, and lines that are cut off."""
    stranger = subprocess.Popen(PAUSE, start_new_session=True)
    try:
        with program(f"{token}\n{told.format(pid=stranger.pid)}"):
            pass
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("words", ["", "\n"])
def test_without_a_token_nobody_is_touched(words: str) -> None:
    with waiting(**{RUN_TOKEN: ""}) as stranger:
        with program(words):
            pass
        assert stranger.poll() is None


def test_at_the_end_of_a_child_only_what_it_started_ends(token: str) -> None:
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(waiting(**{RUN_TOKEN: token, RUN_CHILD: str(2**22 + n)}))
            for n in range(3)
        ]
        with program(f"{token}\n-{2**22}\n-{2**22 + 1}\n"):
            # It takes one word after the other: the first is done when the second is.
            assert children[1].wait(PATIENCE_S) == -signal.SIGKILL
            assert children[0].poll() == -signal.SIGKILL
            assert children[2].poll() is None


def test_what_ends_others_does_not_end_it(token: str) -> None:
    with program(f"{token}\n") as process:
        eventually(lambda: _ignores(process.pid) >= {1, 2, 15}, "a warden that listens")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        with waiting(**{RUN_TOKEN: token}) as child:
            assert process.stdin is not None
            process.stdin.close()
            assert child.wait(PATIENCE_S) == -signal.SIGKILL


def _ignores(pid: int) -> set[int]:
    with open(f"/proc/{pid}/status") as file:
        mask = next(int(line.split()[1], 16) for line in file if line.startswith("SigIgn"))
    return {number for number in range(1, 32) if mask >> (number - 1) & 1}


# Over a swarm -----------------------------------------------------------------------------


async def test_it_is_small_and_holds_nothing_of_ours(token: str) -> None:
    listener = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(listener, True)
    async with Warden(token) as guard:
        assert guard.pid is not None
        eventually(lambda: 15 in _ignores(guard.pid or 0), "a warden that listens")
        process = psutil.Process(guard.pid)
        assert len(os.listdir(f"/proc/{guard.pid}/fd")) == 3
        assert process.cwd() == "/"
        assert os.getsid(guard.pid) == guard.pid
        assert process.memory_info().rss < 12e6
        assert RUN_TOKEN not in process.environ()
    os.close(listener)
    assert guard.pid is None
    assert not lives(process.pid)


async def test_at_a_clean_end_what_left_its_group_ends_too(token: str) -> None:
    async with Warden(token) as guard:
        # A wrapper that sends its engine away and ends: for us the child has ended.
        child = await started(token, guard, "sh", "-c", "setsid sleep 60 & wait $!; sleep 60")
        eventually(lambda: runs(token, "sleep 60"), "an engine")
        child.kill()
        await child.wait()
    assert holders(token) == []


async def test_when_a_child_ends_what_it_started_ends_and_no_other_child(token: str) -> None:
    async with Warden(token) as guard:
        other = await started(token, guard)
        child = await started(token, guard, "sh", "-c", "setsid sleep 60; sleep 60")
        eventually(lambda: runs(token, "sleep 60"), "an engine")
        child.kill()
        await child.wait()
        eventually(lambda: len(holders(token)) == 1, "the end of the engine")
        assert lives(other.pid)
        other.kill()
        await other.wait()


@pytest.fixture
def bare() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Leaders of groups that hold no token: only who is told of them can end them."""
    processes = [subprocess.Popen(PAUSE, start_new_session=True) for _ in range(3)]
    yield processes
    for process in processes:
        process.kill()
        process.wait()


async def test_a_warden_that_dies_is_replaced_and_told_everything_again(
    token: str, bare: list[subprocess.Popen[bytes]]
) -> None:
    old, ended, new = bare
    async with Warden(token) as guard:
        before = guard.pid
        assert before is not None
        guard.born(old.pid)
        guard.born(ended.pid)
        guard.gone(ended.pid)
        os.kill(before, signal.SIGKILL)
        await _until(lambda: guard.pid not in (None, before))
        assert guard.pid is not None
        assert psutil.Process(guard.pid).cmdline()[-1] == str(warden.PROGRAM)
        guard.born(new.pid)
    assert old.wait(PATIENCE_S) == new.wait(PATIENCE_S) == -signal.SIGKILL
    assert ended.poll() is None


async def test_a_warden_that_does_not_listen_is_replaced(token: str) -> None:
    async with Warden(token) as guard:
        before = guard.pid
        assert before is not None
        os.kill(before, signal.SIGSTOP)
        for _ in range(20_000):  # more than a pipe holds
            guard.gone(2**22 + 1)
        await _until(lambda: guard.pid not in (None, before))


async def test_no_warden_is_a_warning_and_no_reason_not_to_run(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    async with Warden(token) as guard:
        assert guard.pid is None
        guard.born(os.getpid())
        guard.gone(os.getpid())


async def test_it_ends_with_a_swarm_that_is_cancelled(token: str) -> None:
    async def swarm() -> None:
        async with Warden(token) as guard:
            assert guard.pid is not None
            pids.append(guard.pid)
            await asyncio.Event().wait()

    pids: list[int] = []
    running = asyncio.create_task(swarm())
    await _until(lambda: bool(pids))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not lives(pids[0])
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def _until(condition: Any) -> None:
    async def wait() -> None:
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), PATIENCE_S)


# Where there is no /proc ------------------------------------------------------------------


def test_kqueue_tells_which_children_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls; what they do was never seen on a real system."""
    constants = {"KQ_FILTER_PROC": -5, "KQ_EV_ADD": 1, "KQ_NOTE_EXIT": 0x80000000}
    for name, value in constants.items():
        monkeypatch.setattr(reaper.select, name, value, raising=False)
    monkeypatch.setattr(
        reaper.select, "kevent", lambda ident, **words: (ident, words), raising=False
    )
    calls: list[Any] = []
    ended: list[list[Any]] = [[SimpleNamespace(ident=2)], []]

    class Queue:
        def control(self, changes: Any, most: int, timeout: Any = None) -> Any:
            if changes is None:
                return ended.pop(0)
            calls.extend(changes)
            if changes[0][0] == 4:
                raise ProcessLookupError
            return []

    children = KqueueChildren(Queue())
    for pid in (1, 2, 3, 4):
        children.add(pid, 0)
    children.discard(3)
    assert children.alive() == [1]
    assert calls[0] == (1, {"filter": -5, "flags": 1, "fflags": 0x80000000})


def test_the_guard_marks_a_child_as_the_warden_knows_it() -> None:
    from local_swarm.supervisor import guard

    assert guard.RUN_CHILD == RUN_CHILD
