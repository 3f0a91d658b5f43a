"""Documents that several processes keep, that are damaged, and that cannot be written."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from local_swarm.storage import Damaged, Document, decode, encode
from local_swarm.storage import document as module
from tests.storage import writer
from tests.storage.writer import Tally, more, tally

DEADLINE_S = 60.0
posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and limits of POSIX")
DAMAGE = [b"", b'{"version":1,"cou', b"\xff\xfe", b'{"version":1,"count":"many"}', b"[" * 100_000]


@dataclass(frozen=True)
class Named:
    name: str


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state" / "tally.json"


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def start(path: Path, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, writer.__file__, str(path), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def said(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, output
    return output


def test_what_was_kept_is_known_again(path: Path) -> None:
    assert tally(path).read() == Tally()
    assert tally(path).update(more).count == 1
    assert tally(path).read().count == 1
    assert sorted(os.listdir(path.parent)) == ["tally.json", "tally.json.lock"]


def test_text_that_utf8_cannot_hold_is_kept_as_far_as_it_can_be() -> None:
    """Names of files and of other machines' models may have half a character in them."""
    assert decode(encode(Named("a\udcffb"), 1), Named, 1) == Named("a?b")
    assert decode(encode(Named("ü\n"), 1), Named, 1) == Named("ü\n")


@pytest.mark.parametrize("damage", DAMAGE)
def test_who_only_looks_changes_nothing(path: Path, damage: bytes) -> None:
    assert tally(path).look() == Tally()
    assert not path.parent.exists()
    written(path, damage)
    with pytest.raises(Damaged):
        tally(path).look()
    assert os.listdir(path.parent) == ["tally.json"]
    tally(path).update(more)
    assert tally(path).look().count == 1


@posix
def test_all_of_it_is_the_owners_alone(path: Path) -> None:
    tally(path).update(more)
    lock = path.with_name("tally.json.lock")
    modes = [stat.S_IMODE(os.stat(each).st_mode) for each in (path, lock, path.parent)]
    assert modes == [0o600, 0o600, 0o700]
    assert stat.S_IMODE(os.stat(path.parents[1]).st_mode) == 0o700


def test_processes_that_change_it_at_once_lose_nothing(path: Path) -> None:
    for process in [start(path, 50) for _ in range(4)]:
        said(process)
    assert tally(path).read().count == 200


def test_threads_of_one_document_lose_nothing(path: Path) -> None:
    document = tally(path)
    threads = [
        threading.Thread(target=lambda: [document.update(more) for _ in range(10)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert document.read().count == 40


@posix
def test_a_writer_that_is_killed_damages_nothing(path: Path) -> None:
    counts = []
    for _ in range(12):
        process = start(path, 0)
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        seen = tally(path).read().count
        while tally(path).read().count < seen + 3:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=DEADLINE_S)
        counts.append(decode(path.read_bytes(), Tally, 1).count)
    assert counts == sorted(counts)
    tally(path).update(more)
    assert sorted(os.listdir(path.parent)) == ["tally.json", "tally.json.lock"]


def test_what_a_killed_writer_left_is_removed_by_the_next(path: Path) -> None:
    written(path, encode(Tally(3), 1))
    left = written(path.with_name(".tally.json.abc.part"), b"half")
    others = written(path.with_name(".other.json.abc.part"), b"half")
    tally(path).update(more)
    assert not left.exists()
    assert others.exists()


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside_with_a_warning(
    path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    document = tally(written(path, damage))
    assert document.read() == Tally()
    assert document.read() == Tally()
    assert len(caplog.records) == 1
    assert "the tally" in caplog.text
    assert "cannot be used" in caplog.text
    assert path.with_name("tally.json.damaged-1").read_bytes() == damage
    assert document.update(more).count == tally(path).read().count == 1


def test_one_of_too_many_bytes_is_damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(Tally(3), 1)
    monkeypatch.setattr(module, "MAX_BYTES", len(content))
    assert tally(written(path, content)).read().count == 3
    monkeypatch.setattr(module, "MAX_BYTES", len(content) - 1)
    assert tally(path).read().count == 0


def test_the_last_three_damaged_ones_are_kept(path: Path) -> None:
    for number in range(5):
        written(path, b"%d" % number)
        assert tally(path).read() == Tally()
    kept = {p.name[-1]: p.read_bytes() for p in path.parent.glob("*.damaged-*")}
    assert kept == {"3": b"2", "4": b"3", "5": b"4"}


def test_a_damaged_file_that_another_mends_meanwhile_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at again under the lock before it is set aside."""
    document = tally(written(path, b"{"))
    lock = Document._lock

    @contextlib.contextmanager
    def late(self: Document[Tally]) -> Iterator[str]:
        with lock(self) as trouble:
            written(path, encode(Tally(7), 1))
            yield trouble

    monkeypatch.setattr(Document, "_lock", late)
    assert document.read().count == 7
    assert not list(path.parent.glob("*.damaged-*"))


def test_one_of_a_later_version_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = b'{"version":2,"count":[7]}'
    document = tally(written(path, content))
    assert document.read() == Tally()
    assert [document.update(more).count for _ in range(3)] == [1, 2, 3]
    assert document.read().count == 3
    assert path.read_bytes() == content
    assert len(caplog.records) == 1
    assert sorted(os.listdir(path.parent)) == ["tally.json", "tally.json.lock"]


def test_one_of_an_earlier_version_is_migrated(path: Path) -> None:
    def migrate(version: int, content: bytes) -> Tally:
        assert version == 1
        return Tally(count=msgspec.json.decode(content)["number"])

    written(path, b'{"version":1,"number":7}')
    document = Document(path, Tally, 2, Tally(), what="the tally", migrate=migrate)
    assert document.update(more).count == 8
    assert decode(path.read_bytes(), Tally, 2).count == 8


@pytest.mark.parametrize("migrates", [False, True])
def test_one_that_nobody_reads_any_more_is_set_aside(path: Path, migrates: bool) -> None:
    def migrate(version: int, content: bytes) -> Tally:
        raise ValueError("not even this")

    written(path, b'{"version":1,"number":7}')
    chosen = migrate if migrates else None
    document = Document(path, Tally, 2, Tally(), what="the tally", migrate=chosen)
    assert document.read() == Tally()
    assert path.with_name("tally.json.damaged-1").exists()


def test_a_change_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    document = tally(path)
    document.update(more)
    with pytest.raises(ZeroDivisionError):
        document.update(lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
    assert document.read().count == 1
    assert document.update(more).count == 2


def test_where_it_cannot_be_written_the_program_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("a file where the folder should be")
    document = tally(blocked / "tally.json")
    assert [document.update(more).count for _ in range(5)] == [1, 2, 3, 4, 5]
    assert document.read().count == 5
    assert [record.levelname for record in caplog.records] == ["WARNING"] * len(caplog.records)
    assert len(caplog.records) <= 2  # that it cannot be read, and not be kept
    blocked.unlink()
    assert document.update(more).count == 6
    assert tally(blocked / "tally.json").read().count == 6


def test_what_another_has_written_meanwhile_wins(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT_S", 0.01)
    document, other = tally(path), tally(path)
    document.update(more)
    with Document._lock(other):
        assert [document.update(more).count for _ in range(3)] == [2, 3, 4]
    other.update(lambda _: Tally(100))
    assert document.read().count == 100
    assert document.update(more).count == 101


def test_a_lock_that_is_held_for_long_costs_the_writing_only(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT_S", 0.01)
    document, other = tally(path), tally(path)
    document.update(more)
    with Document._lock(other) as trouble:
        assert not trouble
        assert [document.update(more).count for _ in range(3)] == [2, 3, 4]
        assert other.read().count == 1
    assert len(caplog.records) == 1
    assert "lock" in caplog.text
    assert document.update(more).count == other.read().count == 5


@posix
def test_a_full_disk_costs_one_warning(path: Path) -> None:
    tally(path).update(lambda _: Tally(7))
    before = path.read_bytes()
    output = said(start(path, 20, 4096))
    assert output.count("WARNING") == 1
    assert "knows 27" in output
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["tally.json", "tally.json.lock"]


@posix
def test_what_is_kept_is_on_the_disk_before_it_has_the_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fsync(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    tally(path).update(more)
    assert synced == [path.stat().st_ino, path.parent.stat().st_ino]


def test_a_damaged_file_stays_while_another_holds_its_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT_S", 0.01)
    document, other = tally(written(path, b"{")), tally(path)
    with Document._lock(other):
        assert document.read() == Tally()
        assert document.update(more).count == 1
        assert path.read_bytes() == b"{"
    assert document.update(more).count == 2
    assert path.with_name("tally.json.damaged-1").read_bytes() == b"{"


def test_threads_lose_nothing_where_there_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    document = tally(tmp_path / "state" / "tally.json")
    inside, go_on = threading.Event(), threading.Event()

    def slowly(known: Tally) -> Tally:
        inside.set()
        go_on.wait(DEADLINE_S)
        return more(known)

    slow = threading.Thread(target=document.update, args=[slowly])
    quick = threading.Thread(target=document.update, args=[more])
    slow.start()
    inside.wait(DEADLINE_S)
    quick.start()
    quick.join(0.1)  # it must not come to its end, but cannot tell us that it waits
    go_on.set()
    slow.join()
    quick.join()
    assert document.read().count == 2
