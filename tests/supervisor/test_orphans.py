from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from local_swarm.supervisor import orphans, reaper, runfile
from local_swarm.supervisor.identity import ProcessId
from local_swarm.supervisor.orphans import RUN_OWNER, new_token, reap, reap_elsewhere
from local_swarm.supervisor.reaper import RUN_TOKEN
from local_swarm.supervisor.runfile import RunFile
from tests.supervisor.living import holders, waiting
from tests.swarms import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def marks(token: str, owner: ProcessId) -> dict[str, str]:
    return {RUN_TOKEN: token, RUN_OWNER: msgspec.json.encode(owner).decode()}


def dead(**changes: object) -> ProcessId:
    """A supervisor that was here, and is not any more."""
    me = ProcessId.of(os.getpid())
    return msgspec.structs.replace(me, **{"started": me.started - 1, **changes})


@pytest.fixture
def others(tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Nobody's orphans, each for another reason; they must live at the end."""
    me, here = ProcessId.of(os.getpid()), new_token(tmp_path)
    environments = {
        "of a living supervisor": marks(here, me),
        "of another folder": marks(new_token(tmp_path / "other"), dead()),
        "of another container": marks(here, dead(namespace="pid:[1]")),
        "without an owner": {RUN_TOKEN: here},
        "with an owner that is none": {RUN_TOKEN: here, RUN_OWNER: "nobody"},
        "without a token": {RUN_OWNER: msgspec.json.encode(dead()).decode()},
        "a stranger": {},
        "with large surroundings": {f"V{n}": "x" * 100_000 for n in range(10)},
    }
    with contextlib.ExitStack() as stack:
        started = {why: stack.enter_context(waiting(**env)) for why, env in environments.items()}
        yield started
        assert [why for why, process in started.items() if process.poll() is not None] == []


@pytest.mark.parametrize("owner", [dead(), dead(boot="another"), dead(pid=2**22 + 1)])
def test_the_next_start_ends_only_what_is_provably_ours(
    tmp_path: Path, others: dict[str, object], owner: ProcessId
) -> None:
    with waiting(**marks(new_token(tmp_path), owner)) as orphan:
        assert reap(tmp_path) == [orphan.pid]
        assert orphan.wait(PATIENCE_S) == -signal.SIGKILL
    assert reap(tmp_path) == []


def test_without_proc_the_same_are_ended(tmp_path: Path, others: dict[str, object]) -> None:
    judge = orphans._Judge(orphans._suffix(tmp_path))
    with waiting(**marks(new_token(tmp_path), dead())) as orphan:
        assert reap_elsewhere(judge.is_orphan) == [orphan.pid]
        assert orphan.wait(PATIENCE_S) == -signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_another_user_s_orphans_are_that_user_s(tmp_path: Path) -> None:
    env = marks(new_token(tmp_path), dead())
    with waiting(("setpriv", "--reuid=65534", "sh", "-c", "echo; sleep 60"), **env) as theirs:
        assert reap(tmp_path) == []
        assert reap_elsewhere(orphans._Judge(orphans._suffix(tmp_path)).is_orphan) == []
        assert theirs.poll() is None


def test_what_starts_others_while_it_is_ended_is_ended_with_them(tmp_path: Path) -> None:
    code = """
import os, signal
print(flush=True)
for _ in range(300):
    if os.fork() == 0:
        os.setsid()
        signal.pause()
signal.pause()
"""
    token = new_token(tmp_path)
    with waiting((sys.executable, "-I", "-S", "-c", code), **marks(token, dead())) as first:
        assert first.pid in reap(tmp_path)
        assert holders(token) == []


def test_a_pid_that_another_took_over_is_not_hit() -> None:
    with waiting() as stranger:
        assert reaper.kill(stranger.pid, lambda pid: False) is False
        assert stranger.poll() is None


def test_without_pidfd_it_is_looked_at_once_more_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    with waiting() as process:
        assert reaper.kill(process.pid, lambda pid: False) is False
        assert process.poll() is None
        assert reaper.kill(process.pid, lambda pid: True) is True
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
    assert reaper.kill(process.pid, lambda pid: True) is False


def test_the_end_of_a_process_that_is_gone_is_no_error() -> None:
    with waiting() as process:
        process.kill()
        process.wait()
        assert reaper.kill(process.pid, lambda pid: True) is False


# Run files --------------------------------------------------------------------------------


def run_of(supervisor: ProcessId, token: str = "token") -> RunFile:
    return RunFile(supervisor, "http://x:1", token, "key", "m")


def test_a_start_cleans_up_after_the_dead_and_touches_nothing_else(tmp_path: Path) -> None:
    token = new_token(tmp_path)
    files = {
        "swarm-1.json": dead(),
        "swarm-2.json": ProcessId.of(os.getpid()),
        "swarm-3.json": dead(namespace="pid:[1]"),
        "swarm-4.json": dead(boot="another"),
    }
    for name, supervisor in files.items():
        runfile.write(tmp_path / name, run_of(supervisor))
    with waiting(**marks(token, dead())) as orphan:
        assert runfile.clean_up(tmp_path) == [orphan.pid]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["swarm-2.json", "swarm-3.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"supervisor": ',
        "[]",
        "\0\xff",
        # What version 1 wrote.
        '{"supervisor":{"pid":1,"start_time":1.0},"url":"http://x:1","token":"t",'
        '"control_key":"k","model":"m","version":1}',
        # What a later one may write.
        '{"supervisor":{"pid":1,"started":1.0},"url":"http://x:1","token":"t",'
        '"control_key":"k","model":"m","version":3}',
    ],
)
def test_what_cannot_be_read_stays_and_loses_nobody(tmp_path: Path, text: str) -> None:
    path = tmp_path / "swarm-1.json"
    path.write_text(text, encoding="latin-1")
    assert runfile.read(path) is None
    with waiting(**marks(new_token(tmp_path), dead())) as orphan:
        assert runfile.clean_up(tmp_path) == [orphan.pid]
    assert path.read_text(encoding="latin-1") == text


def test_there_may_be_no_folder_yet(tmp_path: Path) -> None:
    assert runfile.clean_up(tmp_path / "none") == []
    assert runfile.read(tmp_path / "none.json") is None


def test_a_run_file_is_private_and_removed_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    run = run_of(ProcessId.of(os.getpid()))
    runfile.write(path, run)
    assert path.stat().st_mode & 0o077 == 0
    assert runfile.read(path) == run
    runfile.remove(path, "another token")
    assert path.exists()
    runfile.remove(path, "token")
    assert not path.exists()


def test_every_run_has_a_token_of_its_own_and_a_folder_in_it(tmp_path: Path) -> None:
    one, two = new_token(tmp_path), new_token(tmp_path / "x" / "..")
    assert one != two
    assert one.partition("-")[2] == two.partition("-")[2]
    assert one.partition("-")[2] != new_token(tmp_path / "x").partition("-")[2]
