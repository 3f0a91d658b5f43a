"""`lswarm logs`, as people use it: on files that workers write meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local_swarm.supervisor import runfile
from local_swarm.supervisor.logs import WorkerLog
from local_swarm.supervisor.runfile import ProcessId, RunFile
from tests.cli.following import PATIENCE_S, following

PORT = "18099"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "logs" / PORT
    path.mkdir(parents=True)
    return path


def logs(home: Path, *args: str):
    return following(home, "logs", "--port", PORT, *args)


def test_the_last_lines_of_each_worker_and_of_the_swarm_are_shown(tmp_path, directory):
    (directory / "w0.log").write_text("w0 | one\nw0 | two\nw0 | three\n")
    (directory / "w1.log").write_text("w1 | four\n")
    (directory / "swarm.log").write_text("READY\n")
    with logs(tmp_path, "-n", "2") as command:
        shown = command.lines(4)
        assert sorted(shown) == ["swarm | READY", "w0 | three", "w0 | two", "w1 | four"]
        assert command.line() == ""
        assert command.process.wait(PATIENCE_S) == 0
    with logs(tmp_path, "swarm") as command:
        assert command.lines(2) == ["swarm | READY", ""]


def test_following_goes_on_over_rotation_and_with_new_workers(tmp_path, directory):
    log = WorkerLog("w0", directory / "w0.log", max_bytes=4096, backups=3)
    log.feed(b"before\n")
    with logs(tmp_path, "-f", "-n", "1") as command:
        assert command.line() == "w0 | before"
        for number in range(300):
            log.feed(b"a line of the length of a usual one, number %d\n" % number)
        shown = [line.rsplit(" ", 1)[1] for line in command.lines(300)]
        assert (directory / "w0.log.1").exists()
        assert shown == [str(number) for number in range(300)]
        (directory / "w1.log").write_text("w1 | I am new\n")
        assert command.line() == "w1 | I am new"
        assert command.interrupt() == 0
        assert command.errors() == ""
    log.close()


def test_only_the_worker_that_is_named_is_followed(tmp_path, directory):
    (directory / "w0.log").write_text("w0 | a\n")
    (directory / "w1.log").write_text("w1 | b\n")
    with logs(tmp_path, "w1", "-f", "-n", "1") as command:
        assert command.line() == "w1 | b"
        for name in ("w0", "w1"):
            with (directory / f"{name}.log").open("a") as file:
                file.write(f"{name} | more\n")
        assert command.line() == "w1 | more"


def test_following_without_old_lines_waits_for_the_first(tmp_path, directory):
    (directory / "w0.log").write_text("w0 | old\n")
    with logs(tmp_path, "-f", "-n", "0") as command:
        while True:  # it may still be starting: what is written before that counts as old
            with (directory / "w0.log").open("a") as file:
                file.write("w0 | new\n")
            if _readable(command, 0.2):
                break
        assert command.line() == "w0 | new"


def _readable(command, within_s: float) -> bool:
    import select

    return bool(select.select([command.process.stdout], [], [], within_s)[0])


def test_a_reader_that_leaves_ends_it_quietly(tmp_path, directory):
    (directory / "w0.log").write_text("w0 | line\n" * 100_000)
    with logs(tmp_path, "-n", "100000") as command:
        assert command.line() == "w0 | line"
        command.stop_reading()
        assert command.process.wait(PATIENCE_S) == 0
        assert command.errors() == ""


def test_a_reader_that_leaves_is_noticed_while_nothing_is_written(tmp_path, directory):
    (directory / "w0.log").write_text("w0 | line\n")
    with logs(tmp_path, "-f") as command:
        assert command.line() == "w0 | line"
        command.stop_reading()
        assert command.process.wait(PATIENCE_S) == 0
        assert command.errors() == ""


def test_a_worker_that_never_was_is_named_with_those_there_are(tmp_path, directory):
    (directory / "w0.log").touch()
    with logs(tmp_path, "w9") as command:
        assert command.process.wait(PATIENCE_S) == 2
        assert "Workers: w0." in command.errors()


def test_no_log_at_all_is_not_running(tmp_path):
    with logs(tmp_path) as command:
        assert command.process.wait(PATIENCE_S) == 8
        assert "lswarm up" in command.errors()


def test_fewer_lines_than_none_is_a_mistake(tmp_path, directory):
    with logs(tmp_path, "-n", "-1") as command:
        assert command.process.wait(PATIENCE_S) == 2


def test_the_log_of_an_earlier_swarm_is_not_shown_as_that_of_the_one_that_runs(tmp_path, directory):
    (directory / "w0.log").write_text("w0 | now\n")
    (directory / "swarm.log").write_text("long ago\n")
    os.utime(directory / "swarm.log", (1, 1))
    run = RunFile(ProcessId.of(os.getpid()), f"http://127.0.0.1:{PORT}", "token", "key", "m")
    runfile.write(tmp_path / "run" / f"swarm-{PORT}.json", run)
    with logs(tmp_path) as command:
        assert command.lines(2) == ["w0 | now", ""]
    (tmp_path / "run" / f"swarm-{PORT}.json").unlink()
    with logs(tmp_path) as command:
        assert sorted(command.lines(2)) == ["swarm | long ago", "w0 | now"]
