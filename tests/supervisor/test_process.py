from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
import pytest

from local_swarm.domain.launch import LaunchSpec
from local_swarm.supervisor.identity import ProcessId
from local_swarm.supervisor.logs import WorkerLog
from local_swarm.supervisor.process import (
    GUARD,
    ProcessGroup,
    child_environment,
    spawn,
)
from tests.supervisor.living import eventually, lives
from tests.swarms import PATIENCE_S

TOKEN = uuid.uuid4().hex  # another's warden would end whoever shares its token


def python(code: str) -> LaunchSpec:
    return LaunchSpec("x", (sys.executable, "-I", "-S", "-c", code), "127.0.0.1", 1)


async def run(code: str) -> tuple[tuple[int | None, int | None], Sequence[str]]:
    """How it ended, and what it wrote."""
    log = WorkerLog("w", None)
    child = await spawn(python(code), log, run_token=TOKEN)
    return await asyncio.wait_for(child.wait(), PATIENCE_S), log.tail()


def test_a_child_sees_neither_our_settings_nor_ones_that_would_change_the_engine() -> None:
    parent = {
        "PATH": "/bin",
        "LSWARM_SERVER__API_KEYS": "secret",
        "LLAMA_ARG_ENDPOINT_PROPS": "1",
        "LLAMA_API_KEY": "the user's own",
        "NOTIFY_SOCKET": "/run/of/our/manager",
        "WATCHDOG_USEC": "30000000",
    }
    child = child_environment(parent, {"LLAMA_API_KEY": "per-run"}, "token")
    owner = msgspec.json.decode(child.pop("LSWARM_RUN_OWNER"), type=ProcessId)
    assert owner == ProcessId.of(os.getpid())
    assert child == {"PATH": "/bin", "LLAMA_API_KEY": "per-run", "LSWARM_RUN_TOKEN": "token"}


async def test_a_child_leads_a_group_with_nothing_of_ours_open() -> None:
    open_here = os.open(os.devnull, os.O_RDONLY)
    try:
        code = """
import os
print(os.getpid() == os.getsid(0), os.environ["LSWARM_RUN_CHILD"] == str(os.getpid()))
print(sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:4], os.read(0, 1))
"""
        ended, lines = await run(code)
    finally:
        os.close(open_here)
    assert ended == (0, None)
    assert lines == ("True True", "[0, 1, 2, 3] b''")  # 3 lists the folder


async def test_how_a_child_ended_is_told() -> None:
    assert (await run("raise SystemExit(3)"))[0] == (3, None)
    assert (await run("import os; os.abort()"))[0] == (None, signal.SIGABRT)


async def test_the_last_words_of_a_flood_are_kept() -> None:
    _, lines = await run("for n in range(100000): print(n)")
    assert lines[-1] == "99999"


async def test_the_end_of_a_child_is_seen_while_others_hold_its_output() -> None:
    code = """
import os, subprocess, sys
away = "import os, signal; os.setsid(); print(os.getpid(), flush=True); signal.pause()"
child = subprocess.Popen([sys.executable, "-c", away], stdout=subprocess.PIPE)
print(child.stdout.readline().decode())
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
sys.exit(3)
"""
    ended, lines = await run(code)
    os.kill(int(lines[0]), signal.SIGKILL)
    assert ended == (3, None)


async def test_what_a_child_left_in_its_group_ends_with_it() -> None:
    code = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]).pid)
"""
    _, lines = await run(code)
    eventually(lambda: not lives(int(lines[0])), "the end of the group")


async def test_a_program_that_is_not_there_says_so() -> None:
    log = WorkerLog("w", None)
    spec = LaunchSpec("x", ("/no/such/program",), "127.0.0.1", 1)
    child = await spawn(spec, log, run_token=TOKEN)
    assert await child.wait() == (127, None)
    assert log.tail() == ("cannot run /no/such/program: No such file or directory",)


async def test_a_child_is_asked_then_killed_and_nothing_after_its_end() -> None:
    log = WorkerLog("w", None)
    code = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    child = await spawn(python(code), log, run_token=TOKEN)
    ending = asyncio.create_task(child.wait())
    while not log.tail():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    child.terminate()
    child.kill()
    assert await asyncio.wait_for(ending, PATIENCE_S) == (None, signal.SIGKILL)
    child.terminate()
    child.kill()


async def test_who_no_longer_waits_for_a_child_ends_it() -> None:
    child = await spawn(
        python("import signal; signal.pause()"), WorkerLog("w", None), run_token=TOKEN
    )
    waiting_for_it = asyncio.create_task(child.wait())
    await asyncio.sleep(0)
    waiting_for_it.cancel()
    await asyncio.gather(waiting_for_it, return_exceptions=True)
    eventually(lambda: not lives(child.pid), "the child's end")
    await child._process.wait()


def test_a_group_whose_number_another_process_has_is_empty() -> None:
    with subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as stranger:
        ProcessGroup(stranger.pid).close()
        assert stranger.communicate(b"alive", timeout=PATIENCE_S) == (b"alive", None)


def test_a_group_without_its_leader_is_ended() -> None:
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!"], stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout is not None
        rest = int(leader.stdout.readline())
        leader.wait(PATIENCE_S)
        assert lives(rest)
        ProcessGroup(leader.pid).close()
        eventually(lambda: not lives(rest), "the end of the group")


# The guard --------------------------------------------------------------------------------


def guarded(parent: int, marker: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), str(parent), "touch", str(marker)],
        stdin=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("word", "parent", "runs"), [(b"\n", 0, True), (b"", 0, False), (b"\n", 1, False)]
)
def test_a_command_runs_only_where_its_supervisor_lives_and_has_said_so(
    tmp_path: Path, word: bytes, parent: int, runs: bool
) -> None:
    with guarded(parent or os.getpid(), tmp_path / "ran") as guard:
        guard.communicate(word, timeout=PATIENCE_S)
    assert guard.returncode == (0 if runs else 127)
    assert (tmp_path / "ran").exists() is runs


def test_the_guard_waits_for_the_word(tmp_path: Path) -> None:
    with guarded(os.getpid(), tmp_path / "ran") as guard:
        eventually(lambda: psutil.Process(guard.pid).status() == "sleeping", "a guard that waits")
        assert not (tmp_path / "ran").exists()
        guard.kill()


async def test_what_cannot_be_started_leaves_no_pipe(monkeypatch) -> None:
    """No file descriptor is left for the second pipe."""
    real, made = os.pipe, []

    def pipe() -> tuple[int, int]:
        if made:
            raise OSError(errno.EMFILE, "Too many open files")
        made.extend(real())
        return made[0], made[1]

    monkeypatch.setattr(os, "pipe", pipe)
    with pytest.raises(OSError, match="Too many open files"):
        await spawn(python(""), WorkerLog("w", None), run_token=TOKEN)
    for fd in made:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
