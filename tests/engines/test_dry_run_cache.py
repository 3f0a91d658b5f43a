import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.engines.dry_run_cache import (
    FORMAT,
    REFUSAL_KEPT_S,
    DryRunCache,
    cache_key,
    cached_dry_run,
    model_identity,
    program_identity,
)
from tests.engines.conftest import DEADLINE_S
from tests.engines.test_dry_run import KEY, LATER, SIZES, Scripted

PARTS = (MemoryPart("cpu", "compute", 94_633_984), MemoryPart("CUDA0", "kv", 1 << 33))
COUNTING = "import os\nwith open(os.environ['COUNT'], 'a') as file: file.write('x')\n"


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(tmp_path: Path, clock: Clock) -> DryRunCache:
    return DryRunCache(tmp_path / "dry-runs", now=clock)


def test_what_was_put_is_got(cache: DryRunCache) -> None:
    assert cache.get("a") is None
    cache.put("a", PARTS)
    assert cache.get("a") == PARTS
    assert cache.get("b") is None


def test_a_refusal_is_remembered_for_an_hour(cache: DryRunCache, clock: Clock) -> None:
    cache.put("a", ())
    assert REFUSAL_KEPT_S == 3600
    clock.now += REFUSAL_KEPT_S - 1
    assert cache.get("a") == ()
    clock.now += 2
    assert cache.get("a") is None


def test_a_clock_that_was_set_back_keeps_no_refusal_for_years(
    cache: DryRunCache, clock: Clock
) -> None:
    cache.put("a", ())
    clock.now -= 10 * REFUSAL_KEPT_S
    assert cache.get("a") is None


def test_an_answer_does_not_grow_old(cache: DryRunCache, clock: Clock) -> None:
    cache.put("a", PARTS)
    clock.now += 1000 * REFUSAL_KEPT_S
    assert cache.get("a") == PARTS


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"asked_at": 0, "parts": []}',
        b'{"version": 2, "asked_at": 0, "parts": []}',
        b'{"version": 3, "asked_at": 0}',
        b'{"version": 3, "asked_at": null, "parts": []}',
        b'{"version": 3, "asked_at": 0, "parts": 3}',
        b'{"version": 3, "asked_at": 0, "parts": [{"device": "cpu", "kind": "kv"}]}',
        b'{"version": 3, "asked_at": 0, "parts": [{"device": "cpu", "kind": "kv", "bytes": -1}]}',
        b'{"version": 3, "asked_at": 0, "parts": [{"device": "cpu", "kind": "kv", "bytes": "1"}]}',
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_understood_is_removed_with_a_warning(
    cache: DryRunCache, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert FORMAT == 3
    cache.put("a", PARTS)
    (cache.directory / "a.json").write_bytes(content)
    assert cache.get("a") is None
    assert not list(cache.directory.iterdir())
    assert cache.get("a") is None
    assert len(caplog.records) == 1
    cache.put("a", PARTS)
    assert cache.get("a") == PARTS


def test_what_a_later_program_keeps_is_left_to_it(cache: DryRunCache) -> None:
    cache.put("a", PARTS)
    file = cache.directory / "a.json"
    content = b'{"version": 4}'
    file.write_bytes(content)
    assert cache.get("a") is None
    assert file.read_bytes() == content


def test_what_a_killed_program_was_writing_is_removed(cache: DryRunCache) -> None:
    cache.directory.mkdir()
    left, new = cache.directory / ".a.json.x.part", cache.directory / ".b.json.y.part"
    for path in (left, new):
        path.write_bytes(b"half")
    os.utime(left, (1, 1))
    cache.put("a", PARTS)
    assert sorted(path.name for path in cache.directory.iterdir()) == [new.name, "a.json"]


def test_a_place_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    cache = DryRunCache(blocked / "below")
    cache.put("a", PARTS)
    assert cache.get("a") is None


def test_the_oldest_are_dropped(tmp_path: Path) -> None:
    cache = DryRunCache(tmp_path, most=3)
    for number in range(3):
        cache.put(str(number), PARTS)
        os.utime(tmp_path / f"{number}.json", (number, number))
    cache.put("3", PARTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.json", "2.json", "3.json"]


def test_the_key_names_what_decides_memory(worker: WorkerPlan) -> None:
    key = cache_key("engine 1", "model", worker)
    alike = replace(worker, id="other", threads=9, model_path="/elsewhere.gguf")
    assert cache_key("engine 1", "model", alike) == key
    others = [
        cache_key("engine 2", "model", worker),
        cache_key("engine 1", "another", worker),
        cache_key("engine 1", "model", replace(worker, slots=5)),
        cache_key("engine 1", "model", replace(worker, devices=("CUDA0",))),
        cache_key("engine 1", "model", worker, ["--no-op-offload"]),
    ]
    assert len({key, *others}) == 1 + len(others)


def test_a_model_is_known_by_its_first_bytes_size_and_time(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"GGUF" * 1000)
    two.write_bytes(b"GGUF" * 1000)
    found = one.stat()
    os.utime(two, ns=(found.st_atime_ns, found.st_mtime_ns))
    same = model_identity([str(one)])
    assert same is not None
    assert model_identity([str(two)]) == same
    assert model_identity([str(one), str(two)]) != same
    two.write_bytes(b"GGUX" * 1000)
    os.utime(two, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert model_identity([str(two)]) != same
    os.utime(one, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    assert model_identity([str(one)]) != same
    assert model_identity([str(tmp_path / "none")]) is None


@pytest.mark.parametrize("says", [SIZES + LATER, ""])
async def test_an_engine_is_asked_once(
    says: str, cache: DryRunCache, worker: WorkerPlan, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    engine = Scripted(f"{COUNTING}print({says!r})", {"COUNT": str(count)})
    asked = [
        await cached_dry_run(one, engine, cache, version="1", api_key=KEY)
        for one in (worker, replace(worker, id="w1"))
    ]
    assert asked[0] == asked[1]
    assert bool(asked[0]) == bool(says)
    assert count.read_text() == "x"
    await cached_dry_run(worker, engine, cache, version="2", api_key=KEY)
    await cached_dry_run(worker, engine, cache, version=None, api_key=KEY)
    assert count.read_text() == "xxx"


async def test_a_kept_answer_names_the_devices_of_the_worker_that_asks(
    cache: DryRunCache, worker: WorkerPlan
) -> None:
    engine = Scripted(f"print({(SIZES + LATER).replace('CPU', 'CUDA0')!r})")
    for device in ("CUDA1", "CUDA3"):
        one = replace(worker, devices=(device,))
        parts = await cached_dry_run(one, engine, cache, version="1", api_key=KEY)
        assert {part.device for part in parts} == {device}
    assert len(list(cache.directory.iterdir())) == 1


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(
    ("does", "timeout_s"),
    [("os.kill(os.getpid(), 9)", DEADLINE_S), ("import signal; signal.pause()", 2.0)],
    ids=["killed", "late"],
)
async def test_one_that_could_not_say_is_asked_again(
    does: str, timeout_s: float, cache: DryRunCache, worker: WorkerPlan, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    engine = Scripted(f"{COUNTING}{does}", {"COUNT": str(count)})
    for _ in range(2):
        assert not await cached_dry_run(
            worker, engine, cache, version="1", api_key=KEY, timeout_s=timeout_s
        )
    assert count.read_text() == "xx"
    assert not cache.directory.exists()


async def test_another_program_of_the_same_version_is_asked(
    cache: DryRunCache, worker: WorkerPlan, tmp_path: Path
) -> None:
    @dataclass(frozen=True)
    class Own(Scripted):
        program_path: str = ""

        def launch(self, worker: WorkerPlan, **kwargs: Any) -> LaunchSpec:  # type: ignore[override]
            spec = super().launch(worker, **kwargs)
            return replace(spec, argv=(self.program_path, *spec.argv[1:]))

    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.symlink_to(sys.executable)

    async def ask(path: Path) -> None:
        await cached_dry_run(
            worker, Own("", {}, program_path=str(path)), cache, version="1", api_key=KEY
        )

    for path in (one, one, other, other):
        await ask(path)
    assert len(list(cache.directory.iterdir())) == 2
    other.unlink()
    shutil.copy(sys.executable, other)
    os.utime(other, ns=(1, 1))
    await ask(other)
    assert len(list(cache.directory.iterdir())) == 3
    other.unlink()
    await ask(other)
    assert len(list(cache.directory.iterdir())) == 3


def test_a_program_is_known_by_path_size_and_time(tmp_path: Path) -> None:
    program = tmp_path / "llama-server"
    program.write_bytes(b"one")
    os.utime(program, ns=(1, 1))
    first = program_identity(str(program))
    os.utime(program, ns=(2, 2))
    later = program_identity(str(program))
    program.write_bytes(b"longer")
    os.utime(program, ns=(2, 2))
    assert len({first, later, program_identity(str(program)), None}) == 4
    assert program_identity(str(tmp_path / "none")) is None
