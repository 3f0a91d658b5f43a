"""The ends of log files, and what is added to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.supervisor.logs import WorkerLog
from local_swarm.swarm import log_files
from local_swarm.swarm.log_files import Follower, tail, worker_logs


def log_of(directory: Path, name: str = "w0", **settings) -> WorkerLog:
    return WorkerLog(name, directory / f"{name}.log", **settings)


def follower_of(directory: Path) -> Follower:
    return Follower(lambda: worker_logs(directory))


def texts(follower: Follower) -> list[str]:
    return [line.split(" | ")[-1] for _, line in follower.read()]


@given(st.lists(st.text("ab", max_size=30), max_size=40), st.integers(0, 45), st.integers(1, 50))
def test_the_tail_is_the_last_lines_whatever_the_blocks(tmp_path_factory, lines, count, block):
    path = tmp_path_factory.mktemp("logs") / "w0.log"
    path.write_text("".join(f"{line}\n" for line in lines) + "rest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_files, "BLOCK_BYTES", block)
        seen = tail(path, count)
    assert list(seen.lines) == lines[len(lines) - min(count, len(lines)) :]
    assert seen.rest == "rest"
    assert path.read_bytes()[seen.offset :] == b"rest"


def test_of_a_large_file_only_the_end_is_read(tmp_path, monkeypatch):
    path = tmp_path / "w0.log"
    path.write_bytes(b"a line of some length\n" * 500_000)
    read = []
    end_of = log_files._end_of

    def counted(file, count):
        data, end = end_of(file, count)
        read.append(len(data))
        return data, end

    monkeypatch.setattr(log_files, "_end_of", counted)
    assert len(tail(path, 50).lines) == 50
    assert read == [log_files.BLOCK_BYTES]


def test_the_tail_goes_back_into_rotated_files(tmp_path):
    log = log_of(tmp_path, max_bytes=100, backups=3)
    for number in range(30):
        log.feed(b"line %d\n" % number)
    log.close()
    assert (tmp_path / "w0.log.2").exists()
    lines = tail(tmp_path / "w0.log", 20).lines
    assert [line.split(" | ")[1] for line in lines] == [f"line {n}" for n in range(10, 30)]


def test_no_file_has_no_lines(tmp_path):
    assert tail(tmp_path / "none.log", 5) == log_files.Tail()


def test_no_lines_are_asked_for(tmp_path):
    (tmp_path / "w0.log").write_text("a\nb\n")
    assert tail(tmp_path / "w0.log", 0).lines == ()
    assert tail(tmp_path / "w0.log", 0).offset == 4


def test_workers_are_in_the_order_of_their_numbers(tmp_path):
    for name in ("w10", "w2", "w0"):
        (tmp_path / f"{name}.log").touch()
    assert list(worker_logs(tmp_path)) == ["w0", "w2", "w10"]


@pytest.mark.parametrize("between", [0, 1, 7, 12, 20])
def test_nothing_is_lost_or_told_twice_over_rotations(tmp_path, between):
    """Also where several happen between two looks."""
    log = log_of(tmp_path, max_bytes=100, backups=3)
    log.feed(b"line 0\n")
    follower = follower_of(tmp_path)
    told = texts(follower)
    for number in range(1, 101):
        log.feed(b"line %d\n" % number)
        if between and number % between == 0:
            told += texts(follower)
        elif not between and number % 2:
            told += texts(follower) + texts(follower)
    told += texts(follower)
    log.close()
    assert told == [f"line {number}" for number in range(101)]


def test_after_more_rotations_than_files_are_kept_it_goes_on_with_the_newest(tmp_path):
    log = log_of(tmp_path, max_bytes=100, backups=1)
    log.feed(b"first\n")
    follower = follower_of(tmp_path)
    assert texts(follower) == ["first"]
    for number in range(100):
        log.feed(b"line %d\n" % number)
    told = texts(follower)
    log.feed(b"last\n")
    log.close()
    assert told[-1] == "line 99"
    assert texts(follower) == ["last"]


def test_a_line_is_told_when_it_is_whole(tmp_path):
    path = tmp_path / "w0.log"
    path.write_text("half")
    follower = follower_of(tmp_path)
    assert follower.read() == []
    with path.open("a") as file:
        file.write(" and the rest\nnext")
    assert follower.read() == [("w0", "half and the rest")]
    path.write_text("")  # cut, as a program does that starts its log anew
    assert follower.read() == [("w0", "next")]


def test_a_file_that_is_cut_is_read_from_its_beginning(tmp_path):
    path = tmp_path / "w0.log"
    path.write_text("a long line of an earlier run\n")
    follower = follower_of(tmp_path)
    assert len(follower.read()) == 1
    path.write_text("short\n")
    assert follower.read() == [("w0", "short")]


def test_a_file_that_is_gone_comes_back_as_a_new_one(tmp_path):
    path = tmp_path / "w0.log"
    path.write_text("old\n")
    (tmp_path / "w0.log.1").write_text("of long ago\n")
    follower = Follower(lambda: {"w0": path})
    assert follower.read() == [("w0", "old")]
    path.unlink()
    assert follower.read() == []
    path.write_text("new\n")
    assert follower.read() == [("w0", "new")]


def test_between_the_two_steps_of_a_rotation_nothing_is_forgotten(tmp_path):
    path = tmp_path / "w0.log"
    path.write_text("one\n")
    follower = Follower(lambda: {"w0": path})
    assert follower.read() == [("w0", "one")]
    with path.open("a") as file:
        file.write("two\n")
    path.rename(tmp_path / "w0.log.1")
    assert follower.read() == []
    path.write_text("three\n")
    assert follower.read() == [("w0", "two"), ("w0", "three")]


def test_a_worker_that_appears_later_is_followed_from_its_first_line(tmp_path):
    follower = follower_of(tmp_path / "later")
    assert follower.read() == []
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "w7.log").write_text("hello\n")
    assert follower.read() == [("w7", "hello")]


def test_what_was_shown_before_is_not_told_again(tmp_path):
    path = tmp_path / "w0.log"
    path.write_text("one\ntwo\nthr")
    follower = follower_of(tmp_path)
    follower.after(path, tail(path, 1))
    assert follower.read() == []
    with path.open("a") as file:
        file.write("ee\n")
    assert follower.read() == [("w0", "three")]


def test_a_line_without_end_is_cut_rather_than_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(log_files, "MOST_BYTES", 1000)
    (tmp_path / "w0.log").write_text("x" * 5000)
    follower = follower_of(tmp_path)
    told = [line for _ in range(10) for _, line in follower.read()]
    assert len("".join(told)) >= 4000
    assert max(map(len, told)) <= 2000


def test_an_unfinished_line_of_a_rotated_file_is_a_line(tmp_path):
    path = tmp_path / "w0.log"
    path.write_text("one\n")
    follower = Follower(lambda: {"w0": path})
    assert follower.read() == [("w0", "one")]
    with path.open("a") as file:
        file.write("half")
    path.rename(tmp_path / "w0.log.1")
    path.write_text("two\n")
    assert follower.read() == [("w0", "half"), ("w0", "two")]
